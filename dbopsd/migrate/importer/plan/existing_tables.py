"""Fits a plan to existing tables: their columns, their types and their keys."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Final

from dbopsd.db.session import Session
from dbopsd.migrate.importer.model.mapping import known_type
from dbopsd.migrate.importer.model.plan import (
    Fate,
    Plan,
    PlannedColumn,
    PlannedObject,
    PlannedTable,
)
from dbopsd.migrate.importer.model.requests import ImportRequest, Mode
from dbopsd.migrate.importer.model.target_errors import TablesIncompatible
from dbopsd.migrate.importer.postgres.sql import statement

_GOES_ON: Final = "the table's own sequence goes on after the largest number that was used"
_STANDS: Final = "the table is there, with its own"
_MOST_PROBLEMS: Final = 20

CHILD: Final = "CHILD"
_PARTITION: Final = "PARTITION"


@dataclass(frozen=True)
class ExistingColumn:
    """A column of a table in the target schema."""

    relation: str
    name: str
    type: str
    not_null: bool
    fills_itself: bool
    """Whether a row may come without it: it has a default, an identity, or may be NULL."""
    generated: bool
    numbered: bool
    """Whether a sequence fills it where a row comes without it."""


async def fit_plan(session: Session, request: ImportRequest, plan: Plan) -> Plan:
    """The plan with the types of the existing tables. Raises `TablesIncompatible`."""
    names = [table.target for table in plan.tables]
    rows = await session.fetch_all_as(ExistingColumn, statement("columns"), (request.schema, names))
    keys: dict[str, list[list[str]]] = {}
    for relation, columns in await session.fetch_all(
        statement("unique_keys"), (request.schema, names)
    ):
        keys.setdefault(relation, []).append(columns)
    problems = await _find_unsuitable(session, request, names)
    tables = []
    numbered = set()
    for table in plan.tables:
        columns = [row for row in rows if row.relation == table.target]
        fitted = _fit_table(table, columns, problems)
        if request.mode is Mode.UPSERT:
            _check_key(fitted, keys.get(table.target, []), problems)
        if any(each.numbered and each.name == fitted.rowid_column for each in columns):
            numbered.add(table.source)
        tables.append(fitted)
    _refuse(request, problems)
    objects = tuple(_in_existing_table(each, numbered) for each in plan.objects)
    return replace(plan, tables=tuple(tables), objects=objects)


async def check_tables(session: Session, request: ImportRequest, plan: Plan) -> None:
    """Raise `TablesIncompatible` if rows would end up in other tables than planned."""
    _refuse(
        request, await _find_unsuitable(session, request, [table.target for table in plan.tables])
    )


def key_of(table: PlannedTable) -> list[str]:
    """The target columns of the source's primary key."""
    by_source = {column.source: column.target for column in table.columns}
    return [by_source[name] for name in table.key if name in by_source]


def _fit_table(
    table: PlannedTable, existing: list[ExistingColumn], problems: list[str]
) -> PlannedTable:
    if not existing:
        problems.append(f"there is no table '{table.target}'")
        return table
    exact = {column.name: column for column in existing}
    folded = {column.name.lower(): column for column in existing}
    columns = []
    taken = set()
    rowid_column = ""
    for column in table.columns:
        there = exact.get(column.target) or folded.get(column.target.lower())
        if there is None:
            problems.append(f"'{table.target}' has no column '{column.target}'")
            continue
        taken.add(there.name)
        if column.target == table.rowid_column:
            rowid_column = there.name
        if there.generated:
            continue  # it is PostgreSQL's to compute, whatever the file has
        columns.append(_fit_column(table, column, there, problems))
    problems.extend(
        f"'{table.target}.{column.name}' needs a value, and the file has no such column"
        for column in existing
        if column.name not in taken and not column.fills_itself
    )
    return replace(table, columns=tuple(columns), rowid_column=rowid_column, identity="")


def _fit_column(
    table: PlannedTable, column: PlannedColumn, there: ExistingColumn, problems: list[str]
) -> PlannedColumn:
    try:
        name, conversion = known_type(there.type)
    except ValueError:
        problems.append(f"'{table.target}.{there.name}' is {there.type}, which no conversion makes")
        return column
    evidence = column.evidence
    if name != column.type:
        evidence = f"{evidence}; the table has {name}"
    return replace(
        column,
        target=there.name,
        type=name,
        conversion=conversion,
        evidence=evidence,
        not_null=there.not_null,
        generated="",
        default="",
    )


def _refuse(request: ImportRequest, problems: list[str]) -> None:
    if problems:
        raise TablesIncompatible(
            request.schema, len(problems), "; ".join(problems[:_MOST_PROBLEMS])
        )


async def _find_unsuitable(session: Session, request: ImportRequest, names: list[str]) -> list[str]:
    """Why tables cannot take any rows, one text each."""
    found = await session.fetch_all(
        statement("unsuitable_tables"), {"schema": request.schema, "names": names}
    )
    problems = []
    for relation, kind, name in found:
        if kind == CHILD:
            problems.append(
                f"{name} inherits from '{relation}': its rows would be taken for the other's, and "
                "lose what columns they have besides"
            )
        elif kind == _PARTITION:
            problems.append(f"{name} is a partition of '{relation}', and the file has both")
        elif request.mode is not Mode.REPLACE:
            # There the rows are compared with the file's afterwards, whatever rules did.
            problems.append(f"'{relation}' has the rule {name}, by which rows become others")
    return problems


def _check_key(table: PlannedTable, keys: list[list[str]], problems: list[str]) -> None:
    key = key_of(table)
    if not key or len(key) < len(table.key):
        problems.append(f"'{table.source}' has no primary key, by which rows could be told apart")
    elif not any(set(key) == set(columns) for columns in keys):
        problems.append(f"nothing says that {', '.join(key)} of '{table.target}' is unique")
    problems.extend(
        f"'{table.target}.{column.target}' may be NULL, and rows are told by it"
        for column in table.columns
        if column.target in key and not column.not_null
    )


def _in_existing_table(planned: PlannedObject, numbered: AbstractSet[str]) -> PlannedObject:
    """The notes on an object; `numbered` are the tables whose rowid has a sequence there."""
    if planned.kind == "sequence" and planned.table in numbered:
        return replace(planned, fate=Fate.CARRIED, reason=_GOES_ON)
    if planned.kind in ("table", "column") or planned.fate is Fate.NOT_CARRIED:
        return planned
    return replace(
        planned,
        fate=Fate.NOT_CARRIED,
        reason=_STANDS,
        ddl="",
        validate="",
        fallback="",
    )
