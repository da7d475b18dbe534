"""Operations as the API process sees them, on a real control store of each kind."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
import sqlalchemy as sa
from opentelemetry.trace import NoOpTracer

from dbopsd.operations.async_store import AsyncControlStore
from dbopsd.operations.errors import (
    ControlStoreUnavailable,
    OperationDone,
    OperationNotFound,
    UnknownKind,
)
from dbopsd.operations.kind import Kind, Run
from dbopsd.operations.metrics import OperationMetrics
from dbopsd.operations.record import Failure, NewOperation, Operation, Progress, State
from dbopsd.operations.service import Operations, StartRequest
from dbopsd.operations.store import attempts, liveness, requests, tables
from dbopsd.operations.store.attempts import Report
from dbopsd.operations.store.store import ControlStore
from tests.support.controlurl import as_url
from tests.support.patience import eventually
from tests.support.recording import Recording
from tests.support.servers import PostgresServer

T = TypeVar("T")
GONE = Failure("ABORTED", "GONE", "it went")


@dataclass(frozen=True)
class Nothing:
    """A request and a result."""


async def _nothing(_run: Run, _request: Nothing) -> Nothing:
    return Nothing()


KINDS = {"nothing": Kind("nothing", Nothing, Nothing, _nothing)}


class CountingThreads(AsyncControlStore):
    """How many questions came, and how many at once."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.questions = self.now = self.most = 0
        self.broken = False

    async def ask(
        self, question: Callable[[ControlStore], T], *, timeout_s: float | None = None
    ) -> T:
        self.questions += 1
        if self.broken:
            raise RuntimeError("a bug")
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            return await super().ask(question, timeout_s=timeout_s)
        finally:
            self.now -= 1


@pytest.fixture
async def threads(control_url: str | None, tmp_path: Path) -> CountingThreads:
    return CountingThreads(control_url, tmp_path / "control" / "c.db", NoOpTracer())


@pytest.fixture
async def operations(threads: CountingThreads) -> AsyncIterator[Operations]:
    made = Operations(threads, KINDS, ["main"])
    yield made
    await made.close()


async def started(operations: Operations, **more: Any) -> Operation:
    return await operations.start(
        StartRequest("nothing", Nothing(), database="main", requester="alice", role=2, **more)
    )


class AWorker:
    """What a worker writes of one operation."""

    def __init__(self, control: ControlStore, operation: Operation) -> None:
        self._control = control
        liveness.register(control, "w-1", host="here", pid=1, version="0", replaces="")
        begun = attempts.begin(control, operation.id, "w-1")
        assert begun is not None
        self.operation = begun.operation

    def report(self, stage: str) -> None:
        said = Report(self.operation.id, self.operation.attempt, stage, Progress(1))
        attempts.report(self._control, "w-1", [said])

    def finish(self) -> None:
        assert attempts.finish(self._control, self.operation, state=State.FAILED, failure=GONE)


async def soon(watch: AsyncIterator[Operation]) -> Operation:
    async with asyncio.timeout(5):
        return await anext(watch)


async def test_a_watch_shows_it_now_at_each_change_and_as_it_ended(
    operations: Operations, control: ControlStore
) -> None:
    made = await started(operations)
    watch = operations.watch(made.id)
    assert await soon(watch) == made

    worker = await asyncio.to_thread(AWorker, control, made)
    assert (await soon(watch)).state is State.RUNNING
    began = time.monotonic()
    await asyncio.to_thread(worker.report, "copying")
    assert (await soon(watch)).stage == "copying"
    assert time.monotonic() - began < 0.5
    await asyncio.to_thread(worker.finish)
    assert (await soon(watch)).failure == GONE
    with pytest.raises(StopAsyncIteration):
        await soon(watch)
    assert [each.failure async for each in operations.watch(made.id)] == [GONE]


async def test_operations_are_counted_by_one_question(
    operations: Operations, threads: CountingThreads
) -> None:
    await started(operations)
    before = threads.questions
    assert await operations.counts() == {"main": {("nothing", "QUEUED"): 1}}
    assert threads.questions == before + 1


async def test_a_slow_reader_misses_what_is_between_and_never_the_last(
    operations: Operations, control: ControlStore
) -> None:
    made = await started(operations)
    slow, fast = operations.watch(made.id), operations.watch(made.id)
    await soon(slow)
    worker = await asyncio.to_thread(AWorker, control, made)
    for number in range(3):
        await asyncio.to_thread(worker.report, f"stage {number}")
        while (await soon(fast)).stage != f"stage {number}":
            pass
    await asyncio.to_thread(worker.finish)
    while not (await soon(fast)).state.done:
        pass

    assert [each.failure async for each in slow] == [GONE]


async def test_many_watchers_ask_one_question_at_a_time(
    operations: Operations, threads: CountingThreads, control: ControlStore
) -> None:
    made = await started(operations)
    watches = [operations.watch(made.id) for _ in range(200)]
    await asyncio.gather(*(soon(each) for each in watches))
    threads.questions = threads.most = 0
    worker = await asyncio.to_thread(AWorker, control, made)
    began = time.monotonic()

    await asyncio.gather(*(soon(each) for each in watches))
    await asyncio.to_thread(worker.finish)
    last = await asyncio.gather(*(soon(each) for each in watches))

    assert {each.failure.reason for each in last if each.failure} == {"GONE"}
    assert threads.most == 1
    assert threads.questions <= (time.monotonic() - began) / 0.15 + 2
    await asyncio.gather(*(each.aclose() for each in watches))
    asked = threads.questions
    # Nobody watches: nobody asks.
    await asyncio.sleep(0.5)
    assert threads.questions <= asked + 1


async def test_a_watch_ends_when_its_operation_is_deleted_or_the_daemon_stops(
    operations: Operations, control: ControlStore
) -> None:
    gone, kept = await started(operations), await started(operations)
    watches = [operations.watch(each.id) for each in (gone, kept, kept)]
    for each in watches:
        await soon(each)
    waiting = asyncio.create_task(operations.wait(kept.id, None))

    def vanish() -> None:
        requests.request_cancel(control, gone.id)
        requests.delete(control, gone.id)

    await asyncio.to_thread(vanish)
    assert {each.id async for each in watches[0]} <= {gone.id}
    with pytest.raises(OperationNotFound):
        await soon(operations.watch(gone.id))

    operations.drain()
    for watch in watches[1:]:
        assert [each async for each in watch] == []
    assert (await waiting).state is State.QUEUED


@pytest.mark.parametrize("noticed_by", ["its time", "its revision", "another watch"])
async def test_a_watch_ends_when_another_operation_has_the_id(
    operations: Operations, control: ControlStore, noticed_by: str
) -> None:
    made = await started(operations, request_id="once")
    worker = await asyncio.to_thread(AWorker, control, made)
    watches = [operations.watch(made.id) for _ in range(2)]
    for each in watches:
        assert (await soon(each)).state is State.RUNNING
    again = NewOperation("nothing", "main", "alice", "once", 2, "{}", frozenset(), None, "")

    def replace_it() -> Operation:
        worker.finish()
        with control.transaction() as connection:
            # Both in one transaction, so that nobody finds it deleted.
            connection.execute(sa.delete(tables.operations))
            requests.forget_work(control, connection, [made.id])
            requests._create(control, connection, made.id, again)
            if noticed_by == "its revision":  # made anew within the same millisecond
                same = sa.update(tables.operations).values(create_time=made.create_time * 1000)
                connection.execute(same)
        return requests.get(control, made.id)

    other = await asyncio.to_thread(replace_it)
    assert (other.id, other.revision) == (made.id, 1)
    newer = operations.watch(made.id)
    if noticed_by == "another watch":
        assert await soon(newer) == other
    async with asyncio.timeout(5):
        for watch in watches:
            # At most how the first one ended, if that was seen in between.
            assert {each.create_time async for each in watch} <= {made.create_time}
    if noticed_by != "another watch":
        assert await soon(newer) == other
    await operations.cancel(made.id)
    assert (await soon(newer)).state is State.CANCELLED


async def test_a_watch_goes_on_after_any_error(
    operations: Operations, threads: CountingThreads, control: ControlStore
) -> None:
    made = await started(operations)
    watch = operations.watch(made.id)
    await soon(watch)
    threads.broken = True
    asked = threads.questions
    await eventually(lambda: threads.questions > asked + 1, 5)
    threads.broken = False

    await asyncio.to_thread(requests.request_cancel, control, made.id)
    assert (await soon(watch)).state is State.CANCELLED


async def test_the_store_is_opened_once_however_many_ask_first(
    control_url: str | None, tmp_path: Path
) -> None:
    threads = AsyncControlStore(control_url, tmp_path / "control" / "c.db", NoOpTracer())
    barrier = threading.Barrier(8)

    def meet(store: ControlStore) -> ControlStore:
        barrier.wait(5)  # in a thread of its own, each
        return store

    stores = await asyncio.gather(*(threads.ask(meet) for _ in range(8)))
    assert len({id(store) for store in stores}) == 1
    threads.close()


async def test_a_wait_ends_with_its_operation_or_its_time(
    operations: Operations, control: ControlStore
) -> None:
    made = await started(operations)
    began = time.monotonic()
    assert (await operations.wait(made.id, 0.3)).state is State.QUEUED
    assert 0.3 <= time.monotonic() - began < 2

    waiting = asyncio.create_task(operations.wait(made.id, None))
    worker = await asyncio.to_thread(AWorker, control, made)
    await asyncio.to_thread(worker.finish)
    assert (await waiting).failure == GONE
    assert (await operations.wait(made.id, 0)).failure == GONE
    with pytest.raises(OperationNotFound):
        await operations.wait("unknown", 0)


async def test_a_cancel_is_seen_at_once_and_again_is_as_once(
    operations: Operations, control: ControlStore
) -> None:
    made = await started(operations)
    watch = operations.watch(made.id)
    await soon(watch)
    assert (await operations.cancel(made.id)).state is State.CANCELLED
    assert (await soon(watch)).state is State.CANCELLED
    with pytest.raises(OperationDone):
        await operations.cancel(made.id)
    with pytest.raises(UnknownKind):
        await operations.start(StartRequest("other", Nothing(), "main", "a", role=2))


async def test_an_operation_is_part_of_the_trace_that_it_was_asked_for_in(
    control_url: str | None, tmp_path: Path
) -> None:
    recording = Recording()
    tracer = recording.telemetry.tracer
    operations = Operations(
        AsyncControlStore(control_url, tmp_path / "c" / "c.db", tracer), KINDS, ["main"]
    )
    await operations.workers()
    with tracer.start_as_current_span("the call") as call:
        made = await started(operations)
    assert (await started(operations)).trace_id == ""
    await operations.close()

    context = call.get_span_context()
    assert made.trace_id == f"{context.trace_id:032x}"
    assert made.traceparent.split("-")[2] == f"{context.span_id:016x}"
    inserts = recording.spans("INSERT control store")
    assert inserts, "the statements have spans"
    assert {span.parent.span_id for span in inserts if span.parent} == {context.span_id}
    recording.close()


async def test_what_is_cancelled_before_any_worker_began_is_measured_here(
    threads: CountingThreads, control: ControlStore
) -> None:
    recording = Recording()
    metrics = OperationMetrics(recording.telemetry.meter)
    operations = Operations(threads, KINDS, ["main"], metrics=metrics)
    waiting, running = await started(operations), await started(operations)
    AWorker(control, running)

    await operations.cancel(running.id)
    assert recording.metric("dbops.operation.count") == [], "the worker counts that"
    await operations.cancel(waiting.id)
    with pytest.raises(OperationDone):
        await operations.cancel(waiting.id)

    (point,) = recording.metric("dbops.operation.count")
    assert point.value == 1
    assert point.attributes == {
        "dbops.operation.kind": "nothing",
        "dbops.operation.state": "CANCELLED",
    }
    assert recording.metric("dbops.operation.duration") == [], "it never began"
    await operations.close()
    recording.close()


@pytest.mark.parametrize("broken", ["garbage", "a directory", "in a file"])
async def test_a_control_store_that_is_none_is_refused_with_its_cause(
    tmp_path: Path, broken: str
) -> None:
    path = tmp_path / "control" / "control.db"
    if broken == "in a file":
        path.parent.write_text("")
    else:
        path.parent.mkdir()
    if broken == "garbage":
        path.write_bytes(b"garbage" * 1000)
    if broken == "a directory":
        path.mkdir()
    operations = Operations(AsyncControlStore(None, path, NoOpTracer()), KINDS, ["main"])

    with pytest.raises(ControlStoreUnavailable) as refused:
        await started(operations)
    assert str(path) in refused.value.message
    expected = {
        "garbage": "file is not a database",
        "a directory": "is a directory",
        "in a file": "file exists",
    }
    assert refused.value.problem == expected[broken]

    # Mended by somebody while we run.
    path.rename(tmp_path / "broken") if broken != "in a file" else path.parent.unlink()
    assert (await started(operations)).state is State.QUEUED
    await operations.close()


@pytest.mark.thorough
async def test_a_control_store_that_hangs_holds_up_nobody_for_longer_than_its_time(
    disposable_server: Callable[..., PostgresServer], tmp_path: Path
) -> None:
    server = await asyncio.to_thread(disposable_server)
    url = as_url(server.dsn(dbname="postgres"))
    operations = Operations(
        AsyncControlStore(url, tmp_path / "c.db", NoOpTracer()), KINDS, ["main"]
    )
    made = await started(operations)
    watch = operations.watch(made.id)
    await soon(watch)
    lags: list[float] = []

    async def measure() -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            lags.append(time.monotonic() - before - 0.01)

    async def asked() -> float:
        before = time.monotonic()
        with pytest.raises(ControlStoreUnavailable):
            await operations.get(made.id)
        return time.monotonic() - before

    measuring = asyncio.create_task(measure())
    before = threading.active_count()
    await asyncio.to_thread(server.pause)
    took = await asyncio.gather(*(asked() for _ in range(50)))
    took += await asyncio.gather(*(asked() for _ in range(3)))
    assert max(took) < 8.5
    assert threading.active_count() <= before + 8
    measuring.cancel()
    assert max(lags) < 0.5
    await asyncio.to_thread(server.resume)

    assert (await operations.get(made.id)).id == made.id
    await operations.cancel(made.id)
    assert (await soon(watch)).state is State.CANCELLED
    await asyncio.to_thread(server.pause)
    hanging = asyncio.create_task(asked())
    await eventually(lambda: threading.active_count() > 2, 5)
    began = time.monotonic()
    await operations.close()
    assert time.monotonic() - began < 1
    await asyncio.to_thread(server.resume)
    hanging.cancel()
    await asyncio.gather(hanging, return_exceptions=True)
