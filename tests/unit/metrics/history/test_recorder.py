"""The recorder writes what the hub has, through everything that may be wrong with its file."""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from dbopsd.metrics.history.reader import HistoryReader
from dbopsd.metrics.history.recorder import Recorder
from dbopsd.metrics.history.resolution import DAY_MS
from dbopsd.metrics.history.store import HistoryStore
from dbopsd.metrics.hub import MetricsHub
from dbopsd.metrics.model import Collection, CollectorState, CollectorStatus
from tests.support.history import LARGE, START_MS, gauge, write
from tests.support.patience import eventually
from tests.unit.metrics.made import COMMITS, UP, collection

TICK_S = 0.02


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics" / "history.db"


@pytest.fixture
def hub() -> MetricsHub:
    return MetricsHub(["main", "branch"])


@asynccontextmanager
async def recording(
    hub: MetricsHub, path: Path, clock: Callable[[], float] = time.time
) -> AsyncIterator[None]:
    recorder = Recorder(hub, path, max_bytes=LARGE, tick_s=TICK_S, clock=clock)
    task = asyncio.create_task(recorder.run())
    try:
        yield
        assert not task.done(), task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def publish(hub: MetricsHub, value: float, at: float, database: str = "main") -> None:
    hub.publish(database, {"up": collection("up", (UP, (), value), at=at)})


def recorded(path: Path, database: str = "main", metric: str = "pg_up") -> dict[float, float]:
    """Values by time in seconds."""
    reader = HistoryReader(path)
    far = START_MS + 9000 * DAY_MS
    found = reader.read(reader.find(database, metric, 0, far), 0, far)
    return {
        at / 1000: value
        for each in found
        for at, value in zip(each.samples.times.tolist(), each.samples.mean.tolist(), strict=True)
    }


async def test_each_run_of_a_collector_is_recorded_once(hub, path):
    began = time.monotonic()
    async with recording(hub, path, clock=lambda: 120.0 + time.monotonic() - began):
        publish(hub, 1.0, 100.0)
        publish(hub, 7.0, 100.5, "branch")
        await eventually(lambda: recorded(path) == {100.0: 1.0})
        publish(hub, 2.0, 110.0)
        await eventually(lambda: recorded(path) == {100.0: 1.0, 110.0: 2.0})
        await asyncio.sleep(5 * TICK_S)
    assert recorded(path, "branch") == {100.5: 7.0}
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM head").fetchone() == (3,)


async def test_what_a_collector_did_not_get_is_not_recorded(hub, path):
    good = collection("commits", (COMMITS, ("app",), 5.0), at=100.0)
    failed = Collection(
        CollectorStatus("up", CollectorState.FAILED, sampled_at=100.0),
        collection("up", (UP, (), 1.0)).samples,
    )
    async with recording(hub, path):
        hub.publish("main", {"up": failed, "commits": good})
        await eventually(lambda: recorded(path, metric=COMMITS.name) == {100.0: 5.0})
    assert recorded(path) == {}


async def test_a_file_that_cannot_be_written_is_said_once_and_tried_again(hub, path, caplog):
    path.parent.write_text("no directory")
    async with recording(hub, path):
        publish(hub, 1.0, 100.0)
        await eventually(lambda: "cannot be written" in caplog.text)
        await asyncio.sleep(5 * TICK_S)
        path.parent.unlink()
        publish(hub, 2.0, 110.0)
        await eventually(lambda: "is written again" in caplog.text)
        await eventually(lambda: recorded(path).get(110.0) == 2.0)
    assert caplog.text.count("cannot be written") == 1


async def test_a_file_that_is_damaged_while_it_is_written_is_moved_aside(hub, path, caplog):
    store = HistoryStore(path, max_bytes=LARGE)
    write(store, [START_MS + 10_000], lambda _: {gauge("level"): 1.0})
    store.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE head SET samples = x'00'")
    async with recording(hub, path):
        # It is found where it is sealed.
        await eventually(lambda: "is damaged" in caplog.text)
        publish(hub, 2.0, time.time())
        await eventually(lambda: 2.0 in recorded(path).values())
    with closing(sqlite3.connect(path.with_suffix(".damaged"))) as connection:
        assert connection.execute("SELECT samples FROM head").fetchall() == [(b"\0",)]


async def test_a_clock_that_is_set_wrong_for_a_while_costs_no_history(hub, path):
    store = HistoryStore(path, max_bytes=LARGE)
    write(store, [START_MS + 10_000, START_MS + 20_000], lambda _: {gauge("level"): 1.0})
    store.close()
    offset_s = START_MS / 1000 + 800 * 86_400 - time.time()
    async with recording(hub, path, clock=lambda: time.time() + offset_s):

        def sealed() -> bool:
            with closing(sqlite3.connect(path)) as connection:
                ((ticks,), (layouts,)) = (
                    connection.execute(f"SELECT count(*) FROM {table}").fetchone()
                    for table in ("head", "layout")
                )
                # Layouts go last: all the work is done.
                return (ticks, layouts) == (0, 0)

        await eventually(sealed)
    assert len(recorded(path, metric="level")) == 2
