"""Arithmetic and CAST: with integers of 64 bits and with doubles, as SQLite has them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from dbopsd.migrate.importer.model.source_schema import Affinity, affinity_of
from dbopsd.migrate.importer.translate.convert import as_text, double, number, whole
from dbopsd.migrate.importer.translate.types import (
    NUMBERS,
    Kind,
    NotTranslatable,
    Typed,
    blob,
    integer,
    null,
)

_BITS: Final = 64


def calculate(operator: str, left: Typed, right: Typed) -> Typed:
    """`left operator right`, of `+ - * / % & | << >>`. Raises `NotTranslatable`."""
    if operator in {"<<", ">>"}:
        return _shifted(operator, left, right)
    convert = number if operator in {"+", "-", "*", "/"} else whole
    left, right = convert(left), convert(right)
    if Kind.NULL in {left.kind, right.kind}:
        return null()
    made = _CALCULATIONS.get(operator, _plain)(operator, left, right)
    return replace(made, volatile=left.volatile or right.volatile)


def invert(value: Typed) -> Typed:
    """`~ value`. Raises `NotTranslatable`."""
    value = whole(value)
    if value.kind is Kind.NULL:
        return value
    return Typed(
        f"(~ {value.sql}::pg_catalog.int8)", Kind.INTEGER, "bigint", volatile=value.volatile
    )


def negate(value: Typed) -> Typed:
    """`- value`. Raises `NotTranslatable`."""
    value = number(value)
    if value.kind is Kind.NULL:
        return value
    return Typed(f"(- {value.sql})", value.kind, value.type, volatile=value.volatile)


def cast(value: Typed, declared: str) -> Typed:
    """`CAST(value AS declared)`. Raises `NotTranslatable`."""
    made = _cast(value, declared)
    if made is None:
        problem = f"a {value.kind.value} may become something else in SQLite"
        raise NotTranslatable(f"CAST({value.sql} AS {declared})", problem)
    return replace(made, affinity=affinity_of(declared), volatile=value.volatile)


def _plain(operator: str, left: Typed, right: Typed) -> Typed:
    nonnegative = operator != "-" and left.nonnegative and right.nonnegative
    if left.kind is right.kind is Kind.INTEGER:
        first = left.sql if left.wide or right.wide else f"{left.sql}::pg_catalog.int8"
        sql = f"({first} {operator} {right.sql})"
        return Typed(sql, Kind.INTEGER, "bigint", nonnegative=nonnegative)
    sql = f"({double(left)} {operator} {double(right)})"
    if Kind.DOUBLE in {left.kind, right.kind}:
        return Typed(sql, Kind.DOUBLE, nonnegative=nonnegative)
    return Typed(sql, Kind.NUMERIC, Kind.DOUBLE.value, nonnegative=nonnegative)


def _divided(_operator: str, left: Typed, right: Typed) -> Typed:
    nonnegative = left.nonnegative and right.nonnegative
    if left.kind is right.kind is Kind.INTEGER:
        sql = f"({left.sql} / {_no_zero(right, right.sql)})"
        return Typed(sql, Kind.INTEGER, "bigint", nonnegative=nonnegative)
    if Kind.DOUBLE in {left.kind, right.kind}:
        sql = f"({double(left)} / {_no_zero(right, double(right))})"
        return Typed(sql, Kind.DOUBLE, nonnegative=nonnegative)
    problem = "SQLite divides integers and reals in two ways, and both may be there"
    raise NotTranslatable(f"{left.sql} / {right.sql}", problem)


def _remainder(_operator: str, left: Typed, right: Typed) -> Typed:
    sql = f"({left.sql} % {_no_zero(right, right.sql)})"
    return Typed(sql, Kind.INTEGER, "bigint", nonnegative=left.nonnegative)


def _bitwise(operator: str, left: Typed, right: Typed) -> Typed:
    known = (left.nonnegative, right.nonnegative)
    nonnegative = any(known) if operator == "&" else all(known)
    sql = f"({left.sql} {operator} {right.sql}::pg_catalog.int8)"
    return Typed(sql, Kind.INTEGER, "bigint", nonnegative=nonnegative)


def _shifted(operator: str, left: Typed, right: Typed) -> Typed:
    left, places = whole(left), right.constant
    if not isinstance(places, int) or not 0 <= places < _BITS or left.kind is Kind.NULL:
        raise NotTranslatable(f"{left.sql} {operator}", "it is shifted by no literal from 0 to 63")
    sql = f"({left.sql}::pg_catalog.int8 {operator} {places})"
    return Typed(sql, Kind.INTEGER, "bigint", volatile=left.volatile)


def _no_zero(divisor: Typed, sql: str) -> str:
    """A divisor that is NULL instead of 0: SQLite has NULL there, and PostgreSQL an error."""
    if divisor.constant is not None and divisor.constant != 0:
        return sql
    return f"nullif({sql}, 0)"


def _cast(value: Typed, declared: str) -> Typed | None:
    constant = value.constant
    affinity = affinity_of(declared)
    if value.kind is Kind.NULL:
        return null()
    match affinity:
        case Affinity.TEXT:
            made = as_text(value)
            return replace(made, collation=value.collation, column=None, mixed=False)
        case Affinity.INTEGER if value.kind in {Kind.INTEGER, Kind.BOOLEAN}:
            return replace(whole(value), column=None)
        case Affinity.INTEGER if value.kind is Kind.DOUBLE and constant is None:
            return Typed(f"pg_catalog.trunc({value.sql})::pg_catalog.int8", Kind.INTEGER, "bigint")
        case Affinity.INTEGER | Affinity.NUMERIC if value.digits:
            return Typed(f"{value.sql}::pg_catalog.int8", Kind.INTEGER, "bigint", nonnegative=True)
        case Affinity.INTEGER if isinstance(constant, float) and abs(constant) < 2**63:
            return integer(int(constant))
        case Affinity.REAL if value.kind in NUMBERS or value.kind is Kind.BOOLEAN:
            return Typed(double(value), Kind.DOUBLE, nonnegative=value.nonnegative)
        case Affinity.NUMERIC if value.kind in NUMBERS or value.kind is Kind.BOOLEAN:
            return replace(value, column=None)
        case Affinity.BLOB if value.kind is Kind.BYTES:
            return value
        case Affinity.BLOB if isinstance(constant, str):
            return blob(constant.encode())
    return None


_CALCULATIONS: Final[dict[str, Callable[[str, Typed, Typed], Typed]]] = {
    "/": _divided,
    "%": _remainder,
    "&": _bitwise,
    "|": _bitwise,
}
