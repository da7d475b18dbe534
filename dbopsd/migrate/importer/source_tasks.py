"""The tasks that inspect and profile a file and plan its import."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from dbopsd.migrate.importer.inspect.inspect_schema import inspect_schema
from dbopsd.migrate.importer.model.mapping import read_mapping
from dbopsd.migrate.importer.model.plan import Plan, PlannedTable
from dbopsd.migrate.importer.model.source_profile import TableProfile
from dbopsd.migrate.importer.model.source_schema import quote_sqlite
from dbopsd.migrate.importer.plan.plan_builder import build_plan, chosen_tables, count_rows
from dbopsd.migrate.importer.processes.context import Context
from dbopsd.migrate.importer.processes.tasks import (
    Inspected,
    InspectFile,
    MakePlan,
    Measured,
    MeasureTables,
    ProfileTable,
    SplitTables,
    TableRanges,
)
from dbopsd.migrate.importer.profile.profile_table import profile_table, rowid_ranges
from dbopsd.migrate.importer.snapshot.key_ranges import split_table
from dbopsd.migrate.importer.snapshot.open_sqlite import mapping_sql, open_immutable
from dbopsd.migrate.importer.snapshot.reader import TableUnreadable


async def inspect_file(task: InspectFile, _context: Context) -> Inspected:
    """Read the schema. Raises `InvalidMapping`, `SourceTableNotFound`."""
    mapping = read_mapping(task.request.mapping)
    with closing(open_immutable(Path(task.snapshot))) as connection:
        schema = inspect_schema(connection)
        chosen, _ = chosen_tables(schema, task.request, mapping)
        ranges = {each.name: rowid_ranges(connection, each, task.processes) for each in chosen}
    return Inspected(schema, ranges)


async def profile_one_table(task: ProfileTable, context: Context) -> TableProfile:
    """Look at what is in a table, or in a range of it."""
    with closing(open_immutable(Path(task.snapshot))) as connection:
        found = profile_table(connection, task.table, rowid_range=task.key_range)
    context.progress(found.rows)
    return found


async def plan_file(task: MakePlan, _context: Context) -> Plan:
    """Decide, and count the rows that conditions let through. Raises `InvalidMapping`."""
    mapping = read_mapping(task.request.mapping)
    made = build_plan(task.schema, task.profiles, task.request, mapping, task.staging)
    with closing(open_immutable(Path(task.snapshot))) as connection:
        return count_rows(connection, made)


async def split_tables(task: SplitTables, _context: Context) -> TableRanges:
    """Find the parts in which tables are copied."""
    with closing(open_immutable(Path(task.snapshot))) as connection:
        return TableRanges(_ranges(connection, task.plan, task.processes))


async def measure_tables(task: MeasureTables, _context: Context) -> Measured:
    """The plan for the file as it is now: with its numbers of rows, whatever the classes.

    Raises `TableUnreadable` for a table that it has no more.
    """
    tables = []
    with closing(open_immutable(Path(task.snapshot))) as connection:
        for table in task.plan.tables:
            try:
                low, high, rows = _extent(connection, table)
            except sqlite3.Error as error:
                raise TableUnreadable(task.source, table.source, str(error)) from error
            columns = tuple(replace(column, storage_class="") for column in table.columns)
            tables.append(replace(table, columns=columns, rows=rows, min_rowid=low, max_rowid=high))
        plan = replace(task.plan, tables=tuple(tables))
        return Measured(plan, _ranges(connection, plan, task.processes))


def _ranges(
    connection: sqlite3.Connection, plan: Plan, processes: int
) -> dict[str, list[tuple[int, int] | None]]:
    return {table.source: split_table(connection, table, processes) for table in plan.tables}


def _extent(
    connection: sqlite3.Connection, table: PlannedTable
) -> tuple[int | None, int | None, int]:
    """The first and the last rowid, and how many rows there are."""
    rowid = table.rowid or "NULL"
    condition = f" WHERE (\n{table.where}\n)" if table.where else ""
    query = (
        f"SELECT min({rowid}), max({rowid}), count(*) FROM {quote_sqlite(table.source)}{condition}"  # noqa: S608
    )
    with mapping_sql(connection):
        low, high, rows = connection.execute(query).fetchone()
    return low, high, rows
