"""What is measured of duties."""

from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from dbopsd.operations.duty import DutyKey
from dbopsd.operations.metrics import DutyMetrics

WAL = DutyKey("main", "receive-wal")
ALERTS = DutyKey("", "send-alerts")


def test_what_is_held_taken_over_and_silent_is_measured() -> None:
    reader = InMemoryMetricReader()
    metrics = DutyMetrics(MeterProvider([reader]).get_meter("test"))

    def points(name: str) -> list[tuple[dict[str, Any], float]]:
        data = reader.get_metrics_data()
        (found,) = [
            metric
            for resource in (data.resource_metrics if data else [])
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
        ]
        return [(dict(point.attributes), point.value) for point in found.data.data_points]  # type: ignore[union-attr]

    metrics.held(WAL, held=True)
    metrics.held(ALERTS, held=False)
    metrics.taken_over(WAL)
    metrics.observe({ALERTS: 2.5, WAL: None})

    wal, alerts = (
        {"dbops.duty.name": "receive-wal", "db.namespace": "main"},
        {"dbops.duty.name": "send-alerts"},
    )
    assert points("dbops.duty.held") == [(wal, 1), (alerts, 0)]
    assert points("dbops.duty.takeovers") == [(wal, 1)]
    assert points("dbops.duty.heartbeat_age") == [(alerts, 2.5)]
