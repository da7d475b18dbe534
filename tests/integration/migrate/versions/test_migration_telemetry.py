"""What the worker's traces and metrics say of migrations."""

import asyncio
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dbopsd.db.database import Database
from dbopsd.migrate.versions.apply.metrics import MigrationMetrics
from dbopsd.migrate.versions.apply_migrations import apply_migrations
from dbopsd.migrate.versions.check_migrations import check_migrations
from dbopsd.migrate.versions.model.ledger_run import Direction
from dbopsd.migrate.versions.model.migration import State
from dbopsd.migrate.versions.model.reports import MigrationReport, MigrationRun, Outcome
from dbopsd.migrate.versions.model.requests import ApplyMigrationsRequest, CheckMigrationsRequest
from dbopsd.operations.errors import FailedWithResult
from tests.integration.migrate.versions.conftest import OpenMigrated
from tests.support.operation_run import OperationRun
from tests.support.recording import Recording

FILES = {
    "001_users.sql": "CREATE TABLE users (id bigint);",
    "002_wrong.sql": "CREATE TABLE other (id bigint);\nSELECT 1 / 0;",
}
# The transactions that wait for a lock of a table, each attempt's its own.
WAITING = """
SELECT xact_start FROM pg_stat_activity
WHERE wait_event_type = 'Lock' AND wait_event = 'relation' AND datname = current_database()
"""


@pytest.fixture
async def database(open_migrated: OpenMigrated, database_dsn: str, tmp_path: Path) -> Database:
    folder = tmp_path / "migrations"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return await open_migrated(database_dsn, folder)


def run_on(database: Database, directory: Path, recording: Recording) -> OperationRun:
    run = OperationRun(database, directory)
    run.tracer = recording.telemetry.tracer
    return run


def points(recording: Recording, name: str) -> dict[tuple[Any, ...], Any]:
    """The values of a metric by the set, the direction and the result of its points."""
    keys = ("dbops.migration.set", "dbops.migration.direction", "dbops.migration.result")
    found = {}
    for point in recording.metric(name):
        assert point.attributes["db.namespace"] == "main"
        value = point.count if hasattr(point, "count") else point.value
        found[tuple(point.attributes.get(key) for key in keys)] = value
    return found


async def test_each_migration_is_counted_and_has_a_span(
    database: Database, tmp_path: Path, recording: Recording
) -> None:
    with pytest.raises(FailedWithResult):
        await apply_migrations(run_on(database, tmp_path, recording), ApplyMigrationsRequest())
    done, failed = ("default", "up", "done"), ("default", "up", "failed")
    assert points(recording, "dbops.migration.count") == {done: 1, failed: 1}
    assert points(recording, "dbops.migration.duration") == {done: 1, failed: 1}
    assert points(recording, "dbops.migration.lock_wait_time") == {done: 1, failed: 1}
    assert points(recording, "dbops.migration.lock_retries") == {}
    spans = recording.spans("migration up")
    assert [(span.attributes or {})["dbops.migration.key"] for span in spans] == ["001", "002"]
    within = {span.parent.span_id for span in recording.statements() if span.parent}
    assert {span.context.span_id for span in spans if span.context} <= within


async def test_attempts_after_the_first_are_retries(
    database: Database, tmp_path: Path, recording: Recording, database_dsn: str
) -> None:
    with (
        psycopg.connect(database_dsn) as other,
        psycopg.connect(database_dsn, autocommit=True) as watcher,
    ):
        other.execute("CREATE TABLE busy (id bigint)")
        other.commit()
        other.execute("SELECT FROM busy")
        (tmp_path / "migrations" / "001_users.sql").write_text("ALTER TABLE busy ADD a text;")
        run = run_on(database, tmp_path, recording)
        request = ApplyMigrationsRequest(count=1, lock_wait_s=60)
        applying = asyncio.create_task(apply_migrations(run, request))
        seen: set[Any] = set()
        while len(seen) < 2:
            assert not applying.done()
            await asyncio.sleep(0.05)
            seen |= {row for (row,) in watcher.execute(WAITING)}
        other.rollback()
        report = await applying
    (applied,) = report.migrations
    assert applied.lock_attempts > 1
    retries = points(recording, "dbops.migration.lock_retries")
    assert retries == {("default", "up", "done"): applied.lock_attempts - 1}


def test_what_was_interrupted_is_told_apart(recording: Recording) -> None:
    def ended(direction: Direction, state: State, duration_s: float | None = 1.0) -> None:
        run = MigrationRun("default", "001", "a", state, duration_s=duration_s)
        MigrationMetrics(recording.telemetry.meter, "main").ended(
            direction, MigrationReport("operations/1", Outcome.FAILED, migrations=(run,))
        )

    ended(Direction.UP, State.INTERRUPTED)
    ended(Direction.DOWN, State.PENDING)
    ended(Direction.DOWN, State.APPLIED)
    ended(Direction.UP, State.PENDING, duration_s=None)
    assert points(recording, "dbops.migration.count") == {
        ("default", "up", "interrupted"): 1,
        ("default", "down", "done"): 1,
        ("default", "down", "failed"): 1,
    }


async def test_drift_is_the_number_of_objects_that_differ(
    database: Database, tmp_path: Path, recording: Recording, database_dsn: str
) -> None:
    run = run_on(database, tmp_path, recording)
    await apply_migrations(run, ApplyMigrationsRequest(count=1))
    # Privileges are compared too, and are no drift.
    changes = ("GRANT SELECT ON users TO PUBLIC", "ALTER TABLE users ADD email text")
    for number, statement in enumerate(changes):
        with psycopg.connect(database_dsn, autocommit=True) as other:
            other.execute(statement.encode())
        await check_migrations(run, CheckMigrationsRequest(drift=True))
        assert points(recording, "dbops.migration.drift") == {(None, None, None): number}
    # The next one leaves the schema that drift is measured from then.
    (tmp_path / "migrations" / "002_wrong.sql").write_text("CREATE TABLE other (id bigint);")
    await apply_migrations(run, ApplyMigrationsRequest())
    assert points(recording, "dbops.migration.drift") == {(None, None, None): 0}
