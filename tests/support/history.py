"""Histories that tests make up, written by the real store."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from dbopsd.metrics.history.numbers import Segment
from dbopsd.metrics.history.resolution import HOUR_MS
from dbopsd.metrics.history.store import HistoryStore
from dbopsd.metrics.model import Metric, MetricType, Series

START_MS = 1_790_000_000_000 // HOUR_MS * HOUR_MS
"""The start of an hour in September 2026."""

LARGE = 10**9


def gauge(metric: str, *labels: str, unit: str = "1") -> Series:
    """A series of a gauge, its labels named `label0`, `label1` and so on."""
    names = tuple(f"label{number}" for number in range(len(labels)))
    return Series(Metric(metric, MetricType.GAUGE, unit, "", names), labels)


def counter(metric: str, *labels: str, unit: str = "1") -> Series:
    """A series of a counter."""
    series = gauge(metric, *labels, unit=unit)
    return Series(Metric(metric, MetricType.COUNTER, unit, "", series.metric.labels), labels)


def segment(at_ms: int, values: Mapping[Series, float], collector: str = "made") -> Segment:
    """What one run of a collector gave."""
    return Segment(collector, tuple(values), at_ms, np.array(list(values.values()), float))


def write(
    store: HistoryStore,
    times_ms: Iterable[int],
    values: Callable[[int], Mapping[Series, float]],
    *,
    database: str = "main",
    collector: str = "made",
) -> None:
    """Append a tick for each time, of what `values` gives at that time."""
    for at_ms in times_ms:
        store.append({database: [segment(at_ms, values(at_ms), collector)]})


def work(store: HistoryStore, now_ms: int, **options: bool) -> int:
    """Do all the work that is due. The number of its steps."""
    steps = 1
    while store.work(now_ms, **options):
        steps += 1
    return steps


def write_history(
    path: Path,
    times_ms: Sequence[int],
    values: Callable[[int], Mapping[Series, float]],
    *,
    database: str = "main",
    max_bytes: int = LARGE,
) -> None:
    """Write a file whose ticks have these times, sealed as it is a minute after the last one."""
    store = HistoryStore(path, max_bytes=max_bytes)
    write(store, times_ms, values, database=database)
    work(store, times_ms[-1] + 60_000)
    store.close()
