"""Whether there are fresh samples, and how the collectors do, under postgres_exporter's names."""

from collections.abc import Iterable
from typing import Final

from dbopsd.health.report import State
from dbopsd.metrics.model import CollectorState, Metric, MetricType
from dbopsd.metrics.source import Source, Subject, Value

# A server that hangs keeps its last samples: they count for so many intervals.
_FRESH_INTERVALS: Final = 2.0
_WORKING: Final = (CollectorState.OK, CollectorState.PARTIAL)

_UP: Final = Metric(
    "pg_up",
    MetricType.GAUGE,
    "1",
    "1 if a sample was taken within two intervals, 0 if the server gives none.",
)
_SUCCESS: Final = Metric(
    "pg_scrape_collector_success",
    MetricType.GAUGE,
    "1",
    "1 if the collector's last run succeeded.",
    ("collector",),
)
_DURATION: Final = Metric(
    "pg_scrape_collector_duration_seconds",
    MetricType.GAUGE,
    "s",
    "How long the collector's last run took.",
    ("collector",),
)
_ERROR: Final = Metric(
    "pg_exporter_last_scrape_error",
    MetricType.GAUGE,
    "1",
    "1 if the last run of any collector failed.",
)
_TOTAL: Final = Metric(
    "pg_exporter_last_scrape_duration_seconds",
    MetricType.GAUGE,
    "s",
    "How long the last runs of all collectors took together.",
)


def _measure(subject: Subject) -> Iterable[Value]:
    statuses = [each.status for each in subject.collections.values()]
    asked = [each for each in statuses if each.state is not CollectorState.NOT_APPLICABLE]
    # By the quickest one: the samples of a slow one are old as a rule.
    newest = max((each.sampled_at or 0.0 for each in asked if each.state in _WORKING), default=0.0)
    quickest_s = min((each.interval_s for each in asked if each.interval_s), default=0.0)
    fresh = subject.now - newest <= _FRESH_INTERVALS * quickest_s
    # A daemon that has just begun does not know yet, and must not raise an alarm.
    if fresh or not _has_just_begun(subject):
        yield _UP, (), float(fresh)
    yield _ERROR, (), float(any(each.state is CollectorState.FAILED for each in asked))
    yield _TOTAL, (), sum(each.duration_s for each in asked)
    for each in asked:
        if each.state is not CollectorState.PENDING:
            yield _SUCCESS, (each.name,), float(each.state in _WORKING)
            yield _DURATION, (each.name,), each.duration_s


def _has_just_begun(subject: Subject) -> bool:
    """Whether no collector has been tried, and the prober knows of no trouble."""
    if subject.report.checks[0].state is State.UNHEALTHY:
        return False
    return all(
        each.status.state in (CollectorState.PENDING, CollectorState.NOT_APPLICABLE)
        for each in subject.collections.values()
    )


SOURCE = Source(
    "up", "Whether samples are fresh.", (_UP, _ERROR, _TOTAL, _SUCCESS, _DURATION), _measure
)
