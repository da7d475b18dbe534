"""What is measured: metrics, their samples, and the newest of them, which is a snapshot."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Final, NamedTuple

_OF_OBJECTS: Final = frozenset(("relname", "indexrelname", "queryid"))


class MetricType(Enum):
    """What a metric counts."""

    GAUGE = "gauge"
    COUNTER = "counter"


@dataclass(frozen=True, slots=True)
class Metric:
    """What a metric means.

    `unit` is a UCUM code, as OpenTelemetry has them: `s`, `By`, `1`, `{connection}`. `labels` are
    in the order of the text format.
    """

    name: str
    type: MetricType
    unit: str
    help: str
    labels: tuple[str, ...] = ()

    def __hash__(self) -> int:
        # That of all fields would be made anew each time, for every sample.
        return hash(self.name)

    @property
    def is_detail(self) -> bool:
        """Whether it has a series a table, index or statement, of which there may be thousands."""
        return not _OF_OBJECTS.isdisjoint(self.labels)


class Series(NamedTuple):
    """A metric with one set of labels. `labels`: their values, in the order of the metric's."""

    metric: Metric
    labels: tuple[str, ...]

    def label_map(self) -> dict[str, str]:
        """The labels by name, without the empty ones."""
        return {
            name: value
            for name, value in zip(self.metric.labels, self.labels, strict=True)
            if value
        }


class Sample(NamedTuple):
    """A value of a series, at a time in seconds since 1970."""

    series: Series
    value: float
    at: float


class CollectorState(Enum):
    """How a collector does."""

    OK = "OK"
    PENDING = "PENDING"
    FAILED = "FAILED"
    NOT_APPLICABLE = "NOT_APPLICABLE"
    PARTIAL = "PARTIAL"


@dataclass(frozen=True, slots=True)
class CollectorStatus:
    """How a collector does. `reason` is for programs, `message` for people; empty if it is OK."""

    name: str
    state: CollectorState
    reason: str = ""
    message: str = ""
    sampled_at: float | None = None
    """Of its newest samples, in seconds since 1970."""

    duration_s: float = 0.0
    """Of its last run."""

    interval_s: float = 0.0
    """How often it runs now."""


@dataclass(frozen=True, eq=False)
class Collection:
    """The newest samples of one collector. Immutable, so what is made of it can be kept with it.

    Two are equal only if they are one: comparing what they hold would cost more than it saves.
    """

    status: CollectorStatus
    samples: tuple[Sample, ...] = ()

    @cached_property
    def by_metric(self) -> Mapping[Metric, tuple[Sample, ...]]:
        """The samples by metric, in the order in which the collector declares metrics."""
        found: dict[Metric, list[Sample]] = {}
        for sample in self.samples:
            found.setdefault(sample.series.metric, []).append(sample)
        return {metric: tuple(samples) for metric, samples in found.items()}


@dataclass(frozen=True)
class Snapshot:
    """The newest samples of a database: a collection of each of its collectors, by name."""

    database: str
    collections: Mapping[str, Collection] = field(default_factory=dict)

    @property
    def sampled_at(self) -> float | None:
        """The time of its newest sample, in seconds since 1970; None before the first one."""
        times = [each.status.sampled_at for each in self.collections.values()]
        return max((time for time in times if time is not None), default=None)

    def samples(self) -> Iterator[Sample]:
        """Every sample, by collector and metric."""
        for collection in self.collections.values():
            yield from collection.samples

    def replaced(self, collections: Mapping[str, Collection]) -> "Snapshot":
        """The snapshot with these collections in the place of those of the same names."""
        merged = {**self.collections, **collections}
        return Snapshot(self.database, {name: merged[name] for name in sorted(merged)})


def is_number(value: float) -> bool:
    """Whether a value can be a sample: no NaN and no infinity, which JSON and averages refuse."""
    return math.isfinite(value)
