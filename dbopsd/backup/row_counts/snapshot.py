"""A snapshot of several PostgreSQL databases at one position of the WAL.

What a snapshot sees and what is in the WAL before a position are the same only where nothing
commits in between. Two ways lead there:

*A quiet moment.* The position is asked for, then whether any transaction has an id (each holds a
lock on its own until it is out of sight and its changes in sight), then come the snapshots, then
the position again. Where nothing wrote in between, whatever had committed before is seen, and
nothing else.

*Locks.* A table in SHARE mode has no transaction that wrote to it and has not ended. Whatever
position and snapshot are taken meanwhile, they agree on that table.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from dbopsd.backup.catalog.lsn import Lsn
from dbopsd.db.errors import DatabaseError, LockTimeout
from dbopsd.db.session import Session
from dbopsd.db.statement import Statement, load_sql

_POSITION: Final = load_sql(__package__, "position.sql").statement
_WRITERS: Final = load_sql(__package__, "writers.sql").statement
_TABLES: Final = load_sql(__package__, "list_tables.sql").statement
_SNAPSHOT: Final = Statement("SELECT pg_catalog.pg_current_snapshot()", "SELECT snapshot")
_LOCK: Final = Statement("LOCK TABLE ONLY {table} IN SHARE MODE", "LOCK TABLE")
_LOCK_TIMEOUT: Final = Statement("SET LOCAL lock_timeout = '50ms'", "SET lock_timeout")
_PAUSE_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Table:
    """A table as the snapshot has it; the columns of `list_tables.sql`."""

    schema: str
    name: str
    file: int
    permitted: bool

    @property
    def identifier(self) -> tuple[str, str]:
        """Its qualified name."""
        return self.schema, self.name


@dataclass(frozen=True, slots=True)
class Pair:
    """Two sessions with one PostgreSQL database: one reads in a snapshot, one holds locks."""

    reader: Session
    locker: Session


@dataclass(frozen=True)
class Snapshot:
    """The readers are in a transaction each, which sees what was committed before `lsn`."""

    lsn: Lsn
    unlocked: Mapping[tuple[str, str, str], str] = field(default_factory=dict)
    """Tables (database, schema, name) that others write to, and why they cannot be counted."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to look for a quiet moment, and how long to hold locks at most."""

    quiet_s: float = 2.0
    locked_s: float = 0.3


@asynccontextmanager
async def snapshot(sessions: Mapping[str, Pair], patience: Patience) -> AsyncIterator[Snapshot]:
    """A snapshot for the time of the context. `sessions` are at least one, by database."""
    readers = [each.reader for each in sessions.values()]
    first = next(iter(sessions.values())).locker
    until = time.monotonic() + patience.quiet_s
    while time.monotonic() < until:
        async with AsyncExitStack() as stack:
            lsn = await _quiet(first, readers, stack)
            if lsn is not None:
                yield Snapshot(lsn)
                return
        await asyncio.sleep(_PAUSE_S)
    async with AsyncExitStack() as stack:
        yield await _locked(sessions, stack, patience.locked_s)


async def list_tables(session: Session) -> list[Table]:
    """The tables that a session sees, the small ones first."""
    return await session.fetch_all_as(Table, _TABLES)


async def _quiet(control: Session, readers: Sequence[Session], stack: AsyncExitStack) -> Lsn | None:
    before = await _position(control)
    ((writers,),) = await control.fetch_all(_WRITERS)
    if writers:
        return None
    await _begin(readers, stack)
    return before if await _position(control) == before else None


async def _begin(readers: Sequence[Session], stack: AsyncExitStack) -> None:
    for each in readers:
        await stack.enter_async_context(
            each.transaction(isolation="REPEATABLE READ", read_only=True)
        )
        # The first query takes the snapshot, not BEGIN.
        await each.fetch_one(_SNAPSHOT)


async def _locked(sessions: Mapping[str, Pair], stack: AsyncExitStack, locked_s: float) -> Snapshot:
    """Lock what can be locked at once, take the snapshots, and let go."""
    unlocked: dict[tuple[str, str, str], str] = {}
    tables = {name: await list_tables(each.locker) for name, each in sessions.items()}
    async with AsyncExitStack() as locks:
        for each in sessions.values():
            await locks.enter_async_context(each.locker.transaction())
            await each.locker.execute(_LOCK_TIMEOUT)
        until = time.monotonic() + locked_s
        for name, pair in sessions.items():
            for table in tables[name]:
                if problem := await _lock(pair.locker, table, until):
                    unlocked[name, table.schema, table.name] = problem
        await _begin([each.reader for each in sessions.values()], stack)
        lsn = await _position(next(iter(sessions.values())).locker)
    # What appeared since the list was made is not locked.
    known = {(name, each.schema, each.name) for name, found in tables.items() for each in found}
    for name, pair in sessions.items():
        for table in await list_tables(pair.reader):
            if (name, table.schema, table.name) not in known:
                unlocked[name, table.schema, table.name] = "it was created meanwhile"
    return Snapshot(lsn, unlocked)


async def _lock(session: Session, table: Table, until: float) -> str:
    """Lock a table; why that was not possible."""
    if time.monotonic() > until:
        return "the server is busy, and locks are not held for longer"
    try:
        async with session.transaction():
            await session.execute(_LOCK.with_identifiers(table=table.identifier))
    except LockTimeout:
        return "others write to it"
    except DatabaseError as error:
        return error.message
    return ""


async def _position(session: Session) -> Lsn:
    ((text,),) = await session.fetch_all(_POSITION)
    return Lsn.parse(text)
