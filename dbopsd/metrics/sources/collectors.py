"""How often collectors run. Whether they succeed and how long they take is in the source `up`."""

from collections.abc import Iterable
from typing import Final

from dbopsd.metrics.model import CollectorState, Metric, MetricType
from dbopsd.metrics.source import Source, Subject, Value

_RUNS: Final = Metric(
    "pg_exporter_scrapes_total",
    MetricType.COUNTER,
    "{run}",
    "Runs of collectors. They run by their own intervals, however often somebody scrapes.",
)
_INTERVAL: Final = Metric(
    "dbops_collector_interval_seconds",
    MetricType.GAUGE,
    "s",
    "How often the collector runs now: less often once it costs more or fails.",
    ("collector",),
)
_AGE: Final = Metric(
    "dbops_collector_sample_age_seconds",
    MetricType.GAUGE,
    "s",
    "Age of the collector's newest samples.",
    ("collector",),
)


def _measure(subject: Subject) -> Iterable[Value]:
    yield _RUNS, (), float(subject.runs)
    for name, each in subject.collections.items():
        status = each.status
        if status.state is CollectorState.NOT_APPLICABLE:
            continue
        yield _INTERVAL, (name,), status.interval_s or None
        if status.sampled_at is not None:
            yield _AGE, (name,), max(subject.now - status.sampled_at, 0.0)


SOURCE = Source(
    "collectors", "How often collectors run.", (_RUNS, _INTERVAL, _AGE), _measure, every_s=5.0
)
