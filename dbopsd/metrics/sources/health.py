"""The health checks, so that rules and dashboards judge by the same thresholds as `GetHealth`."""

from collections.abc import Iterable
from typing import Final

from dbopsd.health.report import State
from dbopsd.metrics.model import Metric, MetricType
from dbopsd.metrics.source import Source, Subject, Value

_NUMBERS: Final = {
    State.HEALTHY: 0.0,
    State.DEGRADED: 1.0,
    State.UNHEALTHY: 2.0,
    State.UNKNOWN: 3.0,
}
_STATE: Final = Metric(
    "dbops_health_check_state",
    MetricType.GAUGE,
    "1",
    "State of a health check: 0 healthy, 1 degraded, 2 unhealthy, 3 unknown.",
    ("check",),
)
_VALUE: Final = Metric(
    "dbops_health_check_value",
    MetricType.GAUGE,
    "1",
    "Value of a health check, in the unit that docs/health.md gives for it.",
    ("check",),
)
_OVERALL: Final = Metric(
    "dbops_health_state",
    MetricType.GAUGE,
    "1",
    "State of the database: 0 healthy, 1 degraded, 2 unhealthy, 3 unknown.",
)


def _measure(subject: Subject) -> Iterable[Value]:
    yield _OVERALL, (), _NUMBERS[subject.report.state]
    for check in subject.report.checks:
        yield _STATE, (check.check,), _NUMBERS[check.state]
        yield _VALUE, (check.check,), check.value


SOURCE = Source("health", "The health checks.", (_OVERALL, _STATE, _VALUE), _measure)
