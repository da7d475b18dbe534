"""The duties that this process holds: taken when nobody has them, and let go of in time.

No two clocks are compared. Whoever wants a duty takes it when it has seen the holder's heartbeat
unchanged for `takeover_after_s` by its own clock. The holder counts from before it asked for its
last heartbeat that was written: after half of that time it cancels the work, and after three
quarters the kernel kills the process with all that it runs, if the work is not over by then. So
it has ended before anybody else can begin, with a quarter of the time to spare.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from opentelemetry.trace import Tracer

from dbopsd.config import OperationsConfig
from dbopsd.db.database import Database
from dbopsd.operations import store as control
from dbopsd.operations.async_store import AsyncControlStore
from dbopsd.operations.duty import Duty, DutyKey, Place
from dbopsd.operations.errors import ControlStoreUnavailable, DutyLost
from dbopsd.operations.heartbeat_monitor import HeartbeatMonitor
from dbopsd.operations.kind import Request
from dbopsd.operations.metrics import DutyMetrics
from dbopsd.operations.orphan_processes import sweep
from dbopsd.operations.process_deadline import ProcessDeadline
from dbopsd.operations.program_runner import ProgramRunner

if TYPE_CHECKING:
    # With SQLAlchemy, which takes long to load.
    from dbopsd.operations.store.duties import Lease

_log = logging.getLogger(__name__)

# Parts of `takeover_after_s`, from before a heartbeat was asked for that was written.
_STOP_AFTER: Final = 0.5
_KILL_AFTER: Final = 0.75
# The control store answers in milliseconds, or something holds everybody up.
_PROMPT_S: Final = 1.0
_LEAST_PAUSE_S: Final = 0.05
_RETRY_S: Final = 1.0
_LEAST_BACKOFF_S: Final = 1.0
_MOST_BACKOFF_S: Final = 30.0
# Work that went on for so long was well: what ends it then is something new.
_WELL_S: Final = 60.0

StartOperation = Callable[[DutyKey, str, Request, str], Awaitable[None]]
"""Starts an operation for a duty: of that kind, with that request, once for each request id."""


@dataclass(slots=True)
class _Held:
    """A duty that this process has, from its taking until its work has ended."""

    duty: Duty
    token: int
    asked_at: float
    """When the last heartbeat that was written was asked for."""
    began_at: float
    run: "_Run"
    task: "asyncio.Task[str]"
    stopping: bool = False
    timer: asyncio.TimerHandle | None = None


@dataclass(slots=True)
class _Failures:
    """How often in a row a duty's work ended by itself here, and when to try it again."""

    backoff_s: float = _LEAST_BACKOFF_S
    retry_at: float = 0.0


class DutyHolder:
    """Holds what it can of the `duties` that belong to its `place`.

    `holder` is the resource name of this process; `duties` are all of the configuration; `deadline`
    ends this process and has the clock to count by. `start` starts operations for the duties.
    """

    def __init__(
        self,
        threads: AsyncControlStore,
        holder: str,
        duties: Sequence[Duty],
        *,
        place: Place,
        config: OperationsConfig,
        databases: Mapping[str, Database],
        state_dir: Path,
        tracer: Tracer,
        metrics: DutyMetrics,
        deadline: ProcessDeadline,
        start: StartOperation | None = None,
    ) -> None:
        self._threads = threads
        self._start = start
        self._holder = holder
        self._wanted = [duty.key for duty in duties]
        self._declared = False
        self._duties = {duty.key: duty for duty in duties if duty.place is place}
        self._config = config
        self._databases = databases
        self._state_dir = state_dir
        self._tracer = tracer
        self._metrics = metrics
        self._deadline = deadline
        self._monitor = HeartbeatMonitor(config.takeover_after_s)
        self._held: dict[DutyKey, _Held] = {}
        self._failures: dict[DutyKey, _Failures] = {}
        self._woken = asyncio.Event()
        self._closing = False
        self._releases: set[asyncio.Task[None]] = set()

    def wake(self) -> None:
        """Look now whether a duty is free."""
        self._woken.set()

    async def run(self) -> None:
        """Take duties and hold them, until `close`; returns at once where there are none."""
        said = ""
        while not self._closing:
            self._woken.clear()
            try:
                if not self._declared:
                    await self._threads.ask(
                        lambda store: control.duties.declare(store, self._wanted)
                    )
                    self._declared = True
                if not self._duties:
                    return
                pause_s = await self._look()
                said = ""
            except ControlStoreUnavailable as exc:
                self._monitor.reset()
                if str(exc) != said:
                    said = str(exc)
                    _log.warning("duties are not renewed for now: %s", exc)
                pause_s = min(_RETRY_S, self._config.heartbeat_s)
            except Exception:  # noqa: BLE001 - logged; what is held ends by its deadline at worst
                _log.exception("looking after the duties failed")
                pause_s = self._config.heartbeat_s
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._woken.wait()

    async def close(self, grace_s: float) -> None:
        """End the work of each duty and let others have it, within about `grace_s` seconds.

        What has not ended by then is nobody's until its process has, or was silent for long.
        """
        self._closing = True
        self.wake()
        held = list(self._held.values())
        for each in held:
            _log.info("duty %s is handed over", each.duty.key)
            self._cancel(each)
        tasks = [each.task for each in held]
        if tasks:
            await asyncio.wait(tasks, timeout=grace_s)
        if self._releases:
            await asyncio.wait(self._releases, timeout=_RETRY_S)
        if not self._held:
            self._deadline.close()

    async def _look(self) -> float:
        """Renew what is held and take what is free; how long until the next look, in seconds."""
        asked_at = self._deadline.now()
        held = {key: each.token for key, each in self._held.items() if not each.stopping}
        watched = [key for key in self._duties if key not in held]
        renewed, leases = await self._threads.ask(
            lambda store: control.duties.renew(store, self._holder, held, watched),
            timeout_s=self._config.takeover_after_s / 4,
        )
        for key, token in held.items():
            each = self._held.get(key)
            if each is None or each.token != token:
                continue
            if key in renewed:
                self._renew(each, asked_at)
            else:
                self._stop(each, "another process has taken it")
        if len(leases) < len(watched):
            # A process that does not want it has begun while nobody held it.
            self._declared = False
        if self._deadline.now() - asked_at > _PROMPT_S:
            # Whoever holds the others had to wait for the store as well.
            self._monitor.reset()
        silent = self._monitor.listen(
            {str(each.key): each.renewals for each in leases if each.holder}
        )
        self._metrics.observe({each.key: each.age_s for each in leases})
        for lease in leases:
            await self._take(lease, silent=str(lease.key) in silent)
        pause_s = min(self._config.heartbeat_s, self._monitor.next_in_s())
        return max(pause_s, _LEAST_PAUSE_S)

    async def _take(self, lease: "Lease", *, silent: bool) -> None:
        """Take the duty if it is free, or if its holder was silent for long."""
        if lease.key in self._held:
            return
        # One of ours that is not held here was given up for want of a heartbeat; its work is over.
        if lease.holder not in ("", self._holder) and not silent:
            return
        failures = self._failures.get(lease.key)
        if failures is not None and self._deadline.now() < failures.retry_at:
            return
        asked_at = self._deadline.now()
        token = await self._threads.ask(
            lambda store: control.duties.acquire(store, self._holder, lease),
            timeout_s=self._config.takeover_after_s / 4,
        )
        if token is None:
            return
        if self._closing:
            await self._release(lease.key, token, "")
            return
        if lease.holder not in ("", self._holder):
            self._metrics.taken_over(lease.key)
            _log.warning("duty %s is taken over: %s has been silent", lease.key, lease.holder)
        else:
            _log.info("duty %s is held here from now on", lease.key)
        if self._left_s(asked_at) > 0:
            self._begin(self._duties[lease.key], token, asked_at)

    def _begin(self, duty: Duty, token: int, asked_at: float) -> None:
        run = _Run(self, duty, token)
        task = asyncio.create_task(self._work(duty, run), name=f"duty {duty.key}")
        held = _Held(duty, token, asked_at, self._deadline.now(), run, task)
        self._held[duty.key] = held
        task.add_done_callback(lambda _task: self._ended(held))
        self._renew(held, asked_at)
        self._metrics.held(duty.key, held=True)

    def _renew(self, held: _Held, asked_at: float) -> None:
        """Count from `asked_at`; where that is too long ago, the work ends at once."""
        held.asked_at = asked_at
        if held.timer is not None:
            held.timer.cancel()
        held.timer = asyncio.get_running_loop().call_later(
            self._left_s(asked_at), self._stop, held, "no heartbeat could be written"
        )
        self._set_deadline()

    def _left_s(self, asked_at: float) -> float:
        """How long a duty may be worked at whose heartbeat was asked for then."""
        until = asked_at + _STOP_AFTER * self._config.takeover_after_s
        return max(until - self._deadline.now(), 0.0)

    def _set_deadline(self) -> None:
        after_s = _KILL_AFTER * self._config.takeover_after_s
        earliest = min((each.asked_at for each in self._held.values()), default=None)
        self._deadline.set(None if earliest is None else earliest + after_s)

    def holds_for_s(self, key: DutyKey, token: int) -> float:
        """How long nobody else can have the duty, in seconds; 0: no longer."""
        held = self._held.get(key)
        if held is None or held.token != token or held.stopping:
            return 0.0
        return self._left_s(held.asked_at)

    def _stop(self, held: _Held, why: str) -> None:
        if not held.stopping and not held.task.done():
            _log.warning("duty %s ends here: %s", held.duty.key, why)
            self._cancel(held)

    @staticmethod
    def _cancel(held: _Held) -> None:
        held.stopping = True
        held.task.cancel()

    def _ended(self, held: _Held) -> None:
        """The work is over, programs included: nothing of it can meet another holder's."""
        key = held.duty.key
        if held.timer is not None:
            held.timer.cancel()
        del self._held[key]
        self._set_deadline()
        self._metrics.held(key, held=False)
        problem = "" if held.task.cancelled() else held.task.result()
        if problem:
            self._back_off(held)
        release = asyncio.create_task(self._release(key, held.token, problem))
        self._releases.add(release)
        release.add_done_callback(self._releases.discard)

    def _back_off(self, held: _Held) -> None:
        """Let another process try first."""
        failures = self._failures.setdefault(held.duty.key, _Failures())
        now = self._deadline.now()
        if now - held.began_at > _WELL_S:
            failures.backoff_s = _LEAST_BACKOFF_S
        failures.retry_at = now + failures.backoff_s
        failures.backoff_s = min(failures.backoff_s * 2, _MOST_BACKOFF_S)

    async def _release(self, key: DutyKey, token: int, problem: str) -> None:
        try:
            await self._threads.ask(
                lambda store: control.duties.release(
                    store, self._holder, key, token, problem=problem
                ),
                timeout_s=_RETRY_S,
            )
        except ControlStoreUnavailable as exc:
            _log.info("others learn only by missing heartbeats that duty %s is free: %s", key, exc)

    async def _work(self, duty: Duty, run: "_Run") -> str:
        """Why the work ended by itself. Once this returns or raises, nothing of it goes on."""
        try:
            # Of a holder that was killed; its own guardian is about to do the same.
            await sweep(run.mark)
            await duty.run(run)
        except Exception as exc:  # noqa: BLE001 - logged, and begun anew
            _log.exception("duty %s failed", duty.key)
            return f"{type(exc).__name__}: {exc}"
        else:
            _log.error("duty %s ended by itself", duty.key)
            return "it ended by itself"
        finally:
            await run.close()

    def database(self, duty: Duty) -> Database | None:
        """The database of a duty."""
        return self._databases[duty.database] if duty.database else None

    async def start(self, key: DutyKey, kind: str, request: Request, request_id: str) -> None:
        """Start an operation for a duty."""
        if self._start is None:
            raise LookupError(f"no operation is started here, nor {kind} for {key}")
        await self._start(key, kind, request, request_id)

    @property
    def where(self) -> str:
        """The control store as people may see it."""
        return self._threads.where

    @property
    def tracer(self) -> Tracer:
        """Makes spans."""
        return self._tracer

    @property
    def state_dir(self) -> Path:
        """This process's state directory."""
        return self._state_dir


class _Run(ProgramRunner):
    """The `DutyRun` (`duty.py`) that a duty's work is handed."""

    def __init__(self, holder: DutyHolder, duty: Duty, token: int) -> None:
        self.mark = f"{duty.key} of {holder.where}"
        """What its programs are marked with: of this control store, for a machine may have two."""
        super().__init__(self.mark, tracer=holder.tracer)
        self._holder = holder
        self._duty = duty
        self._token = token

    @property
    def key(self) -> DutyKey:
        """Which duty it is."""
        return self._duty.key

    @property
    def database(self) -> Database | None:
        """The database of the duty; None for a duty of no database."""
        return self._holder.database(self._duty)

    @property
    def token(self) -> int:
        """Grows each time that a process takes the duty."""
        return self._token

    @property
    def tracer(self) -> Tracer:
        """Makes spans."""
        return self._holder.tracer

    @property
    def state_dir(self) -> Path:
        """The process's state directory on this machine."""
        return self._holder.state_dir

    async def start(self, kind: str, request: Request, *, request_id: str) -> None:
        """Have an operation of that kind done on the duty's database, once."""
        await self._holder.start(self.key, kind, request, request_id)

    def check(self) -> None:
        """Raise `DutyLost` where the duty may go to another process."""
        if not self._holder.holds_for_s(self.key, self._token):
            raise DutyLost(str(self.key))
