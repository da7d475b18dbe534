"""Gives columns that foreign keys connect one type: PostgreSQL cannot compare others."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from dbopsd.migrate.importer.model.source_schema import SourceTable
from dbopsd.migrate.importer.plan.column_types import ColumnType
from dbopsd.migrate.importer.plan.columns import ColumnKey

_WHOLE_NUMBERS: Final = ("smallint", "integer", "bigint")
_NUMBERS: Final = (*_WHOLE_NUMBERS, "double precision", "real", "numeric")


def unify_types(
    tables: Iterable[SourceTable], types: Mapping[ColumnKey, ColumnType]
) -> dict[ColumnKey, ColumnType]:
    """The columns that get another type than `types` says, each with its new one.

    A group of columns with no type in common stays as it is: its foreign keys cannot be made.
    """
    tables = list(tables)
    fixed = {(table.name, table.rowid_alias) for table in tables if table.rowid_alias}
    changed: dict[ColumnKey, ColumnType] = {}
    for group in _groups(tables, types):
        common = _common({types[key].type for key in group})
        if common is None or (common[0] not in _WHOLE_NUMBERS and group & fixed):
            continue
        for key in group:
            if types[key].type != common[0]:
                because = f"{types[key].evidence}; foreign keys tie it to columns of {common[0]}"
                changed[key] = replace(
                    types[key], type=common[0], conversion=common[1], evidence=because
                )
    return changed


def _groups(
    tables: list[SourceTable], types: Mapping[ColumnKey, ColumnType]
) -> Iterable[set[ColumnKey]]:
    """The sets of columns that foreign keys connect, directly or indirectly."""
    group_of: dict[ColumnKey, set[ColumnKey]] = {}
    for table in tables:
        for foreign in table.foreign_keys:
            for mine, other in zip(foreign.columns, foreign.target_columns, strict=False):
                one, two = (table.name, mine), (foreign.target, other)
                if foreign.problem is None and one in types and two in types:
                    merged = group_of.get(one, {one}) | group_of.get(two, {two})
                    group_of.update(dict.fromkeys(merged, merged))
    unique: dict[int, set[ColumnKey]] = defaultdict(set)
    for group in group_of.values():
        unique[id(group)] = group
    return unique.values()


def _common(types: set[str]) -> tuple[str, str] | None:
    """The common type of all, with its conversion; None: there is none."""
    bare = {each.partition("(")[0] for each in types}
    if len(types) == 1:
        return None  # nothing to do
    if bare <= set(_WHOLE_NUMBERS):
        return max(bare, key=_WHOLE_NUMBERS.index), "integer"
    if bare <= set(_NUMBERS):
        return "numeric", "numeric"
    if "bytea" in bare:
        return "bytea", "bytes"
    if bare & {"text", "character varying"}:
        return "text", "text"
    return None
