"""Locks, order and triggers of tables that others use."""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from graphlib import CycleError, TopologicalSorter
from typing import Final

from dbopsd.db.errors import DeadlockDetected, LockTimeout
from dbopsd.db.identifiers import quoted
from dbopsd.db.session import Session
from dbopsd.db.statement import Statement
from dbopsd.migrate.importer.model.plan import PlannedTable
from dbopsd.migrate.importer.postgres.sql import statement
from dbopsd.migrate.importer.records import import_records
from dbopsd.migrate.importer.records.import_records import ImportRecord

# So short that whoever waits behind us hardly notices, and shorter than `deadlock_timeout`, at
# which PostgreSQL would end them or us; the transaction is tried again then.
LOCK_TIMEOUT: Final = Statement("SET LOCAL lock_timeout = '500ms'", "SET lock_timeout")
DEFER: Final = Statement("SET CONSTRAINTS ALL DEFERRED", "SET CONSTRAINTS")
_CHECK_NOW: Final = Statement("SET CONSTRAINTS ALL IMMEDIATE", "SET CONSTRAINTS")
# By pg_trigger.tgenabled.
_ENABLED: Final = {"O": "", "A": "ALWAYS ", "R": "REPLICA "}


class LockOrder:
    """The order in which tables are locked: the one that failed comes first in the next attempt.

    A reader of two tables locks one after the other. Locking them in the opposite order deadlocks
    with it, in each attempt for as long as there are such readers.
    """

    def __init__(self) -> None:
        self._first: list[str] = []

    def sorted(self, names: Iterable[str]) -> list[str]:
        """The names in the order in which to lock them."""
        ranks = {name: rank for rank, name in enumerate(self._first)}
        return sorted(names, key=lambda name: ranks.get(name, len(ranks)))

    @contextmanager
    def acquiring(self, name: str) -> Iterator[None]:
        """Wraps the statement that locks `name`; if it fails, `name` comes first next time."""
        try:
            yield
        except (LockTimeout, DeadlockDetected):
            self._first = [name, *(other for other in self._first if other != name)]
            raise


def disable_triggers(table: str) -> str:
    """Disable the table's triggers, but not those of its constraints."""
    return f"ALTER TABLE ONLY {table} DISABLE TRIGGER USER"


def enable_trigger(table: str, name: str, state: str) -> str:
    """Enable a trigger in the state that it had: `pg_trigger.tgenabled`."""
    return f"ALTER TABLE ONLY {table} ENABLE {_ENABLED[state]}TRIGGER {quoted(name)}"


def qualified_name(record: ImportRecord, table: PlannedTable) -> str:
    """The name of a target table, quoted, with its schema."""
    return quoted(record.target_schema, table.target)


async def lock_tables(session: Session, record: ImportRecord, order: LockOrder, mode: str) -> None:
    """Lock the tables in a mode such as `SHARE ROW EXCLUSIVE`."""
    for name in order.sorted(table.target for table in record.plan.tables):
        text = f"LOCK TABLE {quoted(record.target_schema, name)} IN {mode} MODE"
        with order.acquiring(name):
            await session.execute(Statement(text, "LOCK TABLE"))


@asynccontextmanager
async def without_triggers(
    session: Session, record: ImportRecord, tables: Sequence[PlannedTable]
) -> AsyncIterator[None]:
    """Disable user triggers inside the block. All constraints are checked at its end."""
    # The functions of CHECKs, domains and other tables' triggers find their names as they always
    # do. Operators are looked for in pg_catalog first, which has the very ones for these types.
    await session.fetch_one(statement("use_role_search_path"))
    enable = []
    for table in tables:
        target = qualified_name(record, table)
        rows = await session.fetch_all(statement("triggers"), {"table": target})
        enable += [enable_trigger(*row) for row in rows]
        # A partition's own do not go off with those of the table that it is one of.
        for name in dict.fromkeys(name for name, _, _ in rows):
            disable = disable_triggers(name)
            await session.execute(Statement(disable, "ALTER TABLE DISABLE TRIGGER"))
    yield
    # Or PostgreSQL refuses to alter a table whose constraints have yet to be looked at.
    await session.execute(_CHECK_NOW)
    for text in enable:
        await session.execute(Statement(text, "ALTER TABLE ENABLE TRIGGER"))


async def parents_first(session: Session, record: ImportRecord) -> list[PlannedTable]:
    """The tables, each after the tables that it references; unsorted if they form a cycle."""
    names = [table.target for table in record.plan.tables]
    rows = await import_records.fetch_relations(session, record.target_schema, names)
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


async def fetch_count(session: Session, text: str, summary: str) -> int:
    """The number that a statement returns."""
    row = await session.fetch_one(Statement(text, summary))
    return int(row[0]) if row else 0
