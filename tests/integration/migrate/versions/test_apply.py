"""Applying migrations that run in a transaction: what they find, what they leave, what fails."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dbopsd.migrate.versions.apply.errors import MigrationFailed
from dbopsd.migrate.versions.model.ledger_run import Result
from dbopsd.migrate.versions.model.migration import State
from dbopsd.migrate.versions.model.reports import Outcome
from tests.support.migration_site import MigrationSite, migration_site


@pytest.fixture
async def site(tmp_path: Path, database_dsn: str) -> AsyncIterator[MigrationSite]:
    async with migration_site(tmp_path, database_dsn) as site:
        yield site


async def test_what_is_pending_is_applied_once(site: MigrationSite) -> None:
    site.write("001_a", "CREATE TABLE a (id int PRIMARY KEY);\nINSERT INTO a VALUES (1);")
    site.write("002_b", "CREATE TABLE b (id int REFERENCES a);")
    report = await site.apply()
    assert report.outcome is Outcome.SUCCEEDED
    assert report.operation == "operations/op-1"
    assert [(m.version, m.state, m.statements_done, m.statements) for m in report.migrations] == [
        ("001", State.APPLIED, 2, 2),
        ("002", State.APPLIED, 1, 1),
    ]
    assert all(m.lock_attempts == 1 and m.duration_s for m in report.migrations)
    assert report.fingerprint_before != report.fingerprint_after != ""
    assert site.tables() == ["a", "b"]
    first, second = await site.runs()
    assert (first.result, first.operation, first.who) == (Result.DONE, "op-1", "tests")
    assert second.fingerprint == report.fingerprint_after
    again = await site.apply()
    assert again.outcome is Outcome.NOTHING_TO_DO
    assert again.migrations == ()
    assert again.fingerprint_before == again.fingerprint_after == report.fingerprint_after
    assert len(await site.runs()) == 2


async def test_a_statement_that_fails_undoes_its_file_and_stops(site: MigrationSite) -> None:
    site.write("001_a", "CREATE TABLE a (id int);")
    site.write("002_b", "CREATE TABLE b (id int);\n\nINSERT INTO b SELECT 1 / 0;\nSELECT 1;")
    site.write("003_c", "CREATE TABLE c (id int);")
    failed = await site.failed_apply()
    assert isinstance(failed.error, MigrationFailed)
    assert failed.error.message == "002_b.sql:3:1: division by zero (statement 2 of 3)"
    assert failed.report is not None
    assert failed.report.outcome is Outcome.FAILED
    assert [(m.version, m.state, m.statements_done) for m in failed.report.migrations] == [
        ("001", State.APPLIED, 1),
        ("002", State.FAILED, 0),
        ("003", State.PENDING, 0),
    ]
    assert site.tables() == ["a"]
    assert [run.result for run in await site.runs()] == [Result.DONE, Result.FAILED]
    site.write("002_b", "CREATE TABLE b (id int);")
    report = await site.apply()
    assert [m.version for m in report.migrations] == ["002", "003"]
    assert site.tables() == ["a", "b", "c"]
