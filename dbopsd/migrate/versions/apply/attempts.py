"""Attempts at a migration, until it has its locks or gives up."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Final, Self, TypeVar

import stamina

from dbopsd.config.migrations import DatabaseMigrationsConfig
from dbopsd.db.errors import (
    DatabaseError,
    DeadlockDetected,
    LockTimeout,
    QueryCanceled,
    ScriptFailed,
    SerializationFailure,
    one_line,
)
from dbopsd.errors import DbopsError, StatusCode
from dbopsd.migrate.versions.apply.blockers import in_the_way, way_out
from dbopsd.migrate.versions.apply.lock_watch import LockWatch, OnWork
from dbopsd.migrate.versions.apply.watcher import Watcher
from dbopsd.migrate.versions.model.migration_file import Script
from dbopsd.migrate.versions.model.reports import Blocker

T = TypeVar("T")

OnLockWait = Callable[[int, float, tuple[Blocker, ...]], None]
"""Told of a wait that goes on, and of an attempt that gave way: the number of the attempt, how long
the migration has tried by then, in seconds, and who is in the way."""

# Writers that were held up get this time, and more each time, to catch up.
_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 5.0
# So that several appliers, or an applier and a job that runs every second, do not keep in step.
_JITTER: Final = 0.25
# With less than that, it is not worth holding writers up once more.
_SHORTEST_LEFT_S: Final = 0.05


@dataclass(eq=False)
class LockNotAcquired(DbopsError):
    """Sessions were in the way of a migration's locks until its time for them was over."""

    reason: ClassVar[str] = "LOCK_NOT_ACQUIRED"
    code: ClassVar[StatusCode] = StatusCode.ABORTED

    database: str
    migration: str
    attempts: int
    waited_s: float
    """From its first attempt on."""
    cause: str
    """What the server said to the last attempt."""
    blockers: tuple[Blocker, ...] = ()

    @property
    def message(self) -> str:
        tries = f"{self.attempts} attempt{'' if self.attempts == 1 else 's'}"
        who = in_the_way(self.blockers) if self.blockers else self.cause
        return (
            f"{self.migration} of database '{self.database}' did not get its locks within "
            f"{self.waited_s:.1f} s ({tries}): {who}; {way_out(self.blockers, self.database)}"
        )

    @property
    def metadata(self) -> dict[str, str]:
        known = {
            "database": self.database,
            "migration": self.migration,
            "attempts": str(self.attempts),
            "cause": self.cause,
        }
        if self.blockers:
            first = self.blockers[0]
            known |= {
                "pid": str(first.pid),
                "application": first.application,
                "user": first.user,
                "state": first.state,
                "relation": first.relation,
                "mode": first.mode,
            }
        return known


@dataclass(frozen=True)
class LockLimits:
    """How long a migration may wait for locks."""

    lock_timeout_ms: int
    """For each lock: the `lock_timeout` of the session that does the work."""
    budget_ms: int
    """For all waits of an attempt that stop writers."""
    wait_s: float
    """For all attempts, the time between them included."""
    patient: bool = False
    """Whether waits that stop nobody are limited by `wait_s` alone."""

    @classmethod
    def of(
        cls, config: DatabaseMigrationsConfig, script: Script, lock_wait_s: float | None
    ) -> Self:
        """As configured, but for what the file says of itself and the request of all.

        A file's own `lock_timeout` above the budget is its budget: who writes it there means it.
        """
        wait_s = config.lock_wait_s if lock_wait_s is None else lock_wait_s
        own = script.lock_timeout_ms
        budget_ms = min(max(config.lock_budget_ms, own or 0), round(wait_s * 1000) or 1)
        timeout_ms = config.lock_timeout_ms if own is None else own
        return cls(min(timeout_ms, budget_ms), budget_ms, wait_s)

    @property
    def concurrently(self) -> Self:
        """For a statement that leaves something when cut off, and stops no writers on the whole."""
        return replace(self, lock_timeout_ms=0, patient=True)


class LockAttempts:
    """The attempts at one migration, or at one statement outside a transaction.

    `watcher` is beside the session of `backend_pid`, which does the work; `migration` names the
    migration in errors. `spent_s`: how much of its time for locks earlier ones have used.
    """

    def __init__(
        self,
        watcher: Watcher,
        backend_pid: int,
        limits: LockLimits,
        *,
        database: str,
        migration: str,
        spent_s: float = 0.0,
        on_wait: OnLockWait | None = None,
        on_work: OnWork | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._watcher = watcher
        self._backend_pid = backend_pid
        self._limits = limits
        self._database = database
        self._migration = migration
        self._on_wait = on_wait
        self._on_work = on_work
        self._clock = clock
        self._spent_s = spent_s
        self._began = 0.0
        self.count = 0
        """How many there were."""
        self.waited_s = 0.0
        """How long they waited for locks, and between one and the next, in seconds."""
        self.blockers: tuple[Blocker, ...] = ()
        """Who was in the way when an attempt failed, the last one if it saw them."""
        self.autovacuums_cancelled = 0

    async def run(self, work: Callable[[LockWatch], Awaitable[T]]) -> T:
        """Do `work` until it has its locks; what it returns.

        `work` does all of it anew each time, and rolls back what it had begun. It opens the watch
        that it gets around its statements, and leaves it before it commits. The session has
        `lock_timeout_ms` of the limits.

        It is done again after a lock timeout, a deadlock, a failed serialization, and when the
        watch has cancelled it; every other error ends it. Raises `LockNotAcquired`.
        """
        self._began = self._clock() - self._spent_s
        try:
            # Most need no other one: they do not pay for what repeats it.
            return await self._attempt(work)
        except LockNotAcquired as exc:
            pause_s = self._pause_s(exc)
            if pause_s is False:
                raise
            await asyncio.sleep(pause_s)
        async for attempt in stamina.retry_context(on=self._pause_s, attempts=None, timeout=None):
            with attempt:
                return await self._attempt(work)
        raise AssertionError("unreachable: stamina re-raises the last error")

    async def _attempt(self, work: Callable[[LockWatch], Awaitable[T]]) -> T:
        self.count += 1
        # None begins unwatched.
        await self._watcher.look_after()
        left_s = max(self._left_s(), 0.0)
        watch = LockWatch(
            self._watcher,
            self._backend_pid,
            min(self._limits.budget_ms / 1000, left_s),
            wait_s=left_s if self._limits.patient else None,
            on_wait=self._tell,
            on_work=self._on_work,
            clock=self._clock,
        )
        try:
            return await work(watch)
        except DatabaseError as exc:
            if not _wants_locks(exc, watch):
                raise
            self.blockers = watch.blockers or self.blockers
            self._tell(watch.waited_s, self.blockers)
            raise self._not_acquired(exc) from exc
        finally:
            self.waited_s += watch.waited_s
            self.autovacuums_cancelled += watch.autovacuums_cancelled

    def _tell(self, _waited_s: float, blockers: tuple[Blocker, ...]) -> None:
        if self._on_wait is not None:
            self._on_wait(self.count, self._clock() - self._began, blockers)

    def _not_acquired(self, exc: DatabaseError) -> LockNotAcquired:
        return LockNotAcquired(
            self._database,
            self._migration,
            self.count,
            self._clock() - self._began,
            one_line(exc.message),
            self.blockers,
        )

    @property
    def _budget_s(self) -> float:
        limits = self._limits
        return limits.wait_s if limits.patient else limits.budget_ms / 1000

    def _left_s(self) -> float:
        return self._limits.wait_s - (self._clock() - self._began)

    def _pause_s(self, exc: Exception) -> float | bool:
        """How long to wait before the next attempt; False: there is none."""
        left_s = self._left_s()
        if not isinstance(exc, LockNotAcquired) or left_s < _SHORTEST_LEFT_S:
            return False
        pause_s = min(_FIRST_PAUSE_S * 2.0 ** (self.count - 1), _LONGEST_PAUSE_S)
        pause_s *= random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - no secret
        # The last attempt begins early enough to use what is left.
        pause_s = min(pause_s, left_s - min(self._budget_s, left_s / 2))
        self.waited_s += pause_s
        return pause_s


def _wants_locks(exc: DatabaseError, watch: LockWatch) -> bool:
    """Whether it failed for its locks alone, so that it may do better later."""
    error = exc.error if isinstance(exc, ScriptFailed) else exc
    if isinstance(error, QueryCanceled):
        return watch.over_budget
    return isinstance(error, LockTimeout | DeadlockDetected | SerializationFailure)
