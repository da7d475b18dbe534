"""Drift that a check finds: when it is judged at all, and whether who watches can know of it."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dbopsd.migrate.versions import check_migrations as module
from dbopsd.migrate.versions.check_migrations import check_migrations
from dbopsd.migrate.versions.fingerprint.fingerprint import take_fingerprint
from dbopsd.migrate.versions.ledger.lock_key import LockKey
from dbopsd.migrate.versions.model.reports import CheckReport
from dbopsd.migrate.versions.model.requests import CheckMigrationsRequest
from dbopsd.migrate.versions.model.schema_object import Fingerprint
from tests.integration.migrate.versions.conftest import OpenMigrated
from tests.support.migration_site import MigrationSite, migration_site
from tests.support.operation_run import OperationRun
from tests.support.recording import Recording

ASK = CheckMigrationsRequest(drift=True)


@pytest.fixture
async def site(
    tmp_path: Path, database_dsn: str, recording: Recording
) -> AsyncIterator[MigrationSite]:
    """One whose schema has drifted by a table."""
    async with migration_site(tmp_path, database_dsn, recording.telemetry) as site:
        site.write("001_a", "CREATE TABLE a ()")
        await site.apply_unchecked()
        site.ask("CREATE TABLE by_hand ()")
        yield site


def judged(site: MigrationSite, report: CheckReport) -> tuple[bool, int, Any]:
    """Whether all is well, how many differences there are, and what the ledger has of them."""
    (recorded,) = site.ask("SELECT drifted_objects FROM dbops.schema_fingerprint")
    return report.ok, len(report.drift), recorded


async def test_drift_is_not_judged_while_migrations_change_the_schema(
    site: MigrationSite, database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(database_dsn, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [LockKey.of("dbops").value])
        report = await check_migrations(site.run(), ASK)
        holder = f"process {other.info.backend_pid} ("
    (note,) = report.notes
    assert note.startswith(f"migrations are being changed by {holder}")
    assert note.endswith("whether there is drift is not judged")
    assert judged(site, report) == (True, 0, 0)

    async def take_after_an_apply(*args: Any, **options: Any) -> Fingerprint:
        site.write("002_b", "CREATE TABLE b ()")
        await site.apply_unchecked()
        return await take_fingerprint(*args, **options)

    monkeypatch.setattr(module, "take_fingerprint", take_after_an_apply)
    report = await check_migrations(site.run(), ASK)
    assert report.notes == (
        "migrations were changed meanwhile: whether there is drift is not judged",
    )
    assert judged(site, report) == (True, 0, 0)


async def test_a_check_says_why_drift_is_not_recorded(
    make_role: Callable[..., dict[str, str]],
    site: MigrationSite,
    open_migrated: OpenMigrated,
    tmp_path: Path,
    database_dsn: str,
) -> None:
    reader = make_role()
    site.ask(f"GRANT USAGE ON SCHEMA dbops TO {reader['user']}")
    site.ask(f"GRANT SELECT ON ALL TABLES IN SCHEMA dbops TO {reader['user']}")
    login = psycopg.conninfo.make_conninfo(database_dsn, **reader)
    database = await open_migrated(login, tmp_path / "migrations")
    report = await check_migrations(OperationRun(database, tmp_path), ASK)
    assert "permission denied for table schema_fingerprint" in report.notes[0]
    assert judged(site, report) == (False, 1, 0)

    site.ask("DELETE FROM dbops.ledger_version WHERE version = 4")
    report = await check_migrations(site.run(), ASK)
    (note,) = report.notes
    assert note.endswith(
        "metrics and alerts do not know it: the ledger is of version 3, and an apply, also one "
        "with nothing to do, brings it to 4"
    )
    await site.apply_unchecked()
    report = await check_migrations(site.run(), ASK)
    assert report.notes == ()
