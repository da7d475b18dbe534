"""Tables that stay, made ready for rows to go in and out: locked, in order, without triggers."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from graphlib import CycleError, TopologicalSorter
from typing import Final

from dbopsd.db.identifiers import quoted
from dbopsd.db.session import Session
from dbopsd.db.statement import Statement
from dbopsd.migrate.importer.planning.plan import PlannedTable
from dbopsd.migrate.importer.target import merge_sql
from dbopsd.migrate.importer.target.locks import LockOrder
from dbopsd.migrate.importer.target.records import ImportRecord, statement

DEFER: Final = Statement("SET CONSTRAINTS ALL DEFERRED", "SET CONSTRAINTS")
_CHECK_NOW: Final = Statement("SET CONSTRAINTS ALL IMMEDIATE", "SET CONSTRAINTS")


def target_of(record: ImportRecord, table: PlannedTable) -> str:
    """The table that stays, quoted, with its schema."""
    return quoted(record.target_schema, table.target)


async def lock(session: Session, record: ImportRecord, order: LockOrder, mode: str) -> None:
    """Lock the tables in a mode such as `SHARE ROW EXCLUSIVE`."""
    for name in order.sorted(table.target for table in record.plan.tables):
        text = f"LOCK TABLE {quoted(record.target_schema, name)} IN {mode} MODE"
        with order.taking(name):
            await session.execute(Statement(text, "LOCK TABLE"))


@asynccontextmanager
async def without_triggers(
    session: Session, record: ImportRecord, tables: Sequence[PlannedTable]
) -> AsyncIterator[None]:
    """Have the tables' own triggers see nothing meanwhile; all constraints hold at its end."""
    enable = []
    for table in tables:
        target = target_of(record, table)
        rows = await session.fetch_all(statement("triggers"), {"table": target})
        enable += [merge_sql.enable_trigger(*row) for row in rows]
        # A partition's own do not go off with those of the table that it is one of.
        for name in dict.fromkeys(name for name, _, _ in rows):
            disable = merge_sql.disable_triggers(name)
            await session.execute(Statement(disable, "ALTER TABLE DISABLE TRIGGER"))
    yield
    # Or PostgreSQL refuses to alter a table whose constraints have yet to be looked at.
    await session.execute(_CHECK_NOW)
    for text in enable:
        await session.execute(Statement(text, "ALTER TABLE ENABLE TRIGGER"))


async def parents_first(session: Session, record: ImportRecord) -> list[PlannedTable]:
    """The tables, each after those that it refers to, where they do not refer to each other."""
    names = [table.target for table in record.plan.tables]
    rows = await session.fetch_all(statement("relations"), (record.target_schema, names))
    by_oid = {int(oid): name for oid, name, _ in rows}
    by_name = {table.target: table for table in record.plan.tables}
    order: TopologicalSorter[str] = TopologicalSorter({name: set() for name in by_name})
    tables = {"tables": list(by_oid)}
    for child, parent in await session.fetch_all(statement("references"), tables):
        order.add(by_oid[child], by_oid[parent])
    try:
        return [by_name[name] for name in order.static_order()]
    except CycleError:
        # Only constraints that can be deferred can hold then.
        return list(record.plan.tables)


async def number(session: Session, text: str, summary: str) -> int:
    """The number that a statement counts."""
    row = await session.fetch_one(Statement(text, summary))
    return int(row[0]) if row else 0
