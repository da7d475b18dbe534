"""Watches how long a migration waits for its locks, and ends its attempt when that is too long.

`lock_timeout` is for each lock: three tables within 500 ms each can stall writers for 1.5 s, for
they queue behind a lock that is waited for as behind one that is held.
"""

import asyncio
import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Final, Self

from dbopsd.db.errors import DatabaseError
from dbopsd.migrate.versions.apply.autovacuum import cancel_autovacuum
from dbopsd.migrate.versions.apply.blockers import AUTOVACUUM, LockWait, cancel_wait, lock_wait
from dbopsd.migrate.versions.apply.statement_progress import StatementProgress, statement_progress
from dbopsd.migrate.versions.apply.watcher import ServersDiffer, Watcher
from dbopsd.migrate.versions.model.reports import Blocker

OnWait = Callable[[float, tuple[Blocker, ...]], None]
"""Told of a wait that goes on: how long, in seconds, and who is in the way."""

OnWork = Callable[[float, StatementProgress | None], None]
"""Told of statements that go on: for how long, in seconds, and how far the server says they are."""

_POLL_S: Final = 0.02
# Of a short budget there are several looks, too.
_LOOKS: Final = 5
# Where writers do not queue behind the wait, nothing depends on seeing its end at once.
_PATIENT_POLL_S: Final = 0.2
_TELL_EVERY_S: Final = 1.0
_REOPEN_EVERY_S: Final = 0.1
# How long the end of a watch waits for the answer to a look.
_LAST_LOOK_S: Final = 0.25


@dataclass
class _Seen:
    """A wait for a lock, as it was seen last. `began` is by the watch's clock."""

    started: datetime
    began: float
    stalls_writers: bool


class LockWatch:
    """Watches the backend `backend_pid` by `watcher` while the context is open.

    Once its waits have taken more than `budget_s`, the statement that waits is cancelled: that
    raises `QueryCanceled` where it was sent, and `over_budget` is true. Leave the context before
    COMMIT: nothing is cancelled afterwards.

    Only waits count that stop writers: those while it has, or waits for, a lock on a table that
    conflicts with writing. `wait_s` limits all waits together, for statements without a
    `lock_timeout`; None: nothing does. Workers of autovacuum that are in the way are cancelled
    where the role may. About once a second `on_wait` is called while a wait lasts, and `on_work`
    while none does. A watcher that is lost is opened anew.

    What runs for less than the first look is not looked at, and costs nothing.
    """

    def __init__(
        self,
        watcher: Watcher,
        backend_pid: int,
        budget_s: float,
        *,
        wait_s: float | None = None,
        on_wait: OnWait | None = None,
        on_work: OnWork | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._watcher = watcher
        self._backend_pid = backend_pid
        self._budget_s = budget_s
        self._wait_s = wait_s
        self._on_wait = on_wait
        self._on_work = on_work
        self._clock = clock
        patient = wait_s is not None
        self._poll_s = min(_PATIENT_POLL_S if patient else _POLL_S, budget_s / _LOOKS)
        self._began = 0.0
        self._reopening = False
        self._cancelling = False
        self._ended = asyncio.Event()
        self._start: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._wait: _Seen | None = None
        self._tell_after = 0.0
        self._work_after = 0.0
        self._spent_s = 0.0
        self.waited_s = 0.0
        """How long it has waited for locks in all."""
        self.over_budget = False
        """Whether its statement was cancelled."""
        self.blockers: tuple[Blocker, ...] = ()
        """Who was in the way when it was last seen to wait."""
        self.autovacuums_cancelled = 0

    async def __aenter__(self) -> Self:
        self._began = self._clock()
        self._work_after = self._began + _TELL_EVERY_S
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
            if self._reopening or isinstance(exc, asyncio.CancelledError):
                self._task.cancel()
            await self._end(self._task)
        self._note_end()

    async def _end(self, task: asyncio.Task[None]) -> None:
        """Wait for the end of the watch: what it has sent must not reach what is done next.

        A look that only looks is cut off where its server hangs: the migration holds its locks
        meanwhile. Raises the caller's own cancellation, which `await task` would take for the
        task's.
        """
        try:
            ended, _ = await asyncio.wait({task}, timeout=_LAST_LOOK_S)
            if not ended and not self._cancelling:
                self._watcher.session.sever()
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
        while not self._ended.is_set():
            try:
                await self._look()
                await self._tell_of_work()
            except DatabaseError:
                await self._reopen()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), self._pause_s())

    async def _reopen(self) -> None:
        """Have the watcher see again. Until it does, the backend has its `lock_timeout` alone."""
        # The end of the context does not wait for a connection.
        self._reopening = True
        while not self._ended.is_set():
            try:
                await self._watcher.reopen()
            except (DatabaseError, ServersDiffer):
                await asyncio.sleep(_REOPEN_EVERY_S)
            else:
                break
        self._reopening = False

    async def _tell_of_work(self) -> None:
        """Tell how far it is, while it waits for nobody: then nothing depends on the next look."""
        now = self._clock()
        if self._on_work is None or self._wait is not None or now < self._work_after:
            return
        self._work_after = now + _TELL_EVERY_S
        progress = await statement_progress(self._watcher.session, self._backend_pid)
        self._on_work(now - self._began, progress)

    async def _look(self) -> None:
        seen = await lock_wait(self._watcher.session, self._backend_pid)
        if self._wait is not None and (seen is None or seen.started != self._wait.started):
            self._note_end()
        if seen is None:
            return
        if self._wait is None:
            began = self._clock() - seen.waited_s
            self._wait = _Seen(seen.started, began, seen.stalls_writers)
            self._tell_after = self._wait.began + _TELL_EVERY_S
        await self._act_on(seen, self._wait)

    async def _act_on(self, seen: LockWait, wait: _Seen) -> None:
        # Without any, the lock was had between one part of the look and the next.
        self.blockers = seen.blockers or self.blockers
        if any(blocker.state == AUTOVACUUM for blocker in seen.blockers):
            self.autovacuums_cancelled += await cancel_autovacuum(
                self._watcher.session, self._backend_pid
            )
        if self._left_s() <= 0:
            self._cancelling = True
            sent = await cancel_wait(self._watcher.session, self._backend_pid, wait.started)
            self._cancelling = False
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
        if self._wait.stalls_writers:
            self._spent_s += took_s
        self._wait = None

    def _left_s(self) -> float:
        """How long the wait may last that it is in."""
        if self._wait is None:
            return math.inf
        running_s = self._clock() - self._wait.began
        left_s = math.inf if self._wait_s is None else self._wait_s - self.waited_s - running_s
        if self._wait.stalls_writers:
            left_s = min(left_s, self._budget_s - self._spent_s - running_s)
        return left_s

    def _pause_s(self) -> float:
        if self.over_budget:
            return self._poll_s
        return min(self._poll_s, max(self._left_s(), 0.0))
