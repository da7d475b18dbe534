"""Builds the plan of an import from the schema and the profile of the file."""

import sqlite3
from collections.abc import Iterable, Iterator
from collections.abc import Mapping as MappingOf
from dataclasses import replace
from typing import Final

from dbopsd.migrate.importer.model.errors import InvalidMapping, SourceTableNotFound
from dbopsd.migrate.importer.model.mapping import Mapping
from dbopsd.migrate.importer.model.plan import (
    LARGEST_NUMBERS,
    Fate,
    Plan,
    PlannedColumn,
    PlannedObject,
    PlannedTable,
    values_only,
)
from dbopsd.migrate.importer.model.requests import ImportRequest
from dbopsd.migrate.importer.model.source_profile import ColumnProfile, TableProfile
from dbopsd.migrate.importer.model.source_schema import (
    SQLITE_COLLATIONS,
    SourceColumn,
    SourceSchema,
    SourceTable,
    quote_sqlite,
)
from dbopsd.migrate.importer.plan.column_types import ColumnType
from dbopsd.migrate.importer.plan.columns import ColumnKey, plan_columns, type_of
from dbopsd.migrate.importer.plan.constraints import plan_checks, plan_foreign_keys
from dbopsd.migrate.importer.plan.foreign_key_types import unify_types
from dbopsd.migrate.importer.plan.keys import TableContext, plan_keys
from dbopsd.migrate.importer.plan.names import Namespace
from dbopsd.migrate.importer.plan.views import plan_views
from dbopsd.migrate.importer.processes.limits import is_out_of_time
from dbopsd.migrate.importer.snapshot.open_sqlite import mapping_sql
from dbopsd.migrate.importer.translate.translator import FileBudget, NotTranslatable, Translator

_ROWID_NAMES: Final = ("rowid", "_rowid_", "oid")


def chosen_tables(
    schema: SourceSchema, request: ImportRequest, mapping: Mapping
) -> tuple[list[SourceTable], list[PlannedObject]]:
    """The tables to carry, and planned objects for the others. Raises `SourceTableNotFound`."""
    for name in (*request.tables, *request.exclude_tables, *mapping.tables):
        if schema.table(name) is None:
            known = ", ".join(table.name for table in schema.tables)
            raise SourceTableNotFound(name, known)
    wanted = {name.lower() for name in request.tables}
    excluded = {name.lower() for name in request.exclude_tables}
    chosen: list[SourceTable] = []
    objects: list[PlannedObject] = []
    for table in schema.tables:
        folded = table.name.lower()
        if folded in excluded or (wanted and folded not in wanted):
            reason = "the request leaves it out"
        elif mapping.table(table.name).skip:
            reason = "the mapping leaves it out"
        else:
            chosen.append(table)
            continue
        objects.append(
            PlannedObject("table", table.name, Fate.NOT_CARRIED, reason, table=table.name)
        )
    return chosen, objects


def build_plan(
    schema: SourceSchema,
    profiles: MappingOf[str, TableProfile],
    request: ImportRequest,
    mapping: Mapping,
    staging: str,
) -> Plan:
    """Build the plan. `profiles` has the profiles of the chosen tables by name.

    Its statements create everything in the schema `staging`.

    Raises `SourceTableNotFound`, `InvalidMapping`.
    """
    chosen, objects = chosen_tables(schema, request, mapping)
    types = _types(chosen, profiles, mapping)
    relations = Namespace(request.identifier_case)
    file = FileBudget()
    parts: dict[str, TableContext] = {}
    for table in chosen:
        profile = profiles[table.name]
        planned, about = _plan_table(table, profile, mapping, types, relations, request)
        if planned is None:
            objects.extend(about)
            continue
        made = TableContext(table, planned, profile, Translator.of(table, planned, file), staging)
        with_defaults, more = _with_expressions(made)
        parts[table.name] = replace(made, planned=with_defaults)
        objects.extend((*about, *more))
    for each in parts.values():
        if each.planned.identity:
            # PostgreSQL's own name for the sequence: nothing else is to have it.
            relations.take(f"{each.planned.target}_{each.planned.identity}_seq")
    views = plan_views(schema.views, parts, relations, request.identifier_case, file, staging)
    objects.extend(_keys_and_constraints(parts, relations, request))
    objects.extend(views)
    objects.extend(_objects_not_carried(schema))
    return Plan(tuple(each.planned for each in parts.values()), tuple(objects), _notes(schema))


def count_rows(connection: sqlite3.Connection, plan: Plan) -> Plan:
    """The plan with the number of rows of each table that has a condition.

    Raises `InvalidMapping` for conditions and expressions that SQLite does not know.
    """
    tables = []
    for table in plan.tables:
        name = quote_sqlite(table.source)
        for column in table.columns:
            if column.expression:
                where = f"tables.{table.source}.columns.{column.source}.expression"
                _check_expression(connection, name, column.expression, where)
        if table.where:
            where = f"tables.{table.source}.where"
            _check_expression(connection, name, table.where, where)
            query = f"SELECT count(*) FROM main.{name} WHERE (\n{table.where}\n)"  # noqa: S608
            table = replace(table, rows=_ask(connection, query, where))  # noqa: PLW2901
        tables.append(table)
    return replace(plan, tables=tuple(tables))


def _check_expression(connection: sqlite3.Connection, name: str, sql: str, where: str) -> None:
    """Check that it is one expression over a single row. Raises `InvalidMapping`.

    A condition may not have aggregates. No text that ends a parenthesis before it begins another
    one fits into both forms: it would take away rows, or the limits of the part that is copied.
    """
    for form in ("(\n{}\n)", "CAST(\n{}\n AS TEXT)"):
        query = f"SELECT 1 FROM main.{name} WHERE {form.format(sql)} IS NULL LIMIT 0"  # noqa: S608
        _ask(connection, query, where)


def _ask(connection: sqlite3.Connection, query: str, where: str) -> int:
    """The result of a counting query that contains a part of the mapping."""
    with mapping_sql(connection) as authorizer:
        try:
            row = connection.execute(query).fetchone()
        except sqlite3.Error as error:
            if is_out_of_time():
                raise
            if authorizer.refused:
                problem = f"{authorizer.refused}, which SQL of a mapping may not"
                raise InvalidMapping(where, problem) from error
            raise InvalidMapping(where, f"is nothing that SQLite knows: {error}") from error
    return int(row[0]) if row else 0


def _types(
    chosen: list[SourceTable], profiles: MappingOf[str, TableProfile], mapping: Mapping
) -> dict[ColumnKey, ColumnType]:
    """The types of the carried columns, unified over foreign keys."""
    types: dict[ColumnKey, ColumnType] = {}
    for table in chosen:
        profile = profiles[table.name]
        for column in table.columns:
            wanted = mapping.table(table.name).column(column.name)
            if not wanted.skip:
                found = profile.columns.get(column.name, ColumnProfile(rows=profile.rows))
                types[table.name, column.name] = type_of(table, column, found, wanted)
    return {**types, **unify_types(chosen, types)}


def _plan_table(
    table: SourceTable,
    profile: TableProfile,
    mapping: Mapping,
    types: MappingOf[ColumnKey, ColumnType],
    relations: Namespace,
    request: ImportRequest,
) -> tuple[PlannedTable | None, list[PlannedObject]]:
    wanted = mapping.table(table.name)
    columns = plan_columns(table, profile, wanted, types, request.identifier_case)
    if not columns.planned:
        reason = "none of its columns is carried"
        lost = PlannedObject("table", table.name, Fate.NOT_CARRIED, reason, table=table.name)
        return None, [lost]
    target, changed = relations.take(wanted.rename or table.name)
    rowid = next((each for each in columns.planned if each.source == table.rowid_alias), None)
    planned = PlannedTable(
        source=table.name,
        target=target,
        columns=columns.planned,
        rows=profile.rows,
        key=table.primary_key,
        rowid=_rowid_name(table),
        min_rowid=profile.min_rowid,
        max_rowid=profile.max_rowid,
        where=wanted.where,
        rowid_column=rowid.target if rowid else "",
        identity=rowid.target if rowid and rowid.type in LARGEST_NUMBERS else "",
        last_number=max(table.sequence or 0, profile.max_rowid or 0),
        own_collation=table.without_rowid
        and not SQLITE_COLLATIONS.issuperset(table.primary_key_collations),
        max_value_bytes=max(
            (max(each.max_text_bytes, each.max_blob_bytes) for each in profile.columns.values()),
            default=0,
        ),
    )
    reason = f"it is called '{target}': {changed}" if changed else ""
    if target != table.name and not changed:
        reason = f"it is called '{target}', as the mapping says"
    fate = Fate.CHANGED if reason else Fate.CARRIED
    about = PlannedObject("table", table.name, fate, reason, table=table.name)
    return planned, [about, *columns.objects]


def _rowid_name(table: SourceTable) -> str:
    if table.without_rowid:
        return ""
    columns = {column.name.lower() for column in table.columns}
    free = next((name for name in _ROWID_NAMES if name not in columns), "")
    return free or (table.rowid_alias or "")


def _with_expressions(parts: TableContext) -> tuple[PlannedTable, list[PlannedObject]]:
    """The table with its defaults and generated columns, and the objects for them."""
    columns: list[PlannedColumn] = []
    objects: list[PlannedObject] = []
    for planned in parts.planned.columns:
        source = parts.source.column(planned.source)
        column = planned
        for expression, plan in ((source.generated, _generated), (source.default, _default)):
            if expression is not None:
                column, about = plan(parts, source, column, expression)
                objects.append(about)
        if source.collation != "BINARY":
            objects.append(_collation(parts, source))
        columns.append(column)
    table = replace(parts.planned, columns=tuple(columns))
    if table.rowid_column:
        objects.append(_sequence(table))
    return table, objects


def _generated(
    parts: TableContext, source: SourceColumn, column: PlannedColumn, expression: str
) -> tuple[PlannedColumn, PlannedObject]:
    about = ("generated column", f"{parts.source.name}.{source.name}")
    if column.expression or column.value_map:
        reason = "the mapping says what its values are"
        objects = PlannedObject(*about, Fate.CHANGED, reason, table=parts.source.name)
        return column, objects
    try:
        made = parts.translator.value(expression, column.type)
    except NotTranslatable as why:
        return column, values_only(parts.source.name, source.name, str(why))
    reason = "" if source.stored else "PostgreSQL stores what it computes"
    fate = Fate.CARRIED if source.stored else Fate.CHANGED
    objects = PlannedObject(*about, fate, reason, table=parts.source.name)
    return replace(column, generated=made), objects


def _default(
    parts: TableContext, source: SourceColumn, column: PlannedColumn, expression: str
) -> tuple[PlannedColumn, PlannedObject]:
    about = ("default", f"{parts.source.name}.{source.name}")
    if column.target == parts.planned.identity:
        reason = "the column counts by itself"
        return column, PlannedObject(*about, Fate.CHANGED, reason, table=parts.source.name)
    try:
        made = parts.translator.default(expression, column.type)
    except NotTranslatable as why:
        lost = PlannedObject(*about, Fate.NOT_CARRIED, str(why), table=parts.source.name)
        return column, lost
    carried = PlannedObject(*about, Fate.CARRIED, table=parts.source.name)
    return replace(column, default=made), carried


def _collation(parts: TableContext, source: SourceColumn) -> PlannedObject:
    name = f"{parts.source.name}.{source.name} {source.collation}"
    if source.collation.upper() == "NOCASE":
        reason = "PostgreSQL compares it with case; its indexes are over lower(…)"
    elif source.collation.upper() == "RTRIM":
        reason = "PostgreSQL compares it with trailing blanks; its indexes are over rtrim(…)"
    else:
        reason = "the collation is the application's own: the database's default compares it"
    return PlannedObject("collation", name, Fate.CHANGED, reason, table=parts.source.name)


def _sequence(table: PlannedTable) -> PlannedObject:
    about = ("sequence", f"{table.source}.{table.rowid_column}")
    type_name = next(each.type for each in table.columns if each.target == table.rowid_column)
    if not table.identity:
        reason = f"PostgreSQL does not number a column of {type_name}: each row needs its own value"
        return PlannedObject(*about, Fate.NOT_CARRIED, reason, table=table.source)
    if table.last_number >= LARGEST_NUMBERS[type_name]:
        reason = (
            f"{table.last_number} has been used, and {type_name} ends at "
            f"{LARGEST_NUMBERS[type_name]}: the next row needs a number given"
        )
        return PlannedObject(*about, Fate.CHANGED, reason, table=table.source)
    return PlannedObject(*about, Fate.CARRIED, table=table.source)


def _keys_and_constraints(
    parts: MappingOf[str, TableContext], relations: Namespace, request: ImportRequest
) -> Iterator[PlannedObject]:
    constraints = {name: Namespace(request.identifier_case) for name in parts}
    for each in parts.values():
        yield from plan_keys(each, relations)
    for name, each in parts.items():
        yield from plan_checks(each, constraints[name])
    for name, each in parts.items():
        yield from plan_foreign_keys(each, parts, constraints[name])


def _objects_not_carried(schema: SourceSchema) -> Iterable[PlannedObject]:
    for trigger in schema.triggers:
        reason = "SQLite's trigger language is not PostgreSQL's: write it anew where it is needed"
        yield PlannedObject("trigger", trigger.name, Fate.NOT_CARRIED, reason, table=trigger.table)
    for virtual in schema.virtual_tables:
        shadows = f", nor are its tables {', '.join(virtual.shadow_tables)}"
        reason = f"PostgreSQL has no module '{virtual.module}': what it holds is not carried"
        yield PlannedObject(
            "virtual table",
            virtual.name,
            Fate.NOT_CARRIED,
            reason + (shadows if virtual.shadow_tables else ""),
        )
    for name, why in schema.unreadable.items():
        yield PlannedObject("table", name, Fate.NOT_CARRIED, f"SQLite cannot work with it: {why}")


def _notes(schema: SourceSchema) -> tuple[str, ...]:
    notes = [] if schema.tables else ["the file has no tables"]
    if schema.encoding != "UTF-8":
        notes.append(f"the file's text is {schema.encoding}, PostgreSQL's is UTF-8")
    if schema.user_version:
        notes.append(f"user_version is {schema.user_version}")
    if schema.application_id:
        notes.append(f"application_id is {schema.application_id}")
    return tuple(notes)
