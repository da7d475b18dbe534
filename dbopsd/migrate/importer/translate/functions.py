"""SQLite's functions: https://sqlite.org/lang_corefunc.html, each with its equal in PostgreSQL."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from dbopsd.migrate.importer.model.source_schema import Affinity
from dbopsd.migrate.importer.translate.budget import join
from dbopsd.migrate.importer.translate.compare import EQUAL, compare, under
from dbopsd.migrate.importer.translate.convert import condition, double, number, unify
from dbopsd.migrate.importer.translate.json import JSON_FUNCTIONS
from dbopsd.migrate.importer.translate.string_functions import TEXT_FUNCTIONS
from dbopsd.migrate.importer.translate.types import (
    MOMENTS,
    NUMBERS,
    Arguments,
    Function,
    Kind,
    NotTranslatable,
    Typed,
    null,
)

_RANDOM_BYTES: Final = 16
_MAX_RANDOM: Final = 64
_MOST_ZEROS: Final = 2**20
# Of these a value goes on being what a column has: a time in its unit, a truth that is a boolean.
_KEEPING: Final = frozenset({*MOMENTS, Kind.BOOLEAN})
# SQLite adds 0.5 and cuts off what follows the point, and the double next to 0.5 comes to 1 so,
# 0.49999999999999994. To be half of one in decimals, it is rounded to steps of 1/(8 * 10^15) first:
# any other double that lies before half of one is further from it than half of a step.
_STEPS: Final = "8000000000000000"
_STEP: Final = "0.000000000000000125"


# PostgreSQL's own of two values, by type: what its aggregates min() and max() call for each row.
_EXTREMES: Final = {
    "boolean": ("booland_statefunc", "boolor_statefunc"),
    "integer": ("int4smaller", "int4larger"),
    "bigint": ("int8smaller", "int8larger"),
    "double precision": ("float8smaller", "float8larger"),
    "numeric": ("numeric_smaller", "numeric_larger"),
    "text": ("text_smaller", "text_larger"),
    "character varying": ("text_smaller", "text_larger"),
    "date": ("date_smaller", "date_larger"),
    "time without time zone": ("time_smaller", "time_larger"),
    "timestamp without time zone": ("timestamp_smaller", "timestamp_larger"),
    "timestamp with time zone": ("timestamptz_smaller", "timestamptz_larger"),
}


def translate_function(name: str, arguments: Arguments, *, immutable: bool) -> Typed:
    """A function that is no aggregate and not about time. Raises `NotTranslatable`."""
    found = _FUNCTIONS.get(name)
    if found is None:
        raise NotTranslatable(f"{name}()", "the function is not known here")
    least, most, translate = found
    if not least <= len(arguments) <= most:
        raise NotTranslatable(f"{name}()", f"with {len(arguments)} arguments it is not known here")
    made = translate(arguments)
    made = replace(made, volatile=made.volatile or any(each.volatile for each in arguments))
    if immutable and made.volatile:
        raise NotTranslatable(f"{name}()", "chance may not be in an expression like this")
    return made


def _hex(arguments: Arguments) -> Typed:
    (value,) = arguments
    if value.kind is not Kind.BYTES:
        raise NotTranslatable("hex()", f"it is about a {value.kind.value}, and not a blob")
    made = f"pg_catalog.upper(pg_catalog.encode({value.sql}, 'hex'))"
    # Of NULL it is an empty text.
    nullable = not value.volatile and value.constant is None
    return Typed(f"coalesce({made}, '')" if nullable else made, Kind.TEXT)


def _random_blob(arguments: Arguments) -> Typed:
    size = arguments[0].constant
    if not isinstance(size, int) or not 1 <= size <= _MAX_RANDOM:
        raise NotTranslatable("randomblob()", f"its size is no literal from 1 to {_MAX_RANDOM}")
    count = -(-size // _RANDOM_BYTES)
    sql = " || ".join(["pg_catalog.uuid_send(pg_catalog.gen_random_uuid())"] * count)
    if size % _RANDOM_BYTES:
        sql = f"pg_catalog.substr({sql}, 1, {size})"
    elif count > 1:
        sql = f"({sql})"
    return Typed(sql, Kind.BYTES, volatile=True)


def _random(_arguments: Arguments) -> Typed:
    # Eight bytes of a UUID's that are all chance: random() has 53 bits only, none of them low.
    uuid = "pg_catalog.uuid_send(pg_catalog.gen_random_uuid())"
    octets = f"pg_catalog.substr({uuid}, 10, 7) || pg_catalog.substr({uuid}, 1, 1)"
    sql = f"('x' || pg_catalog.encode({octets}, 'hex'))::pg_catalog.bit(64)::pg_catalog.int8"
    return Typed(sql, Kind.INTEGER, "bigint", volatile=True)


def _zero_blob(arguments: Arguments) -> Typed:
    size = arguments[0].constant
    if not isinstance(size, int) or not 0 <= size <= _MOST_ZEROS:
        problem = f"its size is no literal from 0 to {_MOST_ZEROS:,}"
        raise NotTranslatable("zeroblob()", problem)
    return Typed(f"pg_catalog.decode(pg_catalog.repeat('00', {size}), 'hex')", Kind.BYTES)


def _coalesce(arguments: Arguments) -> Typed:
    values = unify(arguments, "coalesce()")
    return combined(f"coalesce({join(', ', (each.sql for each in values))})", values)


def _nullif(arguments: Arguments) -> Typed:
    value, other = arguments
    if value.kind is Kind.NULL:
        return null()
    equal = compare(EQUAL, replace(value, affinity=None), replace(other, affinity=None))
    if equal.sql == f"({value.sql} = {other.sql})":
        return replace(combined(f"nullif({value.sql}, {other.sql})", [value]), nonnegative=False)
    return combined(f"(CASE WHEN {equal.sql} THEN NULL ELSE {value.sql} END)", [value])


def _iif(arguments: Arguments) -> Typed:
    branches = [*arguments[1:], null()][:2]
    return case([(condition(arguments[0]), branches[0])], branches[1])


def case(branches: Sequence[tuple[str, Typed]], otherwise: Typed, subject: str = "") -> Typed:
    """CASE subject WHEN condition THEN value … ELSE otherwise END."""
    values = unify([*(value for _, value in branches), otherwise], "CASE")
    whens = join(
        " ",
        (
            f"WHEN {tested} THEN {value.sql}"
            for (tested, _), value in zip(branches, values[:-1], strict=True)
        ),
    )
    word = f"CASE {subject}" if subject else "CASE"
    return combined(f"({word} {whens} ELSE {values[-1].sql} END)", values)


def combined(sql: str, values: Sequence[Typed]) -> Typed:
    """One of `values`, which are of one type: what can be told of it."""
    known = [value for value in values if value.kind is not Kind.NULL]
    if not known:
        return null()
    first = known[0]
    columns = [value.column for value in known if value.column]
    return Typed(
        sql,
        first.kind,
        "bigint" if any(value.wide for value in known) else first.type,
        column=columns[0] if columns and first.kind in _KEEPING else None,
        nonnegative=all(value.nonnegative for value in known),
        digits=all(value.digits for value in known),
        mixed=any(value.mixed for value in known),
        volatile=any(value.volatile for value in values),
    )


def _abs(arguments: Arguments) -> Typed:
    value = number(arguments[0])
    if value.kind is Kind.NULL:
        return value
    return replace(
        value,
        sql=f"pg_catalog.abs({value.sql})",
        nonnegative=True,
        constant=None,
        column=None,
        affinity=None,
    )


def _round(arguments: Arguments) -> Typed:
    value = number(arguments[0])
    places = arguments[1].constant if len(arguments) > 1 else 0
    if value.kind is Kind.INTEGER and isinstance(places, int):
        sql = f"{value.sql}::pg_catalog.float8"
        return Typed(sql, Kind.DOUBLE, nonnegative=value.nonnegative, integral=True)
    if places != 0 or value.kind not in NUMBERS:
        problem = "to a number of decimals SQLite rounds what it prints, and not the number"
        raise NotTranslatable("round()", problem)
    if value.integral:
        return replace(value, column=None, affinity=None)
    # As decimals, which PostgreSQL rounds as SQLite rounds doubles, half of one away from zero; by
    # way of its text, which has all digits of a double. Each operand stands in it once, so that
    # round(round(…)) does not grow with every level.
    steps = f"pg_catalog.round({double(value)}::pg_catalog.text::pg_catalog.numeric * {_STEPS})"
    sql = f"pg_catalog.round({steps} * {_STEP})::pg_catalog.float8"
    return Typed(sql, Kind.DOUBLE, nonnegative=value.nonnegative, integral=True)


def _extreme(name: str) -> Callable[[Arguments], Typed]:
    def translate(arguments: Arguments) -> Typed:
        values = unify(arguments, f"{name}()")
        if any(value.kind is Kind.NULL for value in values):
            return null()
        made = combined("", values)
        kind = made.type or made.kind.value
        sql = extremal(values[0])
        for value in values[1:]:
            sql = _extreme_of_two(name, kind, sql, extremal(value))
        return replace(made, sql=sql, type="text" if made.kind is Kind.TEXT else made.type)

    return translate


def _extreme_of_two(name: str, kind: str, first: str, second: str) -> str:
    """The larger or the smaller of two, and NULL if one of them is, which greatest() is not.

    Of two that are equal SQLite has max() give the first, and min() the second.
    """
    if kind == Kind.BYTES.value:
        # Their hexadecimal digits are in the order of the bytes.
        one, other = (
            f"pg_catalog.encode({each}, 'hex') COLLATE pg_catalog.\"C\"" for each in (first, second)
        )
        return f"pg_catalog.decode({_extreme_of_two(name, 'text', one, other)}, 'hex')"
    smaller, larger = _EXTREMES[kind]
    if name == "max":
        return f"pg_catalog.{larger}({second}, {first})"
    return f"pg_catalog.{smaller}({first}, {second})"


def ordered(value: Typed) -> str:
    """A value for `<`, min(), max() and ORDER BY. Raises `NotTranslatable`."""
    if value.kind is Kind.TEXT:
        if value.mixed:
            problem = "SQLite has numbers in it too, which come before all texts there"
            raise NotTranslatable(value.sql, problem)
        return under(value.collation or "BINARY", value.sql, ordered=True)
    if value.kind in {Kind.JSON, Kind.JSONB, Kind.JSON_PART, Kind.UUID}:
        raise NotTranslatable(value.sql, f"a {value.kind.value} has another order in SQLite")
    return value.sql


def extremal(value: Typed) -> str:
    """A value for min() and max(), which give it back. Raises `NotTranslatable`."""
    if value.kind is Kind.TEXT and (value.collation or "BINARY") != "BINARY":
        raise NotTranslatable(value.sql, f"the least by {value.collation} is not known here")
    return ordered(value)


def _typeof(arguments: Arguments) -> Typed:
    (value,) = arguments
    told = value.storage_class
    name = {
        Kind.INTEGER: "integer" if value.affinity is Affinity.INTEGER else told,
        Kind.DOUBLE: "real" if value.affinity is Affinity.REAL else told,
        Kind.TEXT: "text" if value.affinity is Affinity.TEXT else told,
        Kind.BYTES: told,
        Kind.BOOLEAN: told,
    }.get(value.kind)
    expected = {Kind.INTEGER: "integer", Kind.DOUBLE: "real", Kind.TEXT: "text"}
    expected |= {Kind.BYTES: "blob", Kind.BOOLEAN: "integer"}
    if value.column is None or name is None or name != expected.get(value.kind):
        raise NotTranslatable(
            f"typeof({value.sql})", "its storage class cannot be told for certain"
        )
    return Typed(f"(CASE WHEN {value.sql} IS NULL THEN 'null' ELSE '{name}' END)", Kind.TEXT)


_FUNCTIONS: Final[dict[str, Function]] = {
    **TEXT_FUNCTIONS,
    **JSON_FUNCTIONS,
    "abs": (1, 1, _abs),
    "coalesce": (2, 100, _coalesce),
    "hex": (1, 1, _hex),
    "if": (2, 3, _iif),
    "ifnull": (2, 2, _coalesce),
    "iif": (2, 3, _iif),
    "max": (2, 100, _extreme("max")),
    "min": (2, 100, _extreme("min")),
    "nullif": (2, 2, _nullif),
    "random": (0, 0, _random),
    "randomblob": (1, 1, _random_blob),
    "round": (1, 2, _round),
    "typeof": (1, 1, _typeof),
    "zeroblob": (1, 1, _zero_blob),
}
