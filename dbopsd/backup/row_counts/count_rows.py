"""Counts the rows of every table of a cluster at one position of the WAL."""

import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Final

from dbopsd.backup.catalog.commit import RowCounts, TableRows
from dbopsd.backup.row_counts.snapshot import (
    Pair,
    Patience,
    Snapshot,
    Table,
    list_tables,
    snapshot,
)
from dbopsd.db.database import Database
from dbopsd.db.dsn import CATALOG_ONLY
from dbopsd.db.errors import DatabaseError, QueryCanceled
from dbopsd.db.session import Session
from dbopsd.db.statement import Statement, load_sql

APPLICATION: Final = "dbopsd-row-counts"

_DATABASES: Final = load_sql(__package__, "list_databases.sql").statement
_FILE: Final = load_sql(__package__, "file_of_table.sql").statement
# Without parameters: a percent sign in a name would be one of theirs.
_COUNT: Final = Statement("SELECT pg_catalog.count(*) FROM ONLY {table}", "SELECT count of rows")
_MOST_DATABASES: Final = 10
_SETTINGS: Final = {
    **CATALOG_ONLY,
    # Rows that a policy hides would be missing from the count: an error is better.
    "row_security": "off",
    "lock_timeout": "1s",
}

Advance = Callable[[int, int], None]
"""Takes how many tables are counted, and of how many."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long counting may take in all, and how long to look for a moment for it."""

    seconds: float = 60.0
    patience: Patience = field(default_factory=Patience)


async def count_rows(database: Database, limits: Limits, advance: Advance) -> RowCounts:
    """Count all tables of the cluster that takes writes.

    What cannot be counted is left out, with the reason. Raises `DatabaseError` where the server
    cannot be asked at all.
    """
    until = time.monotonic() + limits.seconds
    left_out: list[str] = []
    async with AsyncExitStack() as stack:
        sessions = await _sessions(database, stack, left_out)
        async with snapshot(sessions, limits.patience) as taken:
            tables = [
                (name, pair.reader, table)
                for name, pair in sessions.items()
                for table in await list_tables(pair.reader)
            ]
            counted: list[TableRows] = []
            for number, (name, session, table) in enumerate(tables):
                advance(number, len(tables))
                try:
                    rows = await _count(session, name, table, taken, until)
                    counted.append(TableRows(name, table.schema, table.name, rows))
                except _LeftOut as reason:
                    left_out.append(f"{name}.{table.schema}.{table.name}: {reason}")
    return RowCounts(taken.lsn, tuple(counted), tuple(left_out))


class _LeftOut(Exception):
    """A table is not counted; the text says why."""


async def _sessions(
    database: Database, stack: AsyncExitStack, left_out: list[str]
) -> dict[str, Pair]:
    """A pair of sessions with each database that can be had; the configured one is the first."""
    own = database.dsn.postgres_database
    found = {own: await _pair(database, own, stack)}
    for name, permitted in await found[own].locker.fetch_all(_DATABASES):
        if name in found:
            continue
        if not permitted:
            left_out.append(f"{name}: the role may not connect to it")
        elif len(found) >= _MOST_DATABASES:
            left_out.append(f"{name}: there are more than {_MOST_DATABASES} databases")
        else:
            try:
                found[name] = await _pair(database, name, stack)
            except DatabaseError as error:
                left_out.append(f"{name}: {error.message}")
    return found


async def _pair(database: Database, name: str, stack: AsyncExitStack) -> Pair:
    sessions = [
        await stack.enter_async_context(
            database.dedicated_session(
                "primary",
                application_name=APPLICATION,
                query_timeout_s=None,
                settings=_SETTINGS,
                dsn=database.dsn.to_postgres_database(name),
            )
        )
        for _ in range(2)
    ]
    return Pair(*sessions)


async def _count(
    session: Session, database: str, table: Table, taken: Snapshot, until: float
) -> int:
    """How many rows the snapshot has of a table. Raises `_LeftOut`."""
    busy = taken.unlocked.get((database, table.schema, table.name))
    left_ms = int((until - time.monotonic()) * 1000)
    if busy:
        raise _LeftOut(busy)
    if not table.permitted:
        raise _LeftOut("the role may not read it")
    if left_ms <= 0:
        raise _LeftOut("counting took too long before it")
    try:
        # Undone, so that the table is locked no longer than this.
        async with session.trial():
            await session.execute(
                Statement(f"SET LOCAL statement_timeout = {left_ms}", "SET statement_timeout")
            )
            ((rows,),) = await session.fetch_all(_COUNT.with_identifiers(table=table.identifier))
            name = {"schema": table.schema, "name": table.name}
            ((file,),) = await session.fetch_all(_FILE, name)
    except QueryCanceled:
        raise _LeftOut("counting it took too long") from None
    except DatabaseError as error:
        raise _LeftOut(error.message) from None
    if file != table.file:
        raise _LeftOut("it was emptied or rewritten meanwhile")
    counted: int = rows
    return counted
