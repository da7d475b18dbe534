"""A worker: the process that runs operations.

It says that it is there by its heartbeat, and looks whether others still are: what a worker had
that is gone is let go for others to claim. Any worker does that, so it takes no leader.
"""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer
from pydantic import TypeAdapter

from dbopsd.config import OperationsConfig
from dbopsd.db.database import Database
from dbopsd.errors import DbopsError
from dbopsd.operations.async_store import AsyncControlStore
from dbopsd.operations.attempt import FailureOf
from dbopsd.operations.dbos_engine import Engine, strand
from dbopsd.operations.duty import Duty, DutyKey, Place
from dbopsd.operations.duty_holder import DutyHolder
from dbopsd.operations.errors import ControlStoreUnavailable, OperationTimedOut, UnknownKind
from dbopsd.operations.heartbeat_monitor import HeartbeatMonitor
from dbopsd.operations.kind import Kind, Request
from dbopsd.operations.metrics import DutyMetrics, OperationMetrics
from dbopsd.operations.notification_listener import NotificationListener
from dbopsd.operations.process_deadline import ProcessDeadline
from dbopsd.operations.record import NewOperation, Schedule, State, WorkerState
from dbopsd.operations.runner import Runner
from dbopsd.operations.service import canonical_json, current_traceparent
from dbopsd.operations.store import attempts, liveness, requests, schedules
from dbopsd.operations.store.liveness import Pulse
from dbopsd.operations.store.notifications import Topic
from dbopsd.operations.store.store import ControlStore
from dbopsd.telemetry import names

_log = logging.getLogger(__name__)

_LOOK_AFTER_S: Final = 0.2
_FENCE_S: Final = 0.5
# The control store answers in milliseconds, or something holds it up.
_PROMPT_S: Final = 1.0
_FORGET_S: Final = 60.0
_MISSED_S: Final = 10.0
# DBOS starts a schedule's work up to ten seconds late, so that not all of a fleet wake at once.
_SCHEDULE_GRACE_S: Final = 15.0
# Claimed here and not at work for so long: the claim was interrupted halfway.
_STRANDED_AFTER_S: Final = 10.0
_STORE_RETRY_S: Final = 1.0
_CLOSE_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Parts:
    """What a worker is made of."""

    threads: AsyncControlStore
    config: OperationsConfig
    kinds: Mapping[str, Kind[Any, Any]]
    roles: Mapping[str, int]
    """What starting each kind by hand needs: ending one that the clock started needs it too."""
    databases: Mapping[str, Database]
    schedules: tuple[Schedule, ...]
    scratch: Path
    state_dir: Path
    tracer: Tracer
    metrics: OperationMetrics
    duties: tuple[Duty, ...]
    duty_metrics: DutyMetrics
    failure_of: FailureOf
    version: str


class Worker:
    """Works from `start` until `stop`. `on_lost` is called once others count it as gone.

    `on_heartbeat` is called at each heartbeat that this process, its event loop and its control
    store were well enough for.
    """

    def __init__(
        self,
        worker_id: str,
        parts: Parts,
        *,
        on_lost: Callable[[], None],
        on_heartbeat: Callable[[], None] = lambda: None,
    ) -> None:
        self.id = worker_id
        self._parts = parts
        self._threads = parts.threads
        self._config = parts.config
        self._lost = on_lost
        self._on_heartbeat = on_heartbeat
        self._runner = Runner(
            parts.threads,
            worker_id,
            config=parts.config,
            kinds=parts.kinds,
            databases=parts.databases,
            scratch=parts.scratch,
            state_dir=parts.state_dir,
            tracer=parts.tracer,
            metrics=parts.metrics,
            failure_of=parts.failure_of,
            is_claimed=self._is_claimed,
            on_lost=self._count_as_lost,
        )
        self._engine: Engine | None = None
        self._duties = DutyHolder(
            parts.threads,
            f"workers/{worker_id}",
            parts.duties,
            place=Place.WORKER,
            config=parts.config,
            databases=parts.databases,
            state_dir=parts.state_dir,
            tracer=parts.tracer,
            metrics=parts.duty_metrics,
            deadline=ProcessDeadline(suspended=parts.threads.shared_by_machines),
            start=self._start_for_duty,
        )
        self._stack = AsyncExitStack()
        self._heartbeats = HeartbeatMonitor(parts.config.takeover_after_s)
        self._scheduling: set[str] = set()
        self._ending = False
        self._last_heartbeat = time.monotonic()
        self._stranded_since: dict[str, float] = {}

    async def start(self, *, replaces: str = "") -> None:
        """Wait for the control store, then begin to work. `replaces`: a worker known to be gone."""
        engine = await self._until_open(replaces)
        self._engine = engine
        engine.launch()
        for every_s, work in (
            (self._config.heartbeat_s, self._pulse),
            (_FENCE_S, self._fence),
            (_LOOK_AFTER_S, self._runner.sync_progress),
            (_MISSED_S, self._start_missed),
            (_FORGET_S, self._forget),
        ):
            task = asyncio.create_task(_repeat(every_s, work), name=f"worker{work.__name__}")
            self._stack.push_async_callback(_end, task)
        listener = NotificationListener(self._threads, self.id, self._notified)
        for name, work in (("notifications", listener.run), ("duties", self._duties.run)):
            task = asyncio.create_task(work(), name=f"worker-{name}")
            self._stack.push_async_callback(_end, task)

    async def stop(self, grace_s: float) -> None:
        """Take nothing new, let others have what runs here, within about `grace_s` seconds."""
        self._ending = True
        # First: a service manager may have told the programs of an operation to stop as well, and
        # what then fails is not the operation.
        self._runner.interrupt(for_good=True)
        await self._say(WorkerState.STOPPING)
        try:
            async with asyncio.timeout(grace_s):
                await asyncio.gather(self._duties.close(grace_s), self._runner.until_idle())
        except TimeoutError:
            _log.warning("gave up on %s", ", ".join(sorted(self._runner.at_work)))
        await self._stack.aclose()
        if self._engine is not None:
            # It waits for threads that sleep between two looks at the queue, or that hang in it.
            closing = asyncio.create_task(asyncio.to_thread(self._engine.close))
            await asyncio.wait({closing}, timeout=_CLOSE_S)
        if not self._runner.at_work:
            # Or others would begin beside what is still at work: they wait until its heartbeat is
            # overdue.
            await self._say(WorkerState.STOPPED)

    def _notified(self, topic: Topic) -> None:
        if topic is Topic.DUTIES:
            self._duties.wake()
        elif self._engine is not None:
            self._engine.wake(topic)

    async def _until_open(self, replaces: str) -> Engine:
        said = ""
        while True:
            try:
                return await self._threads.ask(partial(self._open, replaces))
            except ControlStoreUnavailable as exc:
                if str(exc) != said:
                    said = str(exc)
                    _log.warning("waiting for the control store: %s", exc)
                await asyncio.sleep(_STORE_RETRY_S)

    def _open(self, replaces: str, store: ControlStore) -> Engine:
        """Say to the control store who we are and what is wanted; again is as once."""
        liveness.register(
            store,
            self.id,
            host=socket.gethostname(),
            pid=os.getpid(),
            version=self._parts.version,
            replaces=replaces,
        )
        schedules.apply(store, self._parts.schedules)
        engine = Engine(
            store,
            self.id,
            self._config,
            operation=self._runner.run,
            scheduled=self._scheduled,
        )
        engine.register_queue()
        return engine

    async def _say(self, state: WorkerState) -> None:
        try:
            await self._threads.ask(
                lambda store: liveness.leave(store, self.id, state), timeout_s=_STORE_RETRY_S * 2
            )
        except ControlStoreUnavailable as exc:
            _log.warning(
                "others learn only by its missing heartbeats that this worker stops: %s", exc
            )

    async def _pulse(self) -> None:
        """Say that this worker is there, and do what that finds to be done."""
        engine = self._engine
        if engine is None:
            return
        asked = time.monotonic()
        try:
            pulse = await self._threads.ask(
                lambda store: liveness.beat(store, self.id),
                timeout_s=self._config.takeover_after_s / 3,
            )
        except ControlStoreUnavailable:
            self._heartbeats.reset()
            raise
        if time.monotonic() - asked > _PROMPT_S:
            # Everybody else had to wait for the store as well, and could not be heard.
            self._heartbeats.reset()
        if not pulse.known:
            self._count_as_lost()
            return
        self._last_heartbeat = asked
        self._on_heartbeat()
        # Their notifications may have been lost.
        if pulse.queued:
            engine.wake(Topic.WORK)
        if pulse.ticks:
            engine.wake_ticks()
        if pulse.overdue:
            await self._expire()
        await self._take_over(engine, pulse)

    async def _fence(self) -> None:
        """Give up what runs here, if others may take it because they hear nothing of us.

        They cannot where all share a SQLite file: they can read and write as little as we.
        """
        silent_s = time.monotonic() - self._last_heartbeat
        if self._threads.shared_by_machines and silent_s > self._config.takeover_after_s / 2:
            self._runner.interrupt(for_good=False)

    def _is_claimed(self, work: str) -> bool:
        return self._engine is not None and self._engine.is_claimed(work)

    def _count_as_lost(self) -> None:
        # One that stops is refused work as well, and has yet to say that it has stopped.
        if self._ending:
            return
        self._ending = True
        _log.error("worker %s counts as lost: its operations went to others", self.id)
        self._runner.interrupt(for_good=True)
        self._lost()

    async def _take_over(self, engine: Engine, pulse: Pulse) -> None:
        """Let others, or us, claim what workers have that are gone."""
        there = dict(pulse.heartbeats)
        for worker, heartbeat in self._heartbeats.listen(there).items():
            declare = partial(liveness.declare_silent, worker=worker, heartbeat=heartbeat)
            if worker != self.id and await self._threads.ask(declare):
                del there[worker]
                _log.warning("worker %s is lost: its operations go to others", worker)
        left = strand(pulse.claims, there) | self._stranded_here(pulse.claims)
        for work, worker in left.items():
            if await self._threads.ask(partial(_requeue, engine, work, worker)):
                _log.info("%s goes on: worker %s left it", work, worker)

    def _stranded_here(self, claimed: dict[str, str]) -> dict[str, str]:
        """What this worker has claimed and is not at, for some time already."""
        now = time.monotonic()
        mine = {work for work, worker in claimed.items() if worker == self.id}
        idle = mine - self._runner.at_work - self._scheduling
        self._stranded_since = {work: self._stranded_since.get(work, now) for work in idle}
        return {
            work: self.id
            for work, since in self._stranded_since.items()
            if now - since > _STRANDED_AFTER_S
        }

    async def _scheduled(self, context: dict[str, Any], time: datetime, work: str) -> None:
        """What DBOS's cron calls, as its piece of `work`: start a schedule's operation."""
        self._scheduling.add(work)
        try:
            schedule = await self._threads.ask(
                lambda store: schedules.get_schedule(store, _name(context))
            )
            await self._start_scheduled(schedule, time)
        finally:
            self._scheduling.discard(work)

    async def _start_missed(self) -> None:
        """Start what was due while nobody was there to start it: once for each schedule."""
        if not self._parts.schedules:
            return
        for schedule, due in await self._threads.ask(
            lambda store: schedules.missed(store, grace_s=_SCHEDULE_GRACE_S)
        ):
            await self._start_scheduled(schedule, due)

    async def _start_scheduled(self, schedule: Schedule, due: datetime) -> None:
        """The same scheduled time always starts the same operation, on any worker."""
        # No call is there that its trace could join.
        with self._parts.tracer.start_as_current_span(
            f"schedule {schedule.kind}",
            Context(),
            SpanKind.PRODUCER,
            attributes={
                "dbops.schedule.name": schedule.name,
                "dbops.operation.kind": schedule.kind,
                "db.namespace": schedule.database,
            },
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                new = self._scheduled_operation(schedule, due)
                started = await self._threads.ask(
                    lambda store: schedules.start(
                        store, schedule, due, new, grace_s=_SCHEDULE_GRACE_S
                    )
                )
            except ControlStoreUnavailable:
                raise  # tried again
            except (DbopsError, ValueError) as exc:
                problem = str(exc)
                span.set_attribute(names.ERROR_TYPE, self._parts.failure_of(exc).reason)
                span.set_status(Status(StatusCode.ERROR))
                _log.error("schedule %s could not start its operation: %s", schedule.name, exc)
                await self._threads.ask(
                    lambda store: schedules.note_run(
                        store, schedule.name, due, operation="", problem=problem
                    )
                )
                return
            if started is None:
                _log.info("schedule %s: nothing is due for %s", schedule.name, due.isoformat())
            else:
                span.set_attribute("dbops.operation.name", started.id)

    def _scheduled_operation(self, schedule: Schedule, due: datetime) -> NewOperation:
        kind = self._parts.kinds.get(schedule.kind)
        if kind is None:
            raise UnknownKind(schedule.kind)
        request = TypeAdapter(kind.request_type).validate_json(schedule.request)
        return NewOperation(
            kind=kind.name,
            database=schedule.database,
            requester=schedule.name,
            request_id=f"{schedule.name}@{int(due.timestamp())}",
            role=self._parts.roles[kind.name],
            request=canonical_json(kind.request_type, request),
            locks=kind.locks,
            timeout_s=kind.timeout_s,
            traceparent=current_traceparent(),
            origin="clock",
        )

    async def _start_for_duty(
        self, key: DutyKey, kind_name: str, request: Request, request_id: str
    ) -> None:
        kind = self._parts.kinds.get(kind_name)
        if kind is None:
            raise UnknownKind(kind_name)
        new = NewOperation(
            kind=kind.name,
            database=key.database,
            requester=str(key),
            request_id=request_id,
            role=self._parts.roles[kind.name],
            request=canonical_json(kind.request_type, request),
            locks=kind.locks,
            timeout_s=kind.timeout_s,
            traceparent=current_traceparent(),
            origin="duty",
        )
        await self._threads.ask(lambda store: requests.create(store, new))

    async def _expire(self) -> None:
        """End what nobody began with in time."""
        for late in await self._threads.ask(attempts.overdue):
            allowed_s = (late.deadline or 0) - late.create_time
            failure = self._parts.failure_of(OperationTimedOut(late.id, allowed_s))
            ended = partial(attempts.expire, operation_id=late.id, failure=failure)
            if await self._threads.ask(ended):
                self._parts.metrics.ended(late, State.FAILED)

    async def _forget(self) -> None:
        """Forget what ended long ago, and what it left on this machine."""
        await self._threads.ask(lambda store: attempts.forget(store, self._config.retention_s))
        await self._threads.ask(liveness.forget_gone)
        engine = self._engine
        if engine is not None:
            await self._threads.ask(lambda _store: engine.forget_ticks())
        await self._runner.tidy()


def _name(context: dict[str, Any]) -> str:
    return f"databases/{context['database']}/schedules/{context['id']}"


def _requeue(engine: Engine, work: str, worker: str, store: ControlStore) -> bool:
    requeued = engine.requeue(work, worker)
    if requeued:
        store.publish_now(Topic.WORK)
    return requeued


async def _repeat(every_s: float, work: Callable[[], Awaitable[None]]) -> None:
    """Do `work` again and again; what goes wrong with the store is said once, and passes."""
    said = ""
    while True:
        try:
            await work()
        except ControlStoreUnavailable as exc:
            if str(exc) != said:
                said = str(exc)
                _log.warning("%s", exc)
        except Exception:  # noqa: BLE001 - logged
            _log.exception("a worker's chore failed")
        else:
            said = ""
        await asyncio.sleep(every_s)


async def _end(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
