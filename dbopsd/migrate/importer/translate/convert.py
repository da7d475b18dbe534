"""Convert expressions between types as SQLite does, if the result is the same."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from dbopsd.migrate.importer.postgres.catalog_names import qualified_type
from dbopsd.migrate.importer.translate.types import (
    MOMENTS,
    NUMBERS,
    Clock,
    Kind,
    NotTranslatable,
    Typed,
    integer,
    kind_of,
    number_of,
    text,
    truth,
)

BITS: Final = (0, 1)
_UNIFORM: Final = frozenset(
    {Kind.TEXT, Kind.BYTES, Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ, Kind.TIME, Kind.UUID}
)


def condition(value: Typed) -> str:
    """What SQLite takes for true: anything but 0 and NULL."""
    if value.kind is Kind.BOOLEAN:
        return value.sql
    if value.kind is Kind.NULL:
        return "NULL::pg_catalog.bool"
    if value.kind in NUMBERS:
        return f"({value.sql} <> 0)"
    raise NotTranslatable(value.sql, f"a {value.kind.value} is no condition in PostgreSQL")


def number(value: Typed) -> Typed:
    """An operand of arithmetic: integers of 64 bits, or doubles, as in SQLite."""
    if value.kind is Kind.INTEGER:
        if value.wide or value.constant is not None:
            return value
        return replace(value, sql=f"{value.sql}::pg_catalog.int8", type="bigint")
    if value.kind is Kind.BOOLEAN:
        sql = f"{value.sql}::pg_catalog.int4::pg_catalog.int8"
        return Typed(sql, Kind.INTEGER, "bigint", nonnegative=True, volatile=value.volatile)
    if value.kind is Kind.NUMERIC and value.type != Kind.DOUBLE.value:
        # SQLite's own arithmetic with them is that of doubles, and of integers that a double holds.
        sql = f"{value.sql}::pg_catalog.float8"
        return replace(value, sql=sql, type=Kind.DOUBLE.value, column=None, affinity=None)
    if value.kind in NUMBERS or value.kind is Kind.NULL:
        return value
    if isinstance(value.constant, str):
        found = number_of(value.constant)
        if isinstance(found, int):
            return integer(found)
    elif value.digits:
        sql = f"{value.sql}::pg_catalog.int8"
        return Typed(sql, Kind.INTEGER, "bigint", nonnegative=True, volatile=value.volatile)
    raise NotTranslatable(value.sql, f"SQLite would calculate with a {value.kind.value}")


def whole(value: Typed) -> Typed:
    """An operand that has to be an integer. Raises `NotTranslatable`."""
    found = number(value)
    if found.kind not in {Kind.INTEGER, Kind.NULL}:
        raise NotTranslatable(value.sql, "it is not certainly an integer")
    return found


def as_text(value: Typed) -> Typed:
    """What SQLite makes of it where it needs a text: an operand of `||`, of LIKE, of lower()."""
    match value.kind:
        case Kind.TEXT:
            return value
        case Kind.NULL:
            return replace(value, sql="NULL::pg_catalog.text", kind=Kind.TEXT)
        case Kind.INTEGER:
            if isinstance(value.constant, int):
                return text(str(value.constant))
            digits = value.nonnegative
            return _texted(value, f"{value.sql}::pg_catalog.text", digits=digits)
        case Kind.BOOLEAN:
            return _texted(value, f"{value.sql}::pg_catalog.int4::pg_catalog.text", digits=True)
        case Kind.JSON:
            return _texted(value, f"{value.sql}::pg_catalog.text")
        case Kind.DATE if not value.unit:
            return _texted(value, iso_date(value.sql))
        case _:
            problem = f"SQLite's text of a {value.kind.value} may be another than PostgreSQL's"
            raise NotTranslatable(value.sql, problem)


def _texted(value: Typed, sql: str, *, digits: bool = False) -> Typed:
    return Typed(sql, Kind.TEXT, digits=digits, volatile=value.volatile)


def iso_date(sql: str) -> str:
    """`2024-01-31` of a date or a timestamp; immutable, which to_char is not."""
    fields = (("year", 4), ("month", 2), ("day", 2))
    parts = " || '-' || ".join(padded(field, sql, digits) for field, digits in fields)
    return f"({parts})"


def padded(field: str, sql: str, digits: int) -> str:
    """A field of a date or a timestamp as so many digits, without its fraction."""
    whole = f"pg_catalog.trunc(extract({field} FROM {sql}))::pg_catalog.int4"
    return f"pg_catalog.lpad({whole}::pg_catalog.text, {digits}, '0')"


def typed_json(value: Typed) -> Typed:
    """A JSON as the text that it is in SQLite; anything else as it is."""
    if value.kind is not Kind.JSON:
        return value
    return replace(
        as_text(value),
        affinity=value.affinity,
        mixed=value.mixed,
        collation=value.collation,
        explicit=value.explicit,
    )


def unify(values: Sequence[Typed], what: str) -> list[Typed]:
    """The values as one type, for CASE, coalesce() and the parts of a compound query."""
    kinds = {value.kind for value in values} - {Kind.NULL}
    if not kinds:
        return list(values)
    if kinds <= {Kind.BOOLEAN, *NUMBERS}:
        return _unify_numbers(values, kinds)
    if len(kinds) > 1:
        (wanted, *others) = sorted(kinds, key=lambda kind: kind is Kind.TEXT)
        if wanted in MOMENTS and others == [Kind.TEXT]:
            problem = "dates and texts come together there"
        else:
            problem = f"{' and '.join(sorted(kind.value for kind in kinds))} come together there"
        raise NotTranslatable(what, problem)
    if kinds - _UNIFORM - {Kind.JSON, Kind.JSONB}:
        raise NotTranslatable(values[0].sql, "it may be a number or a text in SQLite")
    units = {value.unit for value in values if value.column}
    if len(units) > 1:
        raise NotTranslatable(what, "times that SQLite has in different units come together there")
    return list(values)


def _unify_numbers(values: Sequence[Typed], kinds: set[Kind]) -> list[Typed]:
    if Kind.BOOLEAN in kinds and all(
        value.kind in {Kind.BOOLEAN, Kind.NULL} or value.constant in BITS for value in values
    ):
        return [
            truth(bool(value.constant)) if value.kind is Kind.INTEGER else value for value in values
        ]
    if kinds <= {Kind.BOOLEAN, Kind.INTEGER}:
        return [value if value.kind is Kind.NULL else _integer(value) for value in values]
    if kinds == {Kind.DOUBLE}:
        return list(values)
    if kinds == {Kind.NUMERIC} and all(value.type == "numeric" for value in values):
        return list(values)
    return [
        value
        if value.kind is Kind.NULL
        else replace(number(value), sql=double(value), kind=Kind.NUMERIC, type=Kind.DOUBLE.value)
        for value in values
    ]


def _integer(value: Typed) -> Typed:
    if value.kind is Kind.BOOLEAN and value.constant is not None:
        return integer(int(value.constant))
    return number(value)


def double(value: Typed) -> str:
    """A number as a double, as SQLite's CAST(… AS REAL) and its division have it."""
    found = number(value)
    if found.kind is Kind.DOUBLE or found.type == Kind.DOUBLE.value:
        return found.sql
    return f"{found.sql}::pg_catalog.float8"


def assign(value: Typed, type_name: str) -> str:
    """The value as a column of that type keeps it, after SQLite's affinity. Raises."""
    if not type_name:
        return value.sql
    wanted = kind_of(type_name)
    if value.kind is Kind.NULL:
        return f"NULL::{qualified_type(type_name)}"
    made = _assigned(value, wanted)
    if made is None:
        problem = f"a {value.kind.value} does not certainly become a {type_name}"
        raise NotTranslatable(value.sql, problem)
    sql, made_type = made
    return sql if made_type == type_name else f"{sql}::{qualified_type(type_name)}"


def _assigned(value: Typed, wanted: Kind) -> tuple[str, str] | None:
    """SQL, and the type that it has; None: there is none for certain."""
    if value.kind is wanted and not (wanted is Kind.NUMERIC and value.type == Kind.DOUBLE.value):
        return value.sql, value.type or wanted.value
    if wanted in MOMENTS:
        return _moment(value, wanted)
    textual_number = value.digits or (value.moment and value.moment.clock is Clock.EPOCH)
    match wanted:
        case Kind.BOOLEAN if value.constant in BITS:
            return str(bool(value.constant)).lower(), "boolean"
        case Kind.BOOLEAN if value.kind is Kind.INTEGER:
            return f"({value.sql} <> 0)", "boolean"
        case Kind.INTEGER if value.kind is Kind.BOOLEAN or isinstance(value.constant, int):
            made = _integer(value)
            return made.sql, made.type
        case Kind.INTEGER if textual_number:
            return f"{value.sql}::pg_catalog.int8", "bigint"
        case Kind.DOUBLE if value.kind in NUMBERS or value.kind is Kind.BOOLEAN:
            return double(value), wanted.value
        case Kind.NUMERIC if value.kind in {Kind.INTEGER, Kind.BOOLEAN}:
            return _integer(value).sql, ""
        case Kind.NUMERIC if value.kind in NUMBERS:
            # By way of its text, which names the double exactly; a cast keeps fifteen digits.
            return f"{value.sql}::pg_catalog.text", ""
        case Kind.NUMERIC if textual_number:
            return value.sql, ""
        case Kind.TEXT:
            return as_text(value).sql, "text"
    return None


def _moment(value: Typed, wanted: Kind) -> tuple[str, str] | None:
    shown = value.moment
    if shown is None:
        return None
    if wanted is Kind.DATE:
        return (
            (f"{shown.sql}::pg_catalog.date", wanted.value) if shown.clock is Clock.DATE else None
        )
    if shown.clock in {Clock.EPOCH, Clock.TIME}:
        return None
    if wanted is Kind.TIMESTAMP:
        return shown.sql, wanted.value
    return f"({shown.sql} AT TIME ZONE 'UTC')", wanted.value


def unified(values: Sequence[Typed], what: str) -> list[Typed]:
    """As `unify`, where a NULL has to be told its type."""
    made = unify(values, what)
    known = next((value for value in made if value.kind is not Kind.NULL), None)
    kind = Kind.TEXT if known is None else known.kind
    type_name = kind.value if known is None else known.type or kind.value
    return [
        replace(value, sql=f"NULL::{qualified_type(type_name)}", kind=kind, type=type_name)
        if value.kind is Kind.NULL
        else value
        for value in made
    ]
