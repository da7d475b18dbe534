"""Chooses the PostgreSQL type and the conversion of a column, with the evidence."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from dbopsd.migrate.importer.model.declared_type import Declared, Family, read_declared
from dbopsd.migrate.importer.model.source_profile import ColumnProfile, TextShapes
from dbopsd.migrate.importer.model.source_schema import Affinity, SourceColumn
from dbopsd.migrate.importer.plan.time_units import unit_of

_INT2: Final = (-(2**15), 2**15 - 1)
_INT4: Final = (-(2**31), 2**31 - 1)

_NOTHING: Final = {
    Affinity.INTEGER: ("bigint", "integer"),
    Affinity.REAL: ("double precision", "double"),
    Affinity.NUMERIC: ("numeric", "numeric"),
    Affinity.TEXT: ("text", "text"),
    Affinity.BLOB: ("text", "text"),
}


@dataclass(frozen=True)
class ColumnType:
    """The type of one column."""

    type: str
    conversion: str
    evidence: str
    unit: str = ""


def decide_type(column: SourceColumn, found: ColumnProfile) -> ColumnType:
    """The type of a column by what is declared, or else by what was found."""
    declared = read_declared(column.declared_type)
    decision = _DECIDE[declared.family](declared, column, found)
    name = f"declared {column.declared_type}" if column.declared_type else "no type declared"
    evidence = f"{name}; {describe(found)}"
    if decision.evidence:
        evidence = f"{evidence}: {decision.evidence}"
    return replace(decision, evidence=evidence)


def storage_class(found: ColumnProfile) -> str:
    """The one class of all values of a column; empty where there are several."""
    classes = {
        "integer": found.integers,
        "real": found.reals,
        "text": found.texts,
        "blob": found.blobs,
    }
    there = [name for name, count in classes.items() if count]
    if not there:
        return "text"
    return there[0] if len(there) == 1 else ""


def describe(found: ColumnProfile) -> str:
    """What was found, for people."""
    parts = [
        f"{count:,} {name}"
        for name, count in (
            ("integers", found.integers),
            ("reals", found.reals),
            ("texts", found.texts),
            ("blobs", found.blobs),
            ("NULLs", found.nulls),
        )
        if count
    ]
    return ", ".join(parts) or "no rows"


def _boolean(_declared: Declared, _column: SourceColumn, _found: ColumnProfile) -> ColumnType:
    return ColumnType("boolean", "boolean", "")


def _small_integer(_declared: Declared, _column: SourceColumn, found: ColumnProfile) -> ColumnType:
    low, high = found.min_integer or 0, found.max_integer or 0
    for name, (least, most) in (("smallint", _INT2), ("integer", _INT4)):
        if least <= low and high <= most:
            return ColumnType(name, "integer", "" if name == "smallint" else f"up to {high}")
    return ColumnType("bigint", "integer", f"from {low} to {high}")


def _integer(_declared: Declared, _column: SourceColumn, _found: ColumnProfile) -> ColumnType:
    return ColumnType("bigint", "integer", "")


def _double(_declared: Declared, _column: SourceColumn, _found: ColumnProfile) -> ColumnType:
    return ColumnType("double precision", "double", "")


def _numeric(declared: Declared, _column: SourceColumn, found: ColumnProfile) -> ColumnType:
    wanted = declared.precision
    if wanted is None:
        return ColumnType("numeric", "numeric", "")
    precision, scale = wanted
    digits, fraction = found.max_precision, found.max_scale
    if (digits is None or fraction is None) and found.values:
        return ColumnType("numeric", "numeric", "its digits were not counted")
    if found.infinities or (digits or 0) > precision - scale or (fraction or 0) > scale:
        problem = f"{digits} digits before and {fraction} after the point do not fit"
        return ColumnType("numeric", "numeric", f"{problem} numeric({precision},{scale})")
    return ColumnType(f"numeric({precision},{scale})", "numeric", "all fit")


def _text(_declared: Declared, _column: SourceColumn, _found: ColumnProfile) -> ColumnType:
    return ColumnType("text", "text", "")


def _bytes(_declared: Declared, _column: SourceColumn, _found: ColumnProfile) -> ColumnType:
    return ColumnType("bytea", "bytes", "")


def _date(declared: Declared, column: SourceColumn, found: ColumnProfile) -> ColumnType:
    shapes = found.shapes or TextShapes()
    decision = _timestamp(declared, column, found)
    timed = shapes.naive_timestamp - shapes.midnights + shapes.zoned_timestamp
    timed += found.off_midnight.get(decision.unit, 0)
    if timed:
        return replace(decision, evidence=f"{timed:,} have a time of day; {decision.evidence}")
    return ColumnType("date", "date", decision.evidence if decision.unit else "", decision.unit)


def _timestamp(declared: Declared, column: SourceColumn, found: ColumnProfile) -> ColumnType:
    shapes = found.shapes or TextShapes()
    unit, evidence = unit_of(found)
    if found.integers or found.reals:
        return ColumnType("timestamp with time zone", "timestamptz", evidence, unit)
    if shapes.zoned_timestamp or _declares_zone(column.declared_type):
        evidence = f"{shapes.zoned_timestamp:,} with a time zone"
        if shapes.naive_timestamp or shapes.date:
            evidence += f", {shapes.naive_timestamp + shapes.date:,} without, taken as UTC"
        return ColumnType("timestamp with time zone", "timestamptz", evidence)
    return ColumnType("timestamp without time zone", "timestamp", "none with a time zone")


def _declares_zone(declared: str) -> bool:
    upper = " ".join(declared.upper().split())
    return "WITH TIME ZONE" in upper or "TIMESTAMPTZ" in upper or "DATETIMEOFFSET" in upper


def _time(_declared: Declared, _column: SourceColumn, _found: ColumnProfile) -> ColumnType:
    return ColumnType("time without time zone", "time", "")


def _json(_declared: Declared, _column: SourceColumn, _found: ColumnProfile) -> ColumnType:
    return ColumnType("json", "json", "")


def _jsonb(_declared: Declared, _column: SourceColumn, _found: ColumnProfile) -> ColumnType:
    return ColumnType("jsonb", "jsonb", "")


def _uuid(_declared: Declared, _column: SourceColumn, _found: ColumnProfile) -> ColumnType:
    return ColumnType("uuid", "uuid", "")


def _by_values(_declared: Declared, column: SourceColumn, found: ColumnProfile) -> ColumnType:
    if not found.values:
        name, conversion = _NOTHING[column.affinity]
        if column.declared_type and column.affinity is Affinity.BLOB:
            name, conversion = "bytea", "bytes"
        return ColumnType(name, conversion, "")
    if found.blobs:
        mixed = found.integers or found.reals or found.texts
        return ColumnType("bytea", "bytes", "texts and numbers as their bytes" if mixed else "")
    if found.texts:
        mixed = found.integers or found.reals
        return ColumnType("text", "text", "numbers as their text" if mixed else "")
    if not found.reals:
        return ColumnType("bigint", "integer", "")
    if found.inexact_integers:
        return ColumnType("numeric", "numeric", "a double does not hold all of them")
    return ColumnType("double precision", "double", "")


_DECIDE: Final[dict[Family, Callable[[Declared, SourceColumn, ColumnProfile], ColumnType]]] = {
    Family.BOOLEAN: _boolean,
    Family.SMALLINT: _small_integer,
    Family.INTEGER: _integer,
    Family.DOUBLE: _double,
    Family.NUMERIC: _numeric,
    Family.TEXT: _text,
    Family.BYTES: _bytes,
    Family.DATE: _date,
    Family.TIMESTAMP: _timestamp,
    Family.TIME: _time,
    Family.JSON: _json,
    Family.JSONB: _jsonb,
    Family.UUID: _uuid,
    Family.BY_VALUES: _by_values,
}
