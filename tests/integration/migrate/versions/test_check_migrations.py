"""CheckMigrations: what its report has, and when it is well."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import psycopg
import pytest

from dbopsd.db.database import Database
from dbopsd.migrate.versions.apply_migrations import apply_migrations
from dbopsd.migrate.versions.check_migrations import check_migrations
from dbopsd.migrate.versions.model.reports import CheckReport, RoundtripResult
from dbopsd.migrate.versions.model.requests import (
    ApplyMigrationsRequest,
    CheckMigrationsRequest,
)
from tests.integration.migrate.versions.conftest import OpenMigrated
from tests.support.operation_run import OperationRun

USERS = "CREATE TABLE users (id bigint PRIMARY KEY);\n"
NOWHERE = "host=127.0.0.1 port=1 dbname=nowhere connect_timeout=1"


class Site:
    """A folder, and checks of it."""

    def __init__(self, database: Database, place: Path) -> None:
        self.files = place / "migrations"
        self._database = database
        self._place = place

    def write(self, name: str, text: str) -> None:
        (self.files / name).write_text(text, encoding="utf-8")

    def run(self) -> OperationRun:
        return OperationRun(self._database, self._place)

    async def check(self, **request: bool) -> CheckReport:
        return await check_migrations(self.run(), CheckMigrationsRequest(**request))

    async def apply(self) -> None:
        await apply_migrations(self.run(), ApplyMigrationsRequest())


OpenSite = Callable[[str], Awaitable[Site]]


@pytest.fixture
def open_site(open_migrated: OpenMigrated, tmp_path: Path) -> OpenSite:
    async def make(dsn: str) -> Site:
        (tmp_path / "migrations").mkdir()
        return Site(await open_migrated(dsn, tmp_path / "migrations"), tmp_path)

    return make


@pytest.fixture
async def site(open_site: OpenSite, database_dsn: str) -> Site:
    return await open_site(database_dsn)


def places(report: CheckReport) -> list[tuple[str, str, str, int, int]]:
    return [
        (each.path, each.rule, each.severity.name, each.line, each.column)
        for each in report.findings
    ]


async def test_sound_migrations_are_well_even_when_warnings_count(site: Site) -> None:
    site.write("001_users.sql", USERS + "CREATE INDEX users_id ON users (id);")
    site.write("001_users_rollback.sql", "DROP INDEX users_id;\nDROP TABLE users;")
    report = await site.check(strict=True)
    assert report == CheckReport(ok=True, files=2)


async def test_every_problem_is_a_finding_in_the_order_of_the_files(site: Site) -> None:
    site.write("001_users.sql", USERS)
    site.write("001_users_rollback.sql", "DROP TABLE users;\nCOMMIT;\nDELETE FROM other;")
    site.write("002_rows.sql", USERS + "COPY users FROM stdin;\n1\n\\.\n")
    site.write("003_both.sql", "SELECT 'ü€😀'; SELEC 1;")
    site.write("003_twice.sql", "SELECT 1;")
    site.write("004_empty.sql", "-- nothing\n")
    report = await site.check()
    assert not report.ok
    assert places(report) == [
        ("003_twice.sql", "duplicate-version", "ERROR", 0, 0),
        ("001_users_rollback.sql", "transaction-control", "ERROR", 2, 1),
        ("001_users_rollback.sql", "whole-table-delete", "WARNING", 3, 1),
        ("002_rows.sql", "copy-from-stdin", "ERROR", 2, 1),
        ("003_both.sql", "syntax-error", "ERROR", 1, 15),
        ("004_empty.sql", "empty-migration", "WARNING", 0, 0),
    ]


async def test_a_file_allows_a_rule_to_be_broken_and_says_why(site: Site) -> None:
    site.write(
        "001_seed.sql",
        "-- dbops: allow=whole-table-delete: the rows are only samples\n"
        "-- dbops: allow=whole-table-upate: a typing error\n"
        "DELETE FROM samples;\n",
    )
    report = await site.check()
    assert report.ok
    assert [(each.rule, each.allowed) for each in report.findings] == [
        ("unknown-rule", ""),
        ("whole-table-delete", "the rows are only samples"),
    ]
    assert places(report)[0] == ("001_seed.sql", "unknown-rule", "WARNING", 2, 17)
    assert not (await site.check(strict=True)).ok


async def test_what_is_applied_is_not_checked_but_for_drift(site: Site, database_dsn: str) -> None:
    unknown = await site.check(drift=True)
    assert unknown.ok
    assert "drift is not known" in unknown.notes[0]
    site.write("001_users.sql", USERS)
    await site.apply()
    with psycopg.connect(database_dsn, autocommit=True) as connection:
        connection.execute("ALTER TABLE users ADD COLUMN stray text")
    drifted = await site.check(drift=True)
    assert (drifted.ok, drifted.findings, len(drifted.drift)) == (False, (), 1)
    site.write("002_seed.sql", "UPDATE users SET id = 1;\nDROP TABLE users;")
    report = await site.check(drift=True)
    assert [(each.kind, each.change.name) for each in report.drift] == [("column", "ADDED")]
    assert [(each.rule, each.version) for each in report.findings] == [
        ("whole-table-update", "002"),
        ("ban-drop-table", "002"),
    ]
    assert report.files == 1


async def test_files_are_checked_without_a_server(open_site: OpenSite) -> None:
    site = await open_site(NOWHERE)
    site.write("001_users.sql", "SELEC 1;")
    site.write("002_users.sql", "ALTER TABLE users ADD COLUMN a bigserial;")
    report = await site.check()
    assert [each.split(":")[0] for each in report.notes] == [
        "files were checked as though none were applied",
        "the server was not asked about syntax",
        "the sizes of tables are not known",
    ]
    assert not report.ok
    assert [
        (each.path, each.rule) for each in report.findings if each.severity.name == "ERROR"
    ] == [
        ("001_users.sql", "syntax-error"),
        ("002_users.sql", "adding-serial-column"),
    ]


async def test_a_rollback_that_does_not_restore_is_not_well(site: Site) -> None:
    site.write("001_users.sql", USERS.replace("TABLE", "TABLE IF NOT EXISTS"))
    site.write("001_users_rollback.sql", "SELECT 1;")
    report = await site.check(roundtrip=True)
    assert not report.ok
    assert [each.result for each in report.roundtrip] == [RoundtripResult.NOT_RESTORED]
    assert report.findings == ()
