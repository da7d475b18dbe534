"""Plans the columns of a table."""

from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, replace

from dbopsd.migrate.importer.model.errors import InvalidMapping
from dbopsd.migrate.importer.model.mapping import ColumnMapping, TableMapping, known_type
from dbopsd.migrate.importer.model.plan import Fate, PlannedColumn, PlannedObject
from dbopsd.migrate.importer.model.requests import IdentifierCase
from dbopsd.migrate.importer.model.source_profile import ColumnProfile, TableProfile
from dbopsd.migrate.importer.model.source_schema import SourceColumn, SourceTable
from dbopsd.migrate.importer.plan.column_types import (
    ColumnType,
    decide_type,
    describe,
    storage_class,
)
from dbopsd.migrate.importer.plan.names import Namespace
from dbopsd.migrate.importer.plan.time_units import doubt

ColumnKey = tuple[str, str]
"""A column of the source: the table's name and the column's."""


@dataclass(frozen=True)
class Columns:
    """The carried columns of a table, and the planned objects for all its columns."""

    planned: tuple[PlannedColumn, ...]
    objects: tuple[PlannedObject, ...]


def plan_columns(
    table: SourceTable,
    profile: TableProfile,
    mapping: TableMapping,
    types: MappingOf[ColumnKey, ColumnType],
    style: IdentifierCase,
) -> Columns:
    """Plan each column. `types` has the types of some already. Raises `InvalidMapping`."""
    _refuse_unknown(table, mapping)
    names = Namespace(style, columns=True)
    planned: list[PlannedColumn] = []
    objects: list[PlannedObject] = []
    for column in table.columns:
        wanted = mapping.column(column.name)
        if wanted.skip:
            objects.append(
                PlannedObject(
                    *("column", f"{table.name}.{column.name}", Fate.NOT_CARRIED),
                    reason="the mapping leaves it out",
                    table=table.name,
                )
            )
            continue
        target, changed = names.take(wanted.rename or column.name)
        found = profile.columns.get(column.name, ColumnProfile(rows=profile.rows))
        planned.append(
            _column(table, column, target, found, wanted, types.get((table.name, column.name)))
        )
        if changed:
            objects.append(
                PlannedObject(
                    *("column", f"{table.name}.{column.name}", Fate.CHANGED),
                    reason=f"it is called '{target}': {changed}",
                    table=table.name,
                )
            )
    return Columns(tuple(planned), tuple(objects))


def type_of(
    table: SourceTable, column: SourceColumn, found: ColumnProfile, wanted: ColumnMapping
) -> ColumnType:
    """The type of a column: from the mapping, or from its declaration and its values."""
    decided = decide_type(column, found)
    if wanted.type is None:
        if wanted.expression is not None:
            where = f"tables.{table.name}.columns.{column.name}"
            raise InvalidMapping(where, "has an expression and needs a type, too")
        return replace(decided, unit=wanted.unit or decided.unit)
    name, conversion = known_type(wanted.type)
    return ColumnType(
        name,
        conversion,
        f"by the mapping; {describe(found)}",
        wanted.unit or decided.unit,
    )


def _column(
    table: SourceTable,
    column: SourceColumn,
    target: str,
    found: ColumnProfile,
    wanted: ColumnMapping,
    tied: ColumnType | None,
) -> PlannedColumn:
    decided = tied or type_of(table, column, found, wanted)
    read_as_is = wanted.expression is None
    in_key = column.name in table.primary_key
    return PlannedColumn(
        source=column.name,
        target=target,
        type=decided.type,
        conversion=decided.conversion,
        evidence=decided.evidence,
        storage_class=storage_class(found) if read_as_is else "",
        # Of an expression, too: where it is NULL all the same, the row is rejected.
        not_null=column.not_null or (in_key and not found.nulls),
        unit=decided.unit,
        doubt="" if wanted.unit or wanted.expression else doubt(found, decided.unit),
        on_bad=wanted.on_bad,
        expression=wanted.expression or "",
        value_map=wanted.values,
    )


def _refuse_unknown(table: SourceTable, mapping: TableMapping) -> None:
    known = {column.name.lower() for column in table.columns}
    for name in mapping.columns:
        if name.lower() not in known:
            raise InvalidMapping(
                f"tables.{table.name}.columns.{name}", "names a column that the table does not have"
            )
