"""`validate_only`: a plan in a transaction that is rolled back; and rollbacks with their backup."""

import asyncio
import re
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from dbopsd.app.migration_backups import take_backup_before
from dbopsd.backup.catalog.commit import CommitRecord
from dbopsd.migrate.versions.apply.errors import MigrationFailed
from dbopsd.migrate.versions.kinds import rollback_migrations_kind
from dbopsd.migrate.versions.model.ledger_run import Direction
from dbopsd.migrate.versions.model.migration import State
from dbopsd.migrate.versions.model.reports import MigrationReport, Outcome
from dbopsd.migrate.versions.model.requests import RollbackMigrationsRequest
from tests.support.backed_up import repository_of
from tests.support.failing_store import FOR_EVER, Fault, Faults, no_pauses, stores_that_fail
from tests.support.migration_site import MigrationSite, migration_site
from tests.support.operation_run import OperationRun
from tests.support.patience import eventually
from tests.support.recording import Recording
from tests.support.servers import PostgresServer

OFF = "-- dbops: transaction=off\n"
SCHEMAS = "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_|information_schema|public'"


@pytest.fixture
async def site(
    tmp_path: Path, database_dsn: str, recording: Recording
) -> AsyncIterator[MigrationSite]:
    store = {"backup": {"store": (tmp_path / "store").as_uri()}}
    async with migration_site(
        tmp_path, database_dsn, recording.telemetry, settings=store, backup_before="full"
    ) as site:
        yield site


async def test_a_trial_leaves_nothing(site: MigrationSite) -> None:
    site.write("001_a", "CREATE TABLE a (id int PRIMARY KEY); SET search_path = pg_catalog;")
    site.write("002_b", "CREATE TABLE b (id int REFERENCES a);")
    report = await site.apply_unchecked(validate_only=True)
    assert report.outcome is Outcome.VALIDATED
    assert [(m.state, m.statements_done, m.statements) for m in report.migrations] == [
        (State.PENDING, 2, 2),
        (State.PENDING, 1, 1),
    ]
    assert site.tables() == []
    assert site.ask(SCHEMAS) == [], "not even a ledger"
    assert await site.runs() == []


async def test_a_trial_finds_what_fails_and_says_what_would_have_been_done(
    site: MigrationSite,
) -> None:
    site.write("001_a", "CREATE TABLE a (id int);")
    site.write("002_b", "INSERT INTO a VALUES (1);\nINSERT INTO missing VALUES (1);")
    site.write("003_c", "CREATE TABLE c (id int);")
    failed = await site.failure(site.apply_unchecked(validate_only=True))
    assert isinstance(failed.error, MigrationFailed)
    assert failed.error.message.startswith('002_b.sql:2:13: relation "missing" does not exist')
    assert failed.report is not None
    assert [m.state for m in failed.report.migrations] == [State.PENDING] * 3
    assert failed.report.migrations[1].problem == failed.error.message
    assert site.tables() == []


async def test_a_trial_does_not_hold_its_locks_for_long(site: MigrationSite) -> None:
    site.write("001_a", "CREATE TABLE a (id int);")
    site.write("002_b", "SELECT pg_sleep(600);")
    report = await site.apply_unchecked(validate_only=True, lock_wait_s=0.5)
    assert report.outcome is Outcome.VALIDATED
    (note,) = report.notes
    assert note.startswith("not tried to the end: it was rolled back after 0.5 s")
    assert [(m.state, m.statements_done) for m in report.migrations] == [
        (State.PENDING, 1),
        (State.PENDING, 0),
    ]
    await site.until(
        "SELECT 1 WHERE NOT EXISTS (SELECT FROM pg_stat_activity"
        " WHERE datname = current_database() AND query LIKE 'SELECT pg_sleep%')"
    )
    assert site.tables() == []


async def test_a_trial_names_what_it_could_not_try(site: MigrationSite) -> None:
    site.write("001_a", "CREATE TABLE a (id int);")
    site.write("002_b", f"{OFF}CREATE TABLE b (id int);\nCREATE INDEX CONCURRENTLY i ON b (id);")
    site.write("003_c", "CREATE TABLE c (id int);")
    site.write("004_d", "ALTER TABLE b ADD COLUMN d int;")
    site.write("005_e", "SELECT 1 / 0;")
    report = await site.apply_unchecked(validate_only=True)
    assert report.outcome is Outcome.VALIDATED
    untried, doubted = report.notes
    assert untried == "002_b.sql was not tried: it is not in a transaction"
    assert doubted == (
        '004_d.sql and what follows could not be tried: relation "b" does not exist, which may'
        " come of 002_b.sql, which was not tried"
    )


async def test_a_value_of_an_enum_that_is_not_committed_is_no_failure(site: MigrationSite) -> None:
    site.ask("CREATE TYPE e AS ENUM ('a')")
    site.write("001_a", "ALTER TYPE e ADD VALUE 'b';")
    site.write("002_b", "CREATE TABLE b (e e DEFAULT 'b');")
    report = await site.apply_unchecked(validate_only=True)
    assert report.outcome is Outcome.VALIDATED
    [note] = report.notes
    assert note.startswith("002_b.sql and what follows could not be tried: unsafe use of new value")
    assert (await site.apply_unchecked()).outcome is Outcome.SUCCEEDED


async def test_each_file_finds_constraints_as_a_new_transaction_does(site: MigrationSite) -> None:
    deferred = "DEFERRABLE INITIALLY DEFERRED"
    site.write("001_a", f"CREATE TABLE a (id int PRIMARY KEY, b int UNIQUE {deferred});")
    site.write("002_b", f"CREATE TABLE b (id int CONSTRAINT b_a REFERENCES a {deferred});")
    site.write("003_c", "INSERT INTO b VALUES (1); INSERT INTO a VALUES (1, 1);")
    site.write(
        "004_d",
        f"""SET client_encoding = 'LATIN1';
        -- No event is pending, and the name is not that of a's alone.
        ALTER TABLE a ADD UNIQUE (id) {deferred}, ADD CONSTRAINT b_a CHECK (id > 0);""",
    )
    site.write(
        "005_e", "UPDATE a SET b = 2; INSERT INTO b VALUES (2); INSERT INTO a VALUES (2, 3);"
    )
    site.write("006_f", "SELECT 1;\nINSERT INTO a VALUES (3, 2);")
    failed = await site.failure(site.apply_unchecked(validate_only=True))
    assert failed.error.message.startswith("006_f.sql: duplicate key value"), failed.error.message
    site.write("006_f", "SELECT 1;")
    assert (await site.apply_unchecked(validate_only=True)).outcome is Outcome.VALIDATED
    assert (await site.apply_unchecked()).outcome is Outcome.SUCCEEDED


async def test_a_file_that_sets_its_isolation_is_no_failure(site: MigrationSite) -> None:
    site.write("001_a", "CREATE TABLE a ();")
    site.write("002_b", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; CREATE TABLE b ();")
    report = await site.apply_unchecked(validate_only=True)
    assert report.outcome is Outcome.VALIDATED
    [note] = report.notes
    assert note.startswith("002_b.sql and what follows could not be tried: SET TRANSACTION")
    assert (await site.apply_unchecked()).outcome is Outcome.SUCCEEDED


async def test_rollbacks_go_back_one_by_one_with_a_backup_first(site: MigrationSite) -> None:
    for name in ("a", "b", "c"):
        site.write(f"00{'abc'.index(name) + 1}_{name}", f"CREATE TABLE {name} ();")
        (site.files / f"00{'abc'.index(name) + 1}_{name}_rollback.sql").write_text(
            f"DROP TABLE {name};"
        )
    before = (await site.apply_unchecked()).fingerprint_before
    tried = await site.rollback_unchecked(validate_only=True, to="001")
    assert tried.outcome is Outcome.VALIDATED
    assert (site.tables(), site.backups) == (["a", "b", "c"], [])
    report = await site.rollback()
    assert report.outcome is Outcome.SUCCEEDED
    assert report.backup == "databases/main/backups/full-1"
    assert [(m.version, m.state) for m in report.migrations] == [("003", State.PENDING)]
    assert site.tables() == ["a", "b"]
    last = (await site.runs())[-1]
    assert (last.direction, last.backup) == (Direction.DOWN, "databases/main/backups/full-1")
    report = await site.rollback_unchecked(count=9)
    assert [m.version for m in report.migrations] == ["002", "001"]
    assert site.tables() == []
    assert report.fingerprint_after == before
    again = await site.rollback()
    assert again.outcome is Outcome.NOTHING_TO_DO
    assert len(site.backups) == 1, "none before nothing"


async def rolled_back(run: OperationRun, **request: Any) -> MigrationReport:
    """A rollback as the daemon does it, with the backups that it takes."""
    kind = rollback_migrations_kind(take_backup_before)
    report: MigrationReport = await kind.run(run, RollbackMigrationsRequest(**request))
    return report


async def backups_of(site: MigrationSite) -> list[CommitRecord]:
    async with repository_of(site.database) as repository:
        return [
            backup.record
            for system in await repository.systems()
            for backup in (await repository.catalog(system)).backups
            if backup.record is not None
        ]


@pytest.fixture
async def stored_site(postgres: PostgresServer, tmp_path: Path) -> AsyncIterator[MigrationSite]:
    """One whose rollbacks take a dump of the schema into a real store."""
    # The name keeps what pg_dump asks out of the comparison of statements with spans.
    dbname = f"fault_{uuid.uuid4().hex[:12]}"
    postgres.execute(f"CREATE DATABASE {dbname}")
    store = {"backup": {"store": (tmp_path / "store").as_uri()}, "pg_bin": postgres.bin_dir}
    telemetry, dsn = Recording().telemetry, postgres.dsn(dbname=dbname)
    try:
        async with migration_site(
            tmp_path, dsn, telemetry, settings=store, backup_before="schema"
        ) as site:
            site.write(
                "001_a", "CREATE TABLE a (id int); INSERT INTO a VALUES (1);", "DROP TABLE a;"
            )
            await site.apply_unchecked()
            yield site
    finally:
        postgres.execute(f"DROP DATABASE {dbname} WITH (FORCE)")


async def test_the_schema_before_a_rollback_is_in_the_store(stored_site: MigrationSite) -> None:
    site, run = stored_site, stored_site.run("back")
    trial = await rolled_back(site.run("trial"), validate_only=True)
    assert (trial.outcome, trial.backup) == (Outcome.VALIDATED, "")
    assert await backups_of(site) == []
    report = await rolled_back(run)
    (record,) = await backups_of(site)
    assert report.backup == f"databases/main/backups/{record.id}"
    assert (record.label, record.schema_only) == ("before operations/back", True)
    assert record.id.startswith("schema-")
    assert "the backup before it is of the schema alone: it has no rows" in report.notes
    assert (await site.runs())[-1].backup == report.backup
    assert site.tables() == []
    # It waits for no other backup: it reads no rows, and nothing rests on it.
    assert run.locks_log == []


async def test_without_its_backup_a_rollback_does_not_begin(stored_site: MigrationSite) -> None:
    site = stored_site

    async def refused(reason: str, says: str) -> None:
        failed = await site.failure(rolled_back(site.run(), lock_wait_s=1))
        assert failed.error.reason == reason
        text = f"nothing was rolled back, as the backup before it failed: .*({says})"
        assert re.match(text, failed.error.message), failed.error.message
        assert failed.report is not None
        assert (failed.report.outcome, failed.report.backup) == (Outcome.FAILED, "")
        assert (site.tables(), len(await site.runs())) == (["a"], 1)

    with no_pauses():
        for fault, reason in ((Fault.FULL, "STORE_FULL"), (Fault.FAIL, "STORE_UNAVAILABLE")):
            with stores_that_fail(Faults(fault, 3, FOR_EVER)):
                await refused(reason, "store")
    with psycopg.connect(site.dsn) as blocker:
        blocker.execute("LOCK TABLE a IN ACCESS EXCLUSIVE MODE")
        refusing = asyncio.create_task(refused("DUMP_FAILED", "the dump of .* failed"))

        def dumping() -> list[psutil.Process]:
            assert not refusing.done()
            children = psutil.Process().children(recursive=True)
            return [each for each in children if each.name() == "pg_dump"]

        for process in await eventually(dumping):
            process.kill()
        await refusing
    assert await backups_of(site) == []
    assert (await rolled_back(site.run())).outcome is Outcome.SUCCEEDED
    (record,) = await backups_of(site)
    assert (await site.runs())[-1].backup.endswith(record.id)


async def test_a_rollback_that_fails_leaves_the_migration_applied(site: MigrationSite) -> None:
    site.write("001_a", "CREATE TABLE a ();", "DROP TABLE a; DROP TABLE missing;")
    await site.apply_unchecked()
    failed = await site.failure(site.rollback_unchecked())
    assert failed.report is not None
    [migration] = failed.report.migrations
    assert migration.state is State.APPLIED
    assert site.tables() == ["a"]
    (site.files / "001_a_rollback.sql").write_text("DROP TABLE a;")
    assert (await site.rollback_unchecked()).outcome is Outcome.SUCCEEDED
    assert site.tables() == []


async def test_all_rollbacks_are_checked_before_the_first_one(site: MigrationSite) -> None:
    site.write("001_a", "CREATE TABLE a ();", "DROP TABEL a;")
    site.write("002_b", "CREATE TABLE b ();", "DROP TABLE b;")
    await site.apply_unchecked()
    failed = await site.failure(site.rollback(count=2))
    assert failed.error.reason == "MIGRATION_FILES_INVALID"
    assert (site.tables(), site.backups) == (["a", "b"], [])
