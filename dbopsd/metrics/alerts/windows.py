"""The samples of one database that rules read: the newest ones, and those of the last hour.

What rules look back on is kept in memory, for the time and the metrics that some rule asks for.
Reading the history at each evaluation would cost more than all the rest.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from dbopsd.metrics.alerts.promql import LabelMap, Matches
from dbopsd.metrics.history.chunk import Samples
from dbopsd.metrics.model import Collection, Sample, Series, Snapshot

_MOST_KNOWN: Final = 20_000
_NO_SAMPLES: tuple[Sample, ...] = ()


@dataclass(slots=True)
class _Line:
    """The samples of one series, by time in ms."""

    labels: LabelMap
    times: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def append(self, at_ms: int, value: float) -> None:
        if not self.times or at_ms > self.times[-1]:
            self.times.append(at_ms)
            self.values.append(value)

    def forget(self, before_ms: int) -> None:
        # Many at a time: each cut moves the rest.
        if self.times and self.times[len(self.times) // 4] < before_ms:
            old = sum(time < before_ms for time in self.times)
            del self.times[:old], self.values[:old]


class Windows:
    """Samples of one database. `spans_s`: how far back each metric is kept, by its name."""

    def __init__(self, spans_s: Mapping[str, float]) -> None:
        self.spans_s = spans_s
        self._lines: dict[str, dict[tuple[str, ...], _Line]] = {name: {} for name in spans_s}
        self._taken: dict[str, Collection] = {}
        self._newest: dict[str, tuple[Sample, ...]] = {}
        self._known: dict[tuple[tuple[str, ...], tuple[str, ...]], LabelMap] = {}
        self._now_ms = 0

    def fill(self, series: Series, samples: Samples) -> None:
        """Take older samples of a series, before the first `take`."""
        line = self._line(series)
        for at_ms, value in zip(samples.times.tolist(), samples.values.tolist(), strict=True):
            line.append(at_ms, value)

    def take(self, snapshot: Snapshot, now: float) -> None:
        """Take the newest samples. `now` is in seconds since 1970."""
        self._now_ms = round(now * 1000)
        self._newest = {}
        for name, collection in snapshot.collections.items():
            for metric, samples in collection.by_metric.items():
                self._newest[metric.name] = samples
            if self._taken.get(name) is not collection:
                self._taken[name] = collection
                self._remember(collection)
        for metric_name, lines in self._lines.items():
            before_ms = self._now_ms - round(self.spans_s[metric_name] * 1000)
            for labels, line in list(lines.items()):
                line.forget(before_ms)
                if not line.times or line.times[-1] < before_ms:
                    del lines[labels]

    def _remember(self, collection: Collection) -> None:
        for metric, samples in collection.by_metric.items():
            if metric.name in self.spans_s:
                for sample in samples:
                    self._line(sample.series).append(round(sample.at * 1000), sample.value)

    def _line(self, series: Series) -> _Line:
        lines = self._lines[series.metric.name]
        line = lines.get(series.labels)
        if line is None:
            line = lines[series.labels] = _Line(self._labels(series))
        return line

    def instant(self, metric: str) -> Iterator[tuple[Mapping[str, str], float]]:
        """The newest samples of a metric."""
        for sample in self._newest.get(metric, _NO_SAMPLES):
            yield self._labels(sample.series), sample.value

    def _labels(self, series: Series) -> LabelMap:
        key = (series.metric.labels, series.labels)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _MOST_KNOWN:
                # Most of them are gone: sessions, statements.
                self._known.clear()
            found = self._known[key] = LabelMap(series.label_map())
        return found

    def window(
        self, metric: str, matches: Matches, span_s: float
    ) -> Iterable[tuple[Mapping[str, str], Samples]]:
        """The samples of a metric in the last `span_s` seconds, both ends included."""
        after_ms = self._now_ms - round(span_s * 1000)
        for line in self._lines.get(metric, {}).values():
            if not matches(line.labels):
                continue
            first = bisect_left(line.times, after_ms)
            if first < len(line.times):
                times = np.array(line.times[first:], np.int64)
                yield line.labels, Samples(times, np.array(line.values[first:]))
