"""Running operations, attempt by attempt, to an end that is recorded.

An attempt ends in one of two ways. Either the operation ends with it, and that is written before
anything else is taken to be true; or the attempt alone ends, because its worker stops, is lost or
cannot record, and the operation stays as it is for another attempt.
"""

import asyncio
import contextlib
import logging
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from pydantic import TypeAdapter

from dbopsd.config import OperationsConfig
from dbopsd.db.database import Database
from dbopsd.db.errors import DifferentClusters, SplitBrain, WritesRefused
from dbopsd.errors import DatabaseNotFound, DbopsError
from dbopsd.operations.async_store import AsyncControlStore
from dbopsd.operations.attempt import Attempt, FailureOf, StepFailed, result_as_json
from dbopsd.operations.errors import (
    CancelledWithResult,
    CleanUpFailed,
    ControlStoreUnavailable,
    FailedWithResult,
    OperationNotFound,
    OperationTimedOut,
    UnknownKind,
    WorkersLost,
)
from dbopsd.operations.kind import Kind
from dbopsd.operations.metrics import OperationMetrics
from dbopsd.operations.orphan_processes import sweep
from dbopsd.operations.record import Failure, Operation, State
from dbopsd.operations.solo_gate import SoloGate
from dbopsd.operations.store import attempts, requests
from dbopsd.operations.store.attempts import AttemptStatus, Begun, Report, WorkerLost
from dbopsd.operations.store.requests import failure_of_cancel
from dbopsd.operations.store.store import ControlStore

_log = logging.getLogger(__name__)

_STORE_RETRY_S: Final = 1.0
_CLEAN_UP_RETRY_S: Final = 1.0
# How long one waits here for the end of one that runs alone, before it is left to other workers.
_TURN_S: Final = 10.0
# How often what no worker here knows is offered to others, before it is ended.
_UNKNOWN_ATTEMPTS: Final = 4
_WRITES_REFUSED: Final = (SplitBrain.reason, DifferentClusters.reason)
_PROPAGATOR: Final = TraceContextTextMapPropagator()

T = TypeVar("T")


class Stopping(Enum):
    """Why an attempt is ended from outside."""

    CANCEL = auto()
    TIMEOUT = auto()
    INTERRUPT = auto()


@dataclass(frozen=True, slots=True)
class _End:
    """How an operation ends, and how far it had come."""

    state: State
    result: str | None = None
    failure: Failure | None = None
    report: Report | None = None


class _Overtaken(Exception):
    """What this worker had claimed is not its own any more."""


class _Running:
    """An attempt that is under way, and the task that does its work."""

    def __init__(
        self, attempt: Attempt, task: "asyncio.Future[Any]", *, cleaning: bool = False
    ) -> None:
        self.attempt = attempt
        self.task = task
        self.stopping: Stopping | None = None
        self._cleaning = cleaning

    def stop(self, why: Stopping) -> None:
        """End it; a second time, or once it has ended, does nothing.

        Cleaning up is not cut short by a cancelling or a deadline: it is what those lead to.
        """
        if self._cleaning and why is not Stopping.INTERRUPT:
            return
        if self.stopping is None and not self.task.done():
            self.stopping = why
            self.task.cancel()


class Runner:
    """Runs operations for one worker. `on_lost` is called when others count this worker as gone."""

    def __init__(
        self,
        threads: AsyncControlStore,
        worker: str,
        *,
        config: OperationsConfig,
        kinds: Mapping[str, Kind[Any, Any]],
        databases: Mapping[str, Database],
        scratch: Path,
        state_dir: Path,
        tracer: Tracer,
        metrics: OperationMetrics,
        failure_of: FailureOf,
        is_claimed: Callable[[str], bool],
        on_lost: Callable[[], None],
    ) -> None:
        self._threads = threads
        self._worker = worker
        self._config = config
        self._kinds = kinds
        self._databases = databases
        self._scratch = scratch
        self._state_dir = state_dir
        self._tracer = tracer
        self._metrics = metrics
        self._failure_of = failure_of
        self._is_claimed = is_claimed
        self._on_lost = on_lost
        self._running: dict[str, _Running] = {}
        self._gate = SoloGate()
        self._interrupted = False
        self._idle = asyncio.Event()
        self._idle.set()
        self.at_work: set[str] = set()
        """What this process is busy with, from its claim on."""

    async def run(self, operation_id: str) -> None:
        """Make one attempt at the operation.

        Raises `CancelledError` where the operation is not done with it: it stays claimed by this
        worker until somebody lets others claim it.
        """
        if operation_id in self.at_work:
            # Let go and claimed anew while the first run of it was held up: that one goes on.
            raise asyncio.CancelledError
        self.at_work.add(operation_id)
        self._idle.clear()
        try:
            await self._run_in_turn(operation_id)
        except WorkerLost:
            self._on_lost()
            raise asyncio.CancelledError from None
        except _Overtaken:
            _log.warning("%s: others have it by now", operation_id)
            raise asyncio.CancelledError from None
        except Exception:  # noqa: BLE001 - logged
            # Or DBOS would take the operation for done.
            _log.exception("%s: the attempt broke off", operation_id)
            raise asyncio.CancelledError from None
        finally:
            self.at_work.discard(operation_id)
            if not self.at_work:
                self._idle.set()

    async def _run_in_turn(self, operation_id: str) -> None:
        """Make the attempt beside others; alone where it is to be seen whether it is the cause.

        Raises `CancelledError` where its turn does not come: other workers may have it then.
        """
        losses = await self._until_stored(partial(attempts.losses, operation_id=operation_id))
        solo = losses.count >= self._config.max_lost_workers and not losses.last_was_alone
        try:
            async with asyncio.timeout(_TURN_S):
                await self._gate.until_open()
        except TimeoutError:
            raise asyncio.CancelledError from None
        with self._gate.enter(operation_id, solo=solo):
            if solo:
                if not await self._is_alone_in_time(operation_id):
                    # What runs here may take hours, and others would wait for as long.
                    raise asyncio.CancelledError
                _log.warning(
                    "%s: %d workers that ran it with others vanished: it runs alone",
                    *(operation_id, losses.count),
                )
            begun = await self._until_stored(partial(self._begin, operation_id))
            if begun is not None:
                await self._attempt(begun)

    async def _is_alone_in_time(self, operation_id: str) -> bool:
        """Whether nothing else runs here soon, or the operation is to end anyway."""
        alone = asyncio.create_task(self._gate.until_alone())
        deadline = time.monotonic() + _TURN_S
        try:
            while not alone.done() and time.monotonic() < deadline:
                await asyncio.wait({alone}, timeout=_STORE_RETRY_S)
                if await self._until_stored(partial(_is_to_end, operation_id=operation_id)):
                    return True
            return alone.done()
        finally:
            alone.cancel()

    def _begin(self, operation_id: str, store: ControlStore) -> Begun | None:
        if not self._is_claimed(operation_id):
            raise _Overtaken
        return attempts.begin(store, operation_id, self._worker)

    async def until_idle(self) -> None:
        """Return once nothing runs here."""
        await self._idle.wait()

    def interrupt(self, *, for_good: bool) -> None:
        """End every attempt, so that others may go on with their operations.

        `for_good`: those that begin from now on, too.
        """
        self._interrupted = for_good
        for running in self._running.values():
            running.stop(Stopping.INTERRUPT)

    async def sync_progress(self) -> None:
        """Write how far operations have come, and end those that are to end. Call it often."""
        if not self._running:
            return
        reports = [each.attempt.unreported() for each in self._running.values()]
        written = [each for each in reports if each is not None]
        numbers = {name: each.attempt.attempt for name, each in self._running.items()}

        def exchange(store: ControlStore) -> dict[str, AttemptStatus]:
            if written:
                attempts.report(store, self._worker, written)
            return attempts.attempt_statuses(store, self._worker, numbers)

        attempt_statuses = await self._threads.ask(exchange)
        for report in written:
            self._mark_reported(report)
        for name, standing in attempt_statuses.items():
            running = self._running.get(name)
            if running is None or running.attempt.attempt != numbers[name]:
                continue
            if not standing.ours:
                running.stop(Stopping.INTERRUPT)
            elif standing.cancelling:
                running.stop(Stopping.CANCEL)

    def _mark_reported(self, report: Report) -> None:
        running = self._running.get(report.operation)
        if running is not None and running.attempt.attempt == report.attempt:
            running.attempt.mark_reported(report)

    async def tidy(self) -> None:
        """Remove the scratch directories here of operations that ended elsewhere."""
        for path in await asyncio.to_thread(_directories, self._scratch):
            if path.name in self.at_work:
                continue
            if await self._threads.ask(partial(_has_ended, operation_id=path.name)):
                await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)

    async def _attempt(self, begun: Begun) -> None:
        operation = begun.operation
        self._metrics.began(operation)
        parent = _PROPAGATOR.extract({"traceparent": operation.traceparent}, Context())
        with self._tracer.start_as_current_span(
            f"operation {operation.kind}",
            parent,
            SpanKind.CONSUMER,
            attributes={
                "dbops.operation.name": operation.id,
                "dbops.operation.kind": operation.kind,
                "dbops.operation.attempt": operation.attempt,
                "db.namespace": operation.database,
            },
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            _log.info("%s: attempt %d begins", operation.id, operation.attempt)
            try:
                end = await self._to_its_end(begun)
            except Exception as error:  # noqa: BLE001 - the operation's end, and in the log
                end = _End(State.FAILED, failure=self._said(operation, error))
            if end.state is State.FAILED:
                span.set_attribute("error.type", end.failure.reason if end.failure else "")
                span.set_status(Status(StatusCode.ERROR))
            landed = await self._until_stored(
                lambda store: attempts.finish(
                    store,
                    operation,
                    state=end.state,
                    result=end.result,
                    failure=end.failure,
                    report=end.report,
                )
            )
            if not landed:
                _log.warning("%s: attempt %d was overtaken", operation.id, operation.attempt)
                raise asyncio.CancelledError
            why = "" if end.failure is None else f": {end.failure.message}"
            _log.info("%s: %s%s", operation.id, end.state.value, why)
            self._metrics.ended(operation, end.state)
        await asyncio.to_thread(shutil.rmtree, self._scratch / operation.id, ignore_errors=True)

    async def _to_its_end(self, begun: Begun) -> _End:
        """Do the work, and clean up unless it succeeded; how the operation ends.

        Raises `CancelledError` where only the attempt ends.
        """
        operation = begun.operation
        # What an earlier attempt left behind on this machine would be in this one's way.
        await sweep(operation.id)
        try:
            kind, database = self._kind(operation), self._database(operation)
        except DbopsError as unknown:
            if operation.attempt >= _UNKNOWN_ATTEMPTS:
                raise
            # A newer worker, or one with another configuration, may know it.
            _log.warning("%s is left to other workers: %s", operation.id, unknown)
            raise asyncio.CancelledError from None
        request = TypeAdapter(kind.request_type).validate_json(operation.request)
        attempt = Attempt(
            operation,
            database,
            scratch=self._scratch / operation.id,
            state_dir=self._state_dir,
            tracer=self._tracer,
            failure_of=self._failure_of,
            control=self._threads,
        )
        if operation.state is State.CANCELLING:
            state, failure = State.CANCELLED, failure_of_cancel(operation.id)
        elif begun.losses.last_was_alone and begun.losses.count >= self._config.max_lost_workers:
            lost = WorkersLost(operation.id, begun.losses.count, operation.stage)
            state, failure = State.FAILED, self._failure_of(lost)
        elif operation.attempt == 1 and (refusal := await _refusal(database)) is not None:
            # Nothing was begun: there is nothing to clean up.
            return _End(State.FAILED, failure=self._failure_of(refusal))
        else:
            ended = await self._supervised(operation, attempt, kind, request)
            if not isinstance(ended, Failure):
                return _End(State.SUCCEEDED, ended, report=attempt.how_far())
            cancelled = ended.code == "CANCELLED"
            state, failure = (State.CANCELLED if cancelled else State.FAILED), ended
        failure = await self._clean_up(operation, attempt, kind, request, failure)
        return _End(state, failure=failure, report=attempt.how_far())

    async def _supervised(
        self, operation: Operation, attempt: Attempt, kind: Kind[Any, Any], request: object
    ) -> str | Failure:
        """The kind's result, or why it failed. Raises `CancelledError` if only this is to end."""
        task = asyncio.ensure_future(_result(kind, attempt, request))
        running = _Running(attempt, task)
        self._running[operation.id] = running
        if self._interrupted:
            running.stop(Stopping.INTERRUPT)
        timer = self._arm(operation, running)
        try:
            await asyncio.wait({running.task})
        finally:
            if timer is not None:
                timer.cancel()
            running.task.cancel()
            await asyncio.wait({running.task})
            await attempt.close()
            del self._running[operation.id]
        if running.task.cancelled():
            result = await told_of(task, kind.result_type)
            if running.stopping is Stopping.CANCEL:
                return replace(failure_of_cancel(operation.id), result=result)
            if running.stopping is Stopping.TIMEOUT:
                return replace(self._failure_of(_timed_out(operation)), result=result)
            why = attempt.interruption or "its worker gives it up"
            _log.warning("%s: attempt %d ends: %s", operation.id, operation.attempt, why)
            raise asyncio.CancelledError
        error = running.task.exception()
        if error is None:
            return task.result()
        return self._said(operation, error, kind)

    def _arm(self, operation: Operation, running: _Running) -> "asyncio.TimerHandle | None":
        if operation.deadline is None:
            return None
        # Both by the store's clock, as the attempt began: this machine's may be another.
        left_s = max(operation.deadline - operation.update_time, 0)
        return asyncio.get_running_loop().call_later(left_s, running.stop, Stopping.TIMEOUT)

    async def _clean_up(
        self,
        operation: Operation,
        attempt: Attempt,
        kind: Kind[Any, Any],
        request: object,
        failure: Failure,
    ) -> Failure:
        """Remove what the operation left; `failure`, or, where that cannot be, what is left.

        Raises `CancelledError` where others have the operation meanwhile, or shall have it.
        """
        cleaner = Attempt(
            operation,
            attempt.database,
            scratch=self._scratch / operation.id,
            state_dir=self._state_dir,
            tracer=self._tracer,
            failure_of=self._failure_of,
            control=self._threads,
        )
        work = asyncio.create_task(self._cleaned(operation, cleaner, kind, request))
        running = _Running(cleaner, work, cleaning=True)
        self._running[operation.id] = running
        if self._interrupted:
            running.stop(Stopping.INTERRUPT)
        try:
            await asyncio.wait({work})
        finally:
            work.cancel()
            await asyncio.wait({work})
            await cleaner.close()
            del self._running[operation.id]
        problem = work.result()
        if not problem:
            return failure
        if failure.reason in _WRITES_REFUSED:
            return replace(failure, message=f"{failure.message}. What it left is not removed")
        return self._failure_of(CleanUpFailed(operation.id, failure.message, problem))

    async def _cleaned(
        self, operation: Operation, cleaner: Attempt, kind: Kind[Any, Any], request: object
    ) -> str:
        """Why it could not be cleaned up in time; empty if it was."""
        problem = "it took too long"
        try:
            async with asyncio.timeout(self._config.clean_up_timeout_s):
                while True:
                    try:
                        await kind.clean_up(cleaner, request)
                    except WritesRefused as refused:
                        # It ends by somebody's hand, perhaps in days.
                        return refused.message
                    except Exception as error:  # noqa: BLE001 - logged, and tried again
                        _log.exception("%s: cleaning up failed", operation.id)
                        problem = self._failure_of(error).message
                        await asyncio.sleep(_CLEAN_UP_RETRY_S)
                    else:
                        return ""
        except TimeoutError:
            return problem

    def _said(
        self, operation: Operation, error: BaseException, kind: Kind[Any, Any] | None = None
    ) -> Failure:
        if isinstance(error, StepFailed):
            return error.failure
        failure = self._failure_of(error)
        if failure.code == "INTERNAL":
            _log.error("%s failed", operation.id, exc_info=error)
        if kind is not None and isinstance(error, FailedWithResult):
            return replace(failure, result=result_as_json(kind.result_type, error.result))
        return failure

    def _kind(self, operation: Operation) -> Kind[Any, Any]:
        kind = self._kinds.get(operation.kind)
        if kind is None:
            raise UnknownKind(operation.kind)
        return kind

    def _database(self, operation: Operation) -> Database:
        database = self._databases.get(operation.database)
        if database is None:
            raise DatabaseNotFound(operation.database)
        return database

    async def _until_stored(self, question: Callable[[ControlStore], T]) -> T:
        """What the store answers, asked until it does: what is known must not be forgotten."""
        said = False
        while True:
            with contextlib.suppress(ControlStoreUnavailable):
                return await self._threads.ask(question)
            if not said:
                said = True
                _log.warning("the control store %s does not answer: waiting", self._threads.where)
            await asyncio.sleep(_STORE_RETRY_S)


async def _result(kind: Kind[Any, Any], attempt: Attempt, request: object) -> str:
    # Here, so that a result that is not of its type is a failure like any other, and cleaned up.
    async with attempt.database.guarded():
        return result_as_json(kind.result_type, await kind.run(attempt, request))


async def told_of(cancelled: "asyncio.Future[str]", result_type: type) -> str | None:
    """JSON of what cancelled work has to tell; None: nothing."""
    try:
        await cancelled
    except CancelledWithResult as told:
        return result_as_json(result_type, told.result)
    except asyncio.CancelledError:
        pass
    return None


async def _refusal(database: Database) -> WritesRefused | None:
    """Why nothing may be written to the database now; None: it may."""
    try:
        await database.admit_writes()
    except WritesRefused as refusal:
        return refusal
    return None


def _timed_out(operation: Operation) -> OperationTimedOut:
    allowed_s = (operation.deadline or 0) - operation.create_time
    return OperationTimedOut(operation.id, allowed_s)


def _directories(scratch: Path) -> list[Path]:
    return list(scratch.iterdir()) if scratch.is_dir() else []


def _is_to_end(store: ControlStore, operation_id: str) -> bool:
    try:
        operation = requests.get(store, operation_id)
    except OperationNotFound:
        return True
    late = operation.deadline is not None and operation.deadline < time.time()
    return late or operation.cancel_time is not None or operation.state.done


def _has_ended(store: ControlStore, operation_id: str) -> bool:
    try:
        return requests.get(store, operation_id).state.done
    except OperationNotFound:
        return True
