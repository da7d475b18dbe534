"""What a worker makes of its heartbeats, on a control store that nobody else works on."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.metrics import NoOpMeter
from opentelemetry.trace import NoOpTracer

from dbopsd.config import OperationsConfig
from dbopsd.operations.async_store import AsyncControlStore
from dbopsd.operations.metrics import DutyMetrics, OperationMetrics
from dbopsd.operations.record import WorkerState
from dbopsd.operations.store import liveness
from dbopsd.operations.store.notifications import Topic
from dbopsd.operations.store.store import ControlStore
from dbopsd.operations.worker import Parts, Worker
from dbopsd.rpc.status import failure_of

TAKEOVER_S = 1.0


class SlowThreads(AsyncControlStore):
    """A control store that answers, and not before `delay_s` seconds."""

    delay_s = 0.0

    async def ask(self, question: Any, *, timeout_s: float | None = None) -> Any:
        await asyncio.sleep(self.delay_s)
        return await super().ask(question)


class NoEngine:
    """In place of DBOS: there is no work."""

    def wake(self, topic: Topic) -> None:
        """Nothing waits for it."""

    def wake_ticks(self) -> None:
        """Nothing waits for it."""


@pytest.fixture
async def threads(control_url: str | None, tmp_path: Path) -> AsyncIterator[SlowThreads]:
    made = SlowThreads(control_url, tmp_path / "control" / "c.db", NoOpTracer())
    yield made
    made.close()


@pytest.fixture
async def worker(threads: SlowThreads, tmp_path: Path) -> Worker:
    parts = Parts(
        threads=threads,
        config=OperationsConfig(heartbeat_s=0.1, takeover_after_s=TAKEOVER_S),
        kinds={},
        roles={},
        databases={},
        schedules=(),
        scratch=tmp_path / "scratch",
        state_dir=tmp_path,
        tracer=NoOpTracer(),
        metrics=OperationMetrics(NoOpMeter("test")),
        duties=(),
        duty_metrics=DutyMetrics(NoOpMeter("test")),
        failure_of=failure_of,
        version="0",
    )
    made = Worker("w-1", parts, on_lost=lambda: None)
    made._engine = NoEngine()  # type: ignore[assignment]
    return made


async def registered(threads: SlowThreads, *names: str) -> None:
    def register(store: ControlStore) -> None:
        for name in names:
            liveness.register(store, name, host="here", pid=1, version="0", replaces="")

    await threads.ask(register)


async def states(threads: SlowThreads) -> dict[str, WorkerState]:
    workers = await threads.ask(liveness.all_workers)
    return {each.id: each.state for each in workers}


async def test_a_worker_that_is_silent_for_long_is_lost(
    worker: Worker, threads: SlowThreads
) -> None:
    await registered(threads, "w-1", "w-silent")
    await worker._pulse()
    await asyncio.sleep(TAKEOVER_S + 0.1)
    await worker._pulse()
    assert await states(threads) == {"w-1": WorkerState.ACTIVE, "w-silent": WorkerState.LOST}


async def test_a_store_that_was_slow_makes_nobody_look_lost(
    worker: Worker, threads: SlowThreads
) -> None:
    await registered(threads, "w-1", "w-other")
    await worker._pulse()
    # It had to wait as well, so that its heartbeat is as old as this answer is late.
    threads.delay_s = TAKEOVER_S + 0.2
    await worker._pulse()
    threads.delay_s = 0.0
    assert await states(threads) == {"w-1": WorkerState.ACTIVE, "w-other": WorkerState.ACTIVE}

    await worker._pulse()
    await asyncio.sleep(TAKEOVER_S + 0.1)
    await worker._pulse()
    assert (await states(threads))["w-other"] is WorkerState.LOST, "it is silent all the same"
