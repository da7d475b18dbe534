"""Collections as the metrics of OpenTelemetry's SDK, which its exporters send."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from dbopsd.metrics.model import Sample, Snapshot
from dbopsd.metrics.otlp.counts import Count, Pushed, count
from dbopsd.metrics.otlp.names import Kind, OtlpMetric, OtlpNames

_NANOSECONDS: Final = 1_000_000_000
# Numbers with these units may have a fraction, as gauges with the unit 1; all others are counts.
_FRACTIONS: Final = frozenset(("s", "ms"))
_STARTED: Final = "pg_postmaster_start_time_seconds"
_DELTA: Final = AggregationTemporality.DELTA
_CUMULATIVE: Final = AggregationTemporality.CUMULATIVE


class Temporality(Enum):
    """What a counter's point has: the count since it began, or the growth since the last push."""

    CUMULATIVE = "cumulative"
    DELTA = "delta"


@dataclass(frozen=True, slots=True)
class Part:
    """Some collectors of a database: what one request has, and what is known once it arrived."""

    metrics: Sequence[Metric]
    points: int
    pushed: dict[str, Pushed]


def parts(
    snapshot: Snapshot,
    before: dict[str, Pushed],
    names: OtlpNames,
    temporality: Temporality,
    now: float,
    most_points: int,
) -> Iterator[Part]:
    """The snapshot at a push at `now`, in parts of about `most_points`; a collector is in one.

    `before` has what is known from earlier pushes, by collector.
    """
    metrics: dict[str, tuple[OtlpMetric, str, list[NumberDataPoint]]] = {}
    pushed: dict[str, Pushed] = {}
    points = 0
    started_at = next(
        (each.value for each in snapshot.samples() if each.series.metric.name == _STARTED), None
    )
    for name, collection in snapshot.collections.items():
        counts, pushed[name] = count(
            before.get(name, Pushed()),
            collection,
            (
                each
                for each in collection.samples
                if names.of(each.series.metric).kind is Kind.COUNTER
            ),
            now,
            started_at,
        )
        for sample in collection.samples:
            series = sample.series
            as_ = names.of(series.metric)
            point = _point(sample, as_, counts.get(series), temporality, now)
            if point is not None:
                entry = metrics.setdefault(as_.name, (as_, series.metric.help, []))
                entry[2].append(point)
                points += 1
        if points >= most_points:
            yield Part(_metrics(metrics.values(), temporality), points, pushed)
            metrics, pushed, points = {}, {}, 0
    if points:
        yield Part(_metrics(metrics.values(), temporality), points, pushed)


def metrics_data(resource: Resource, scope: InstrumentationScope, part: Part) -> MetricsData:
    """What an exporter sends."""
    scoped = ScopeMetrics(scope, part.metrics, "")
    return MetricsData([ResourceMetrics(resource, [scoped], "")])


def _point(
    sample: Sample, as_: OtlpMetric, counted: Count | None, temporality: Temporality, now: float
) -> NumberDataPoint | None:
    start: float | None = None
    value: float | None = sample.value
    if as_.kind is Kind.COUNTER:
        if counted is None:
            return None
        start = counted.began_at
        if temporality is Temporality.DELTA:
            start, value = counted.since, counted.grown
            if value is None:
                return None
    assert value is not None  # noqa: S101 - only a delta may be missing
    fraction = as_.unit in _FRACTIONS or (as_.unit == "1" and as_.kind is Kind.GAUGE)
    whole = not fraction and value.is_integer()
    return NumberDataPoint(
        attributes=as_.attributes(sample.series),
        start_time_unix_nano=0 if start is None else _nanoseconds(start),
        time_unix_nano=_nanoseconds(now),
        value=int(value) if whole else value,
    )


def _metrics(
    found: Iterable[tuple[OtlpMetric, str, list[NumberDataPoint]]], temporality: Temporality
) -> list[Metric]:
    return [
        Metric(as_.name, about, as_.unit, _data(as_.kind, points, temporality))
        for as_, about, points in found
    ]


def _data(kind: Kind, points: list[NumberDataPoint], temporality: Temporality) -> Sum | Gauge:
    if kind is Kind.GAUGE:
        return Gauge(points)
    # As the SDK has it: what also falls is cumulative in either way.
    delta = kind is Kind.COUNTER and temporality is Temporality.DELTA
    return Sum(points, _DELTA if delta else _CUMULATIVE, is_monotonic=kind is Kind.COUNTER)


def _nanoseconds(time: float) -> int:
    # A float holds a present time to 0.2 µs: digits below would be made up.
    return round(time * 1_000_000) * (_NANOSECONDS // 1_000_000)
