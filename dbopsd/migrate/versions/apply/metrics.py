"""Metrics of migrations, recorded by the worker that runs them."""

from typing import Final

from opentelemetry.metrics import Meter

from dbopsd.migrate.versions.model.ledger_run import Direction
from dbopsd.migrate.versions.model.migration import State
from dbopsd.migrate.versions.model.reports import MigrationReport, MigrationRun

_BUCKETS_S: Final = (0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 1800, 3600, 4 * 3600)

DATABASE: Final = "db.namespace"
SET: Final = "dbops.migration.set"
DIRECTION: Final = "dbops.migration.direction"
RESULT: Final = "dbops.migration.result"


class MigrationMetrics:
    """The metrics of one database's migrations."""

    def __init__(self, meter: Meter, database: str) -> None:
        self._database = {DATABASE: database}
        self._count = meter.create_counter(
            "dbops.migration.count",
            unit="{migration}",
            description="Migrations that were applied or rolled back, or failed.",
        )
        self._duration = meter.create_histogram(
            "dbops.migration.duration",
            unit="s",
            description="How long a migration took, waiting for locks included.",
            explicit_bucket_boundaries_advisory=_BUCKETS_S,
        )
        self._lock_wait = meter.create_histogram(
            "dbops.migration.lock_wait_time",
            unit="s",
            description="How long a migration waited for locks, and between its attempts.",
            explicit_bucket_boundaries_advisory=_BUCKETS_S,
        )
        self._retries = meter.create_counter(
            "dbops.migration.lock_retries",
            unit="{attempt}",
            description="Attempts at a migration after its first, because of locks.",
        )
        self._drift = meter.create_gauge(
            "dbops.migration.drift",
            unit="{object}",
            description="Objects that differ from the schema after the last migration.",
        )

    def ended(self, direction: Direction, report: MigrationReport) -> None:
        """An apply or a rollback ended."""
        for run in report.migrations:
            if run.duration_s is None:
                continue  # it was not begun
            attributes = {
                **self._database,
                SET: run.set,
                DIRECTION: direction.value,
                RESULT: _result(run, direction),
            }
            self._count.add(1, attributes)
            self._duration.record(run.duration_s, attributes)
            if run.lock_wait_s is not None:
                self._lock_wait.record(run.lock_wait_s, attributes)
            if run.lock_attempts > 1:
                self._retries.add(run.lock_attempts - 1, attributes)

    def drifted(self, objects: int) -> None:
        """A check compared the live schema: so many objects differ."""
        self._drift.set(objects, self._database)


def _result(run: MigrationRun, direction: Direction) -> str:
    if run.state is State.INTERRUPTED:
        return "interrupted"
    if not run.problem and run.state is (
        State.APPLIED if direction is Direction.UP else State.PENDING
    ):
        return "done"
    return "failed"
