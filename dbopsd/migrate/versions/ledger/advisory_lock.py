"""The lock of whoever changes a database by migrations: one at a time.

It is polled, because a backend that waits in `pg_advisory_lock` has a snapshot that `CREATE INDEX
CONCURRENTLY` of the holder waits for: a deadlock, or, with the lock on a connection of its own,
a wait without end. It is on the connection that does the work, so that it is held until the last
statement of a client that was killed has ended.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from dbopsd.db.errors import DatabaseError
from dbopsd.db.session import Session
from dbopsd.migrate.versions.ledger.errors import MigrationsBusy
from dbopsd.migrate.versions.ledger.ledger import APPLICATION_NAME, Ledger

_FIRST_POLL_S: Final = 0.01
_LAST_POLL_S: Final = 0.25
# The longer it has waited, the less it asks: it is late by this part of its wait at most.
_POLL_SHARE: Final = 0.05
_TELL_EVERY_S: Final = 1.0


def application_name(operation: str) -> str:
    """The name of the session of an operation that takes the lock, by which others know it."""
    return f"{APPLICATION_NAME} {operation}"


@dataclass(frozen=True)
class Holder:
    """The session that has the lock. `operation`: the id; empty: it is not known."""

    pid: int
    application: str = ""
    user: str = ""
    operation: str = ""
    marks: frozenset[int] = frozenset()
    """What stands for the migration that runs in its transaction."""

    def __str__(self) -> str:
        if self.operation:
            return f"operations/{self.operation} (process {self.pid}, user {self.user})"
        return f"process {self.pid} ('{self.application}', user {self.user})"


@asynccontextmanager
async def database_lock(
    session: Session,
    ledger: Ledger,
    *,
    wait_s: float | None = None,
    waiting: Callable[[Holder], None] | None = None,
) -> AsyncIterator[None]:
    """Hold the lock for the time of the context, on a dedicated session, outside a transaction.

    `wait_s`: how long to try, in seconds; None: until it is cancelled. `waiting` gets the
    holder about once a second. Raises `MigrationsBusy`.
    """
    await _acquire(session, ledger, wait_s, waiting)
    try:
        yield
    finally:
        # A connection that is lost, or still runs something, gives it back by its end.
        with contextlib.suppress(DatabaseError):
            if session.usable:
                await session.fetch_one(ledger.statement("unlock"), (ledger.lock_key.value,))


async def lock_holder(session: Session, ledger: Ledger) -> Holder | None:
    """Who has the lock; None: nobody."""
    row = await session.fetch_one(ledger.statement("lock_holder"), ledger.lock_key.parameters)
    if row is None:
        return None
    pid, application, user, marks = row
    named, _, operation = application.partition(f"{APPLICATION_NAME} ")
    if named or not operation:
        operation = await _recorded_operation(session, ledger, pid)
    return Holder(pid, application, user, operation, frozenset(marks))


async def _recorded_operation(session: Session, ledger: Ledger, pid: int) -> str:
    """What the ledger has of a process whose name is not shown; empty: nothing."""
    if not await ledger.exists(session):
        return ""
    found = await session.fetch_one(ledger.statement("operation_of_backend"), {"pid": pid})
    return "" if found is None else str(found[0])


async def _acquire(
    session: Session,
    ledger: Ledger,
    wait_s: float | None,
    waiting: Callable[[Holder], None] | None,
) -> None:
    start_s = told_s = time.monotonic()
    while not await _try(session, ledger):
        now_s = time.monotonic()
        waited_s = now_s - start_s
        if wait_s is not None and waited_s >= wait_s:
            holder = await lock_holder(session, ledger)
            raise MigrationsBusy(ledger.database, str(holder or "a session that has just ended"))
        if waiting is not None and (now_s - told_s >= _TELL_EVERY_S or told_s == start_s):
            told_s = now_s
            holder = await lock_holder(session, ledger)
            if holder is not None:
                waiting(holder)
        await asyncio.sleep(max(_FIRST_POLL_S, min(waited_s * _POLL_SHARE, _LAST_POLL_S)))


async def _try(session: Session, ledger: Ledger) -> bool:
    row = await session.fetch_one(ledger.statement("try_lock"), (ledger.lock_key.value,))
    return row == (True,)
