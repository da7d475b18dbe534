"""SQLite's aggregates and window functions: https://sqlite.org/lang_aggfunc.html."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sqlglot import exp

from dbopsd.migrate.importer.translate.convert import as_text, double, number
from dbopsd.migrate.importer.translate.functions import extremal, ordered
from dbopsd.migrate.importer.translate.types import Kind, NotTranslatable, Typed, text

_LEAST_UNSUPPORTED: Final = frozenset({Kind.BYTES, Kind.NULL})


@dataclass(frozen=True)
class Call:
    """A call: what comes after it (FILTER, OVER) has to follow it at once."""

    sql: str
    result: Typed
    """With `{}` in the place of the call."""

    def with_clause(self, clause: str) -> "Call":
        """The call with FILTER (…) or OVER (…) behind it."""
        return replace(self, sql=f"{self.sql} {clause}")

    def typed(self) -> Typed:
        """The whole."""
        return replace(self.result, sql=self.result.sql.replace("{}", self.sql))


def is_aggregate(node: exp.Expr) -> bool:
    """Whether it is a call of an aggregate function."""
    if not isinstance(node, exp.Anonymous):
        return False
    name = node.name.lower()
    if name in {"min", "max"}:
        return len(node.expressions) == 1
    return name in _AGGREGATES or name in _WINDOWS


def call(name: str, arguments: Sequence[Typed], *, distinct: bool, window: bool) -> Call:
    """An aggregate, or with `window` a window function. Raises `NotTranslatable`."""
    word = "DISTINCT " if distinct else ""
    if name in _AGGREGATES:
        return _AGGREGATES[name](arguments, word)
    if not window or distinct:
        raise NotTranslatable(f"{name}()", "it is known with OVER only")
    return _WINDOWS[name](name, arguments)


def order_by(value: Typed, *, descending: bool, nulls_first: bool) -> str:
    """A term of ORDER BY: SQLite's NULLs are less than everything."""
    direction = " DESC" if descending else ""
    return f"{ordered(value)}{direction} NULLS {'FIRST' if nulls_first else 'LAST'}"


def _one(name: str, arguments: Sequence[Typed]) -> Typed:
    if len(arguments) != 1:
        raise NotTranslatable(f"{name}()", f"with {len(arguments)} arguments it is not known here")
    return arguments[0]


def _count(arguments: Sequence[Typed], word: str) -> Call:
    result = Typed("{}", Kind.INTEGER, "bigint", nonnegative=True)
    if not arguments:
        return Call("pg_catalog.count(*)", result)
    value = _one("count", arguments)
    if word and value.kind in {Kind.JSON, Kind.JSONB, Kind.JSON_PART}:
        raise NotTranslatable("count(DISTINCT)", f"a {value.kind.value} has no equality")
    if word and (value.collation or "BINARY") != "BINARY":
        raise NotTranslatable("count(DISTINCT)", f"it is by {value.collation}")
    return Call(f"pg_catalog.count({word}{value.sql})", result)


def _sum(arguments: Sequence[Typed], word: str) -> Call:
    value = number(_one("sum", arguments))
    if value.kind is Kind.INTEGER:
        return Call(
            f"pg_catalog.sum({word}{value.sql})",
            Typed("({})::pg_catalog.int8", Kind.INTEGER, "bigint"),
        )
    kind = Kind.NUMERIC if value.kind is Kind.NUMERIC else Kind.DOUBLE
    return Call(f"pg_catalog.sum({word}{double(value)})", Typed("{}", kind, Kind.DOUBLE.value))


def _total(arguments: Sequence[Typed], word: str) -> Call:
    value = double(_one("total", arguments))
    return Call(f"pg_catalog.sum({word}{value})", Typed("coalesce({}, 0)", Kind.DOUBLE))


def _average(arguments: Sequence[Typed], word: str) -> Call:
    value = double(_one("avg", arguments))
    return Call(f"pg_catalog.avg({word}{value})", Typed("{}", Kind.DOUBLE))


def _extreme(name: str) -> Callable[[Sequence[Typed], str], Call]:
    def translate(arguments: Sequence[Typed], _word: str) -> Call:
        value = _one(name, arguments)
        if value.kind is Kind.BOOLEAN:
            value = number(value)
        if value.kind in _LEAST_UNSUPPORTED:
            raise NotTranslatable(f"{name}()", f"PostgreSQL has none of a {value.kind.value}")
        return Call(
            f"pg_catalog.{name}({extremal(value)})", replace(value, sql="{}", constant=None)
        )

    return translate


def _group_concat(arguments: Sequence[Typed], word: str) -> Call:
    if not 1 <= len(arguments) <= 2:
        raise NotTranslatable("group_concat()", f"with {len(arguments)} arguments it is not known")
    separator = arguments[1] if len(arguments) == 2 else text(",")
    if not isinstance(separator.constant, str):
        raise NotTranslatable("group_concat()", "its separator is no literal")
    value = as_text(arguments[0])
    return Call(
        f"pg_catalog.string_agg({word}{value.sql}, {separator.sql})", Typed("{}", Kind.TEXT)
    )


def _rank(name: str, arguments: Sequence[Typed]) -> Call:
    if arguments:
        raise NotTranslatable(f"{name}()", "it takes no arguments")
    return Call(f"pg_catalog.{name}()", Typed("{}", Kind.INTEGER, "bigint", nonnegative=True))


def _share(name: str, arguments: Sequence[Typed]) -> Call:
    return replace(_rank(name, arguments), result=Typed("{}", Kind.DOUBLE, nonnegative=True))


def _neighbour(name: str, arguments: Sequence[Typed]) -> Call:
    value, *rest = arguments
    steps = rest[0].constant if rest else 1
    if len(rest) > 1 or not isinstance(steps, int) or steps < 0:
        raise NotTranslatable(f"{name}()", "its second argument is no literal, or it has a third")
    return Call(f"pg_catalog.{name}({value.sql}, {steps})", replace(value, sql="{}", constant=None))


def _edge(name: str, arguments: Sequence[Typed]) -> Call:
    value = _one(name, arguments)
    return Call(f"pg_catalog.{name}({value.sql})", replace(value, sql="{}", constant=None))


_AGGREGATES: Final[dict[str, Callable[[Sequence[Typed], str], Call]]] = {
    "avg": _average,
    "count": _count,
    "group_concat": _group_concat,
    "max": _extreme("max"),
    "min": _extreme("min"),
    "string_agg": _group_concat,
    "sum": _sum,
    "total": _total,
}
_WINDOWS: Final[dict[str, Callable[[str, Sequence[Typed]], Call]]] = {
    "cume_dist": _share,
    "dense_rank": _rank,
    "first_value": _edge,
    "lag": _neighbour,
    "last_value": _edge,
    "lead": _neighbour,
    "percent_rank": _share,
    "rank": _rank,
    "row_number": _rank,
}
