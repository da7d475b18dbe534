"""The API's service for operations: start, get, list, watch, cancel and delete."""

import json
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.metrics import NoOpMeter
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from pydantic import TypeAdapter

from dbopsd.errors import DatabaseNotFound
from dbopsd.operations import store
from dbopsd.operations.async_store import AsyncControlStore
from dbopsd.operations.errors import UnknownKind
from dbopsd.operations.kind import Kind
from dbopsd.operations.metrics import OperationMetrics
from dbopsd.operations.record import (
    Condition,
    DutyInfo,
    NewOperation,
    Operation,
    Schedule,
    WorkerInfo,
)
from dbopsd.operations.watches import Watches

# A caller that waits longer learns more from an error. What was asked may still have happened: the
# same `request_id` finds it.
_ANSWER_S: Final = 8.0

_PROPAGATOR: Final = TraceContextTextMapPropagator()


@dataclass(frozen=True, slots=True)
class StartRequest:
    """What a caller asks for: an operation of a kind on a database."""

    kind: str
    request: object
    """Of the kind's request type, checked."""
    database: str
    requester: str
    role: int
    """The role that starting it needs, which cancelling and deleting it need too."""
    origin: str = ""
    """How the requester was proved; one of the same name proved otherwise is another."""
    request_id: str = ""
    """The caller's own id of this request; empty: none."""
    timeout_s: float | None = None
    """How long it may take from now to its end, in seconds; None: what its kind says."""


class Operations:
    """Every method that asks the control store may raise `ControlStoreUnavailable`."""

    def __init__(
        self,
        threads: AsyncControlStore,
        kinds: Mapping[str, Kind[Any, Any]],
        databases: Collection[str],
        *,
        metrics: OperationMetrics | None = None,
    ) -> None:
        self._threads = threads
        self._metrics = metrics or OperationMetrics(NoOpMeter("dbopsd"))
        self._databases = databases
        self.kinds = kinds
        self._watches = Watches(threads)

    async def start(self, wanted: StartRequest) -> Operation:
        """Have the operation done; the one that the same `request_id` asked for before, if any.

        Once this returns, the operation survives every process. Its spans join the present trace.
        Raises `OperationInTheWay`, `RequestIdReused`, `UnknownKind`, `DatabaseNotFound`.
        """
        new = self._new(wanted)
        return await self._threads.ask(
            lambda control: store.requests.create(control, new), timeout_s=_ANSWER_S
        )

    async def check(self, wanted: StartRequest) -> None:
        """Raise what `start` would raise now, and do nothing."""
        new = self._new(wanted)
        await self._threads.ask(
            lambda control: store.requests.check(control, new), timeout_s=_ANSWER_S
        )

    async def get(self, operation: str) -> Operation:
        """The operation of that id. Raises `OperationNotFound`."""
        return await self._threads.ask(
            lambda control: store.requests.get(control, operation), timeout_s=_ANSWER_S
        )

    async def list_page(
        self,
        conditions: Sequence[Condition] = (),
        *,
        databases: Collection[str] | None = None,
        after: tuple[float, str] | None = None,
        limit: int = 100,
    ) -> list[Operation]:
        """At most `limit` operations that meet every condition, the newest first.

        `databases`: of these only; None: of any. `after`: the `create_time` and the id of the last
        one of the page before.
        """
        return await self._threads.ask(
            lambda control: store.requests.list_page(
                control, conditions, databases=databases, after=after, limit=limit
            ),
            timeout_s=_ANSWER_S,
        )

    async def cancel(self, operation: str) -> Operation:
        """Have the operation end; again is as once. Raises `OperationNotFound`, `OperationDone`."""

        def cancel(control: "store.store.ControlStore") -> Operation:
            found = store.requests.request_cancel(control, operation)
            if found.state.done:
                # No worker had begun with it, so none counts its end. Here, and not once this
                # answers: nobody may wait for the answer any more.
                self._metrics.ended(found, found.state)
            return found

        cancelled = await self._threads.ask(cancel, timeout_s=_ANSWER_S)
        self._watches.publish(cancelled)
        return cancelled

    async def delete(self, operation: str) -> None:
        """Forget an operation that has ended. Raises `OperationNotFound`, `OperationNotDone`."""
        await self._threads.ask(
            lambda control: store.requests.delete(control, operation), timeout_s=_ANSWER_S
        )

    async def wait(self, operation: str, timeout_s: float | None) -> Operation:
        """The operation once it has ended, or as it is when `timeout_s` seconds have passed.

        Raises `OperationNotFound`.
        """
        return await self._watches.wait(await self.get(operation), timeout_s)

    async def watch(self, operation: str) -> AsyncGenerator[Operation, None]:
        """The operation as it is now, at each change, and last as it ended.

        A slow reader misses states in between, never the last one. Ends early once drained, or
        when the operation is deleted. Raises `OperationNotFound`.
        """
        async with aclosing(self._watches.watch(await self.get(operation))) as states:
            async for each in states:
                yield each

    async def counts(self) -> dict[str, dict[tuple[str, str], int]]:
        """How many operations each database has, by kind and state."""
        return await self._threads.ask(
            lambda control: store.requests.count_by_state(control),  # noqa: PLW0108 - loaded by the thread
            timeout_s=_ANSWER_S,
        )

    async def schedules(self, database: str | None = None) -> list[Schedule]:
        """The schedules of a database, or, None, of every one, by name."""
        return await self._threads.ask(
            lambda control: store.schedules.list_schedules(control, database),
            timeout_s=_ANSWER_S,
        )

    async def schedule(self, database: str, schedule: str) -> Schedule:
        """The schedule. Raises `ScheduleNotFound`."""
        name = _schedule_name(database, schedule)
        return await self._threads.ask(
            lambda control: store.schedules.get_schedule(control, name), timeout_s=_ANSWER_S
        )

    async def pause_schedule(self, database: str, schedule: str) -> Schedule:
        """Have it start nothing. Raises `ScheduleNotFound`."""
        name = _schedule_name(database, schedule)
        return await self._threads.ask(
            lambda control: store.schedules.pause(control, name), timeout_s=_ANSWER_S
        )

    async def resume_schedule(self, database: str, schedule: str) -> Schedule:
        """Have it go on with its next time. Raises `ScheduleNotFound`."""
        name = _schedule_name(database, schedule)
        return await self._threads.ask(
            lambda control: store.schedules.resume(control, name), timeout_s=_ANSWER_S
        )

    async def workers(self) -> list[WorkerInfo]:
        """The workers that are there, and those that went within the last day, by id."""
        return await self._threads.ask(
            lambda control: store.liveness.all_workers(control),  # noqa: PLW0108 - loaded by the thread
            timeout_s=_ANSWER_S,
        )

    async def duties(self) -> list[DutyInfo]:
        """Every duty, by name."""
        return await self._threads.ask(
            lambda control: store.duties.list_duties(control),  # noqa: PLW0108 - loaded by the thread
            timeout_s=_ANSWER_S,
        )

    def drain(self) -> None:
        """Have every watch and wait end: the daemon stops."""
        self._watches.drain()

    async def close(self) -> None:
        """Close the control store."""
        await self._watches.close()
        self._threads.close()

    def _new(self, wanted: StartRequest) -> NewOperation:
        kind = self.kinds.get(wanted.kind)
        if kind is None:
            raise UnknownKind(wanted.kind)
        if wanted.database not in self._databases:
            raise DatabaseNotFound(wanted.database)
        return NewOperation(
            kind=kind.name,
            database=wanted.database,
            requester=wanted.requester,
            request_id=wanted.request_id,
            role=wanted.role,
            request=canonical_json(kind.request_type, wanted.request),
            locks=kind.locks,
            timeout_s=kind.timeout_s if wanted.timeout_s is None else wanted.timeout_s,
            traceparent=current_traceparent(),
            origin=wanted.origin,
        )


def canonical_json(request_type: type[Any], request: object) -> str:
    """A request as JSON, the same text for the same request."""
    value = TypeAdapter(request_type).dump_python(request, mode="json")
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _schedule_name(database: str, schedule: str) -> str:
    return f"databases/{database}/schedules/{schedule}"


def current_traceparent() -> str:
    """The present span as W3C writes it; empty where there is none."""
    carrier: dict[str, str] = {}
    if trace.get_current_span().get_span_context().is_valid:
        _PROPAGATOR.inject(carrier)
    return carrier.get("traceparent", "")
