"""Watches how long a migration waits for its locks, and ends its attempt when that is too long.

`lock_timeout` is for each lock: three tables within 500 ms each can stall writers for 1.5 s, for
they queue behind a lock that is waited for as behind one that is held.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import ClassVar, Final, Self

from dbopsd.db.database import Database
from dbopsd.db.dsn import CATALOG_ONLY
from dbopsd.db.errors import DatabaseError
from dbopsd.db.session import Session
from dbopsd.db.statement import load_sql
from dbopsd.errors import DbopsError, StatusCode
from dbopsd.migrate.versions.apply.autovacuum import cancel_autovacuum
from dbopsd.migrate.versions.apply.blockers import AUTOVACUUM, LockWait, cancel_wait, lock_wait
from dbopsd.migrate.versions.model.reports import Blocker

OnWait = Callable[[float, tuple[Blocker, ...]], None]
"""Told of a wait that goes on: how long, in seconds, and who is in the way."""

_BACKEND: Final = load_sql("dbopsd.migrate.versions.apply.sql", "backend_seen.sql").statement
_POLL_S: Final = 0.02
# Of a short budget there are several looks, too.
_LOOKS: Final = 5
# Where writers do not queue behind the wait, nothing depends on seeing its end at once.
_PATIENT_POLL_S: Final = 0.2
_ANSWER_TIMEOUT_S: Final = 5.0
_TELL_EVERY_S: Final = 1.0


@dataclass(eq=False)
class ServersDiffer(DbopsError):
    """The session that does the work and the one that watches it are on different servers."""

    reason: ClassVar[str] = "SERVERS_DIFFER"
    code: ClassVar[StatusCode] = StatusCode.UNAVAILABLE

    database: str

    @property
    def message(self) -> str:
        return (
            f"two connections to database '{self.database}' lead to different servers: let "
            f"databases.{self.database}.dsn lead to one, and apply again once a failover is over"
        )


@asynccontextmanager
async def watching_session(database: Database) -> AsyncIterator[Session]:
    """A connection for `LockWatch`, beside the one that does the work."""
    async with database.dedicated_session(
        "primary",
        application_name="dbopsd migrate watch",
        query_timeout_s=_ANSWER_TIMEOUT_S,
        # It is idle for as long as a migration waits for none.
        settings={**CATALOG_ONLY, "idle_session_timeout": "0"},
        replace_bad_text=True,
    ) as session:
        yield session


async def check_same_server(
    database: str, watcher: Session, working: Session, backend_pid: int
) -> None:
    """Raise `ServersDiffer` unless the watcher sees the backend of the session that does the work.

    On another server, the process of that number is somebody else's, and would be cancelled.
    """
    seen = [await each.fetch_one(_BACKEND, {"pid": backend_pid}) for each in (working, watcher)]
    if seen[0] is None or seen[0] != seen[1]:
        raise ServersDiffer(database)


@dataclass
class _Seen:
    """A wait for a lock, as it was seen last. `began` is by the watch's clock."""

    started: datetime
    began: float
    counts: bool


class LockWatch:
    """Watches the backend `backend_pid` from `session` while the context is open.

    Once its waits have taken more than `budget_s`, the statement that waits is cancelled: that
    raises `QueryCanceled` where it was sent, and `over_budget` is true. Leave the context before
    COMMIT: nothing is cancelled afterwards.

    Only waits count that stop writers: those while it has, or waits for, a lock on a table that
    conflicts with writing. With `all_waits` every wait counts, which is for statements that stop
    nobody, such as those with CONCURRENTLY. Workers of autovacuum that are in the way are
    cancelled where the role may. `on_wait` is called about once a second while a wait lasts.

    What runs for less than the first look is not looked at, and costs nothing.
    """

    def __init__(
        self,
        session: Session,
        backend_pid: int,
        budget_s: float,
        *,
        all_waits: bool = False,
        on_wait: OnWait | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session = session
        self._backend_pid = backend_pid
        self._budget_s = budget_s
        self._all_waits = all_waits
        self._on_wait = on_wait
        self._clock = clock
        self._poll_s = _PATIENT_POLL_S if all_waits else min(_POLL_S, budget_s / _LOOKS)
        self._ended = asyncio.Event()
        self._start: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._wait: _Seen | None = None
        self._tell_after = 0.0
        self._spent_s = 0.0
        self.waited_s = 0.0
        """How long it has waited for locks in all."""
        self.over_budget = False
        """Whether its statement was cancelled."""
        self.blockers: tuple[Blocker, ...] = ()
        """Who was in the way when it was last seen to wait."""
        self.autovacuums_cancelled = 0
        self.problem: DatabaseError | None = None
        """Why the watch ended early; the backend then has its `lock_timeout` alone."""

    async def __aenter__(self) -> Self:
        # Most migrations are done before the first look: they do not pay for a task.
        self._start = asyncio.get_running_loop().call_later(self._poll_s, self._begin)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._start is not None:
            self._start.cancel()
        self._ended.set()
        if self._task is not None:
            if isinstance(exc, asyncio.CancelledError):
                self._task.cancel()
            await self._end(self._task)
        self._note_end()

    async def _end(self, task: asyncio.Task[None]) -> None:
        """Wait for the end of the watch: what it has sent must not reach what is done next.

        Raises the caller's own cancellation, which `await task` would take for the task's.
        """
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait({task})
            raise
        if not task.cancelled():
            task.result()

    def _begin(self) -> None:
        self._task = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        try:
            while not self._ended.is_set():
                await self._look()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._ended.wait(), self._pause_s())
        except DatabaseError as exc:
            self.problem = exc

    async def _look(self) -> None:
        seen = await lock_wait(self._session, self._backend_pid)
        if self._wait is not None and (seen is None or seen.started != self._wait.started):
            self._note_end()
        if seen is None:
            return
        if self._wait is None:
            counts = self._all_waits or seen.stalls_writers
            self._wait = _Seen(seen.started, self._clock() - seen.waited_s, counts)
            self._tell_after = self._wait.began + _TELL_EVERY_S
        await self._act_on(seen, self._wait)

    async def _act_on(self, seen: LockWait, wait: _Seen) -> None:
        # Without any, the lock was had between one part of the look and the next.
        self.blockers = seen.blockers or self.blockers
        if any(blocker.state == AUTOVACUUM for blocker in seen.blockers):
            self.autovacuums_cancelled += await cancel_autovacuum(self._session, self._backend_pid)
        if wait.counts and self._left_s() <= 0:
            sent = await cancel_wait(self._session, self._backend_pid, wait.started)
            self.over_budget = self.over_budget or sent
        if self._on_wait is not None and (now := self._clock()) >= self._tell_after:
            self._tell_after = now + _TELL_EVERY_S
            self._on_wait(now - wait.began, self.blockers)

    def _note_end(self) -> None:
        """Add the wait that has ended, or is left behind, to what it took in all."""
        if self._wait is None:
            return
        took_s = self._clock() - self._wait.began
        self.waited_s += took_s
        if self._wait.counts:
            self._spent_s += took_s
        self._wait = None

    def _left_s(self) -> float:
        """How much of the budget is left."""
        current = self._wait
        running_s = self._clock() - current.began if current and current.counts else 0.0
        return self._budget_s - self._spent_s - running_s

    def _pause_s(self) -> float:
        if self._wait is None or not self._wait.counts or self.over_budget:
            return self._poll_s
        return min(self._poll_s, max(self._left_s(), 0.0))
