"""Snapshots that tests make up."""

from dbopsd.metrics.model import (
    Collection,
    CollectorState,
    CollectorStatus,
    Metric,
    MetricType,
    Sample,
    Series,
    Snapshot,
)

UP = Metric("pg_up", MetricType.GAUGE, "1", "Whether it answers.")
COMMITS = Metric(
    "pg_stat_database_xact_commit", MetricType.COUNTER, "{transaction}", "Commits.", ("datname",)
)


def collection(name: str, *samples: tuple[Metric, tuple[str, ...], float], at: float = 1.0):
    """A collection of these samples, all OK."""
    status = CollectorStatus(name, CollectorState.OK, sampled_at=at)
    return Collection(
        status,
        tuple(Sample(Series(metric, labels), value, at) for metric, labels, value in samples),
    )


def snapshot(database: str, *collections: Collection) -> Snapshot:
    """A snapshot of these collections."""
    return Snapshot(database, {each.status.name: each for each in collections})
