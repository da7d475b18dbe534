"""What a day of samples costs: bytes, writing, sealing beside an event loop, and reading."""

import asyncio
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench.measurement import Measurement, Row, at_most
from bench.workbench import Workbench
from dbopsd.metrics.history.numbers import Segment
from dbopsd.metrics.history.query import History, Question
from dbopsd.metrics.history.resolution import DAY_MS, HOUR_MS
from dbopsd.metrics.history.store import HistoryStore
from dbopsd.metrics.model import Metric, MetricType, Series

_SERIES = 1_500
_COLLECTORS = 10
_TICK_MS = 10_000
_START_MS = 1_790_000_000_000 // HOUR_MS * HOUR_MS
_READINGS = 15
_LOOKS = 5_000
_MAX_BYTES = 200_000_000
# As the recorder has it.
_BETWEEN_STEPS_S = 0.02


def _run(bench: Workbench) -> list[Row]:
    path = bench.directory("history") / "history.db"
    hours = DAY_MS // HOUR_MS
    store = HistoryStore(path, max_bytes=_MAX_BYTES)
    ticks = _ticks()
    append_s: list[float] = []
    steps_ms: list[float] = []
    holds_ms: list[float] = []
    for hour in range(hours):
        bench.say(f"hour {hour + 1} of {hours}")
        for _ in range(HOUR_MS // _TICK_MS):
            segments = next(ticks)
            began = time.perf_counter()
            store.append({"main": segments})
            append_s.append(time.perf_counter() - began)
        now_ms = segments[0].at_ms + 2 * 60_000
        if hour < hours - 1:
            while store.work(now_ms):
                pass
        else:
            steps_ms, holds_ms = asyncio.run(_sealed_beside_a_loop(store, now_ms))
    without_ms = asyncio.run(_late_ms(min(len(holds_ms), _LOOKS)))
    store.close()
    bytes_used = path.stat().st_size
    samples = len(append_s) * _SERIES
    end = segments[0].at_ms / 1000
    return [
        Row("bytes a sample, in every resolution", bytes_used / samples, "B", at_most(1.5)),
        Row("writing a tick", statistics.median(append_s) * 1000, "ms", note="1,500 series"),
        Row(
            "the longest step of sealing, processor time",
            max(steps_ms),
            "ms",
            at_most(20.0),
            f"{len(steps_ms)} steps: what one may hold up the event loop at most",
        ),
        Row(
            "an event loop comes to its turn late, at most, while an hour is sealed",
            max(holds_ms),
            "ms",
            note=f"{len(holds_ms)} times looked at, median {statistics.median(holds_ms):.2f}",
        ),
        Row(
            "the same while nothing is sealed",
            max(without_ms),
            "ms",
            note=f"{len(without_ms)} times looked at, median {statistics.median(without_ms):.2f}",
        ),
        Row("a day of one series", _read_ms(path, end, "metric_5", "0"), "ms", at_most(5.0)),
        Row("a day of 40 series", _read_ms(path, end, "metric_0", None), "ms", at_most(15.0)),
    ]


def _ticks() -> Iterator[list[Segment]]:
    """Counters that stand still, creep and run, and gauges about a level."""
    random = np.random.default_rng(1)
    # The first metric has 40 series, the others 20 and more.
    series = [Series(_metric(0), (str(number),)) for number in range(40)]
    while len(series) < _SERIES:
        number = len(series)
        series.append(Series(_metric(1 + number % 70), (str(number // 70),)))
    counts = np.array([each.metric.type is MetricType.COUNTER for each in series])
    rate = random.choice([0, 0, 1, 5, 100], _SERIES)
    values = np.zeros(_SERIES)
    places = np.array_split(np.arange(_SERIES), _COLLECTORS)
    grouped = [tuple(series[place] for place in some) for some in places]
    at_ms = _START_MS
    while True:
        at_ms += _TICK_MS
        values = np.where(
            counts,
            values + random.poisson(rate),
            random.integers(0, 50, _SERIES) * (rate > 0),
        ).astype(float)
        yield [
            Segment(f"collector_{number}", grouped[number], at_ms, values[some])
            for number, some in enumerate(places)
        ]


def _metric(number: int) -> Metric:
    kind = MetricType.COUNTER if number % 3 else MetricType.GAUGE
    return Metric(f"metric_{number}", kind, "1", "help", ("label",))


async def _sealed_beside_a_loop(
    store: HistoryStore, now_ms: int
) -> tuple[list[float], list[float]]:
    """The processor time of each step, and how late an event loop came to its turn meanwhile."""
    done = threading.Event()
    steps_ms = []

    def seal() -> None:
        more = True
        while more:
            began = time.thread_time()
            more = store.work(now_ms)
            steps_ms.append((time.thread_time() - began) * 1000)
            time.sleep(_BETWEEN_STEPS_S)
        done.set()

    thread = threading.Thread(target=seal)
    thread.start()
    late_ms = []
    while not done.is_set():
        late_ms += await _late_ms(1)
    thread.join()
    return steps_ms, late_ms


async def _late_ms(times: int) -> list[float]:
    """How much later than due an event loop comes to its turn."""
    late_ms = []
    for _ in range(times):
        due = time.perf_counter() + 0.001
        await asyncio.sleep(0.001)
        late_ms.append((time.perf_counter() - due) * 1000)
    return late_ms


def _read_ms(path: Path, end: float, metric: str, label: str | None) -> float:
    history = History(path, clock=lambda: end)
    labels = {} if label is None else {"label": label}
    question = Question("main", metric, labels, start=end - DAY_MS / 1000, end=end)

    async def ask() -> list[float]:
        # In one loop, as the daemon has it: a new one has new threads, whose memory is new too.
        took_ms = []
        for _ in range(_READINGS):
            began = time.perf_counter()
            await history.ask(question)
            took_ms.append((time.perf_counter() - began) * 1000)
        return took_ms

    return statistics.median(asyncio.run(ask()))


MEASUREMENT = Measurement("The history of metrics", _run, limit_s=600.0)
