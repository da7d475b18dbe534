"""Applying migrations that run in a transaction: what they find, what they leave, what fails."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest

from dbopsd.db.database import Database
from dbopsd.db.errors import ConnectionLost
from dbopsd.db.statement import Statement
from dbopsd.migrate.versions.apply import execution, watcher
from dbopsd.migrate.versions.apply.attempts import LockNotAcquired
from dbopsd.migrate.versions.apply.errors import MigrationFailed, TransactionEnded
from dbopsd.migrate.versions.ledger.errors import LedgerDamaged
from dbopsd.migrate.versions.model.ledger_run import Result
from dbopsd.migrate.versions.model.migration import State
from dbopsd.migrate.versions.model.reports import MigrationReport, Outcome
from dbopsd.migrate.versions.plan.errors import MigrationInterrupted
from dbopsd.migrate.versions.reader import MigrationReader
from dbopsd.operations.errors import CancelledWithResult
from tests.support.migration_site import MigrationSite, migration_site
from tests.support.recording import Recording


@pytest.fixture
async def site(
    tmp_path: Path, database_dsn: str, recording: Recording
) -> AsyncIterator[MigrationSite]:
    async with migration_site(tmp_path, database_dsn, recording.telemetry) as site:
        yield site


async def test_what_is_pending_is_applied_once(site: MigrationSite) -> None:
    site.write("001_a", "CREATE TABLE a (id int PRIMARY KEY);\nINSERT INTO a VALUES (1);")
    site.write("002_b", "CREATE TABLE b (id int REFERENCES a);")
    report = await site.apply_unchecked()
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
    again = await site.apply_unchecked()
    assert again.outcome is Outcome.NOTHING_TO_DO
    assert again.migrations == ()
    assert again.fingerprint_before == again.fingerprint_after == report.fingerprint_after
    assert len(await site.runs()) == 2


async def test_a_statement_that_fails_undoes_its_file_and_stops(site: MigrationSite) -> None:
    site.write("001_a", "CREATE TABLE a (id int);")
    site.write("002_b", "CREATE TABLE b (id int);\n\nINSERT INTO b SELECT 1 / 0;\nSELECT 1;")
    site.write("003_c", "CREATE TABLE c (id int);")
    failed = await site.failure(site.apply_unchecked())
    assert isinstance(failed.error, MigrationFailed)
    assert failed.error.message == (
        "002_b.sql:3:1: division by zero (statement 2 of 3: INSERT INTO b SELECT 1 / 0)"
    )
    assert failed.report is not None
    assert failed.report.outcome is Outcome.FAILED
    assert [(m.version, m.state, m.statements_done) for m in failed.report.migrations] == [
        ("001", State.APPLIED, 1),
        ("002", State.FAILED, 0),
        ("003", State.PENDING, 0),
    ]
    assert site.tables() == ["a"]
    done, failed_run = await site.runs()
    assert (done.result, failed_run.result) == (Result.DONE, Result.FAILED)
    assert done.fingerprint == await site.last_digest() == failed.report.fingerprint_after != ""
    site.write("002_b", "CREATE TABLE b (id int);")
    report = await site.apply_unchecked()
    assert [m.version for m in report.migrations] == ["002", "003"]
    assert site.tables() == ["a", "b", "c"]


async def test_the_place_of_an_error_is_one_in_the_file(site: MigrationSite) -> None:
    site.write("001_a", "-- ü€😀\nSELECT 'ü€😀',  missing;")
    failed = await site.failure(site.apply_unchecked())
    assert str(failed.error) == (
        "001_a.sql:2:16: column \"missing\" does not exist (statement 1 of 1: SELECT '…', missing)"
    )


LEAKS = """
CREATE SCHEMA other;
CREATE ROLE {role};
GRANT CREATE, USAGE ON SCHEMA other TO {role};
SET search_path = other;
SET lock_timeout = '7s';
SET statement_timeout = '7s';
SET client_encoding = 'LATIN1';
SET datestyle = 'German';
SET app.tenant = '7';
CREATE TEMP TABLE kept (id int);
PREPARE kept AS SELECT 1;
DECLARE kept CURSOR WITH HOLD FOR SELECT 1;
LISTEN kept;
SELECT pg_advisory_unlock_all();
CREATE TABLE held AS SELECT count(*) FROM pg_locks
WHERE locktype = 'advisory' AND objsubid = 1 AND pid = pg_backend_pid();
SELECT pg_advisory_lock(4711), pg_advisory_lock_shared(4712);
SET ROLE {role};
SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY;
"""
STATE = """
CREATE TABLE state AS SELECT
    current_setting('search_path') AS search_path, current_setting('lock_timeout') AS lock_timeout,
    current_setting('statement_timeout') AS statement_timeout,
    current_setting('client_encoding') AS client_encoding,
    current_setting('app.tenant', true) AS tenant, to_regclass('pg_temp.kept') AS temporary,
    current_user = session_user AS own_role,
    (SELECT count(*) FROM pg_prepared_statements) AS prepared,
    (SELECT count(*) FROM pg_cursors WHERE name = 'kept') AS cursors,
    (SELECT count(*) FROM pg_listening_channels()) AS channels,
    (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1
        AND pid = pg_backend_pid()) AS locks
"""


async def test_nothing_of_a_file_reaches_the_next_one(
    tmp_path: Path, database_dsn: str, recording: Recording
) -> None:
    role = f"leaked_{tmp_path.name}"[:60]
    async with migration_site(
        tmp_path, database_dsn, recording.telemetry, search_path="public"
    ) as site:
        site.write("001_leaks", LEAKS.format(role=f'"{role}"'))
        site.write("002_state", STATE)
        try:
            await site.apply_unchecked()
            [state] = site.ask("SELECT * FROM state")
            assert site.ask("SELECT * FROM other.held") == [1], "a file cannot give the lock away"
        finally:
            site.ask(f'DROP OWNED BY "{role}"; DROP ROLE "{role}"')
    assert state == ("public", "500ms", "0", "UTF8", "", None, True, 0, 0, 0, 1)


async def test_a_file_may_have_limits_of_its_own(site: MigrationSite) -> None:
    site.write(
        "001_a",
        "-- dbops: lock_timeout=200ms\n-- dbops: statement_timeout=50ms\nSELECT pg_sleep(5);",
    )
    failed = await site.failure(site.apply_unchecked())
    assert "canceling statement due to statement timeout" in str(failed.error)
    assert [run.result for run in await site.runs()] == [Result.FAILED]


async def test_a_file_may_choose_the_modes_of_its_transaction(site: MigrationSite) -> None:
    site.write(
        "001_a",
        "-- dbops: statement_timeout=7s\nSET TRANSACTION ISOLATION LEVEL SERIALIZABLE;\n"
        "CREATE TABLE a AS SELECT current_setting('transaction_isolation') AS isolation,"
        " current_setting('statement_timeout') AS statement_timeout;",
    )
    await site.apply_unchecked()
    assert site.ask("SELECT * FROM a") == [("serializable", "7s")]
    site.write(
        "002_b",
        "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; SELECT pg_advisory_unlock_all();"
        "CREATE TABLE b ();",
    )
    failed = await site.failure(site.apply_unchecked())
    assert isinstance(failed.error, MigrationFailed)
    assert "gives back all advisory locks" in failed.error.message
    assert site.tables() == ["a"], "somebody else may have begun the same file"


@pytest.mark.parametrize("transaction", ["on", "off"])
async def test_a_file_may_choose_an_encoding_that_python_lacks(
    site: MigrationSite, transaction: str
) -> None:
    site.write(
        "001_a",
        f"-- dbops: transaction={transaction}\nSET client_encoding = 'EUC_TW';\nSELECT 1 / 0;",
    )
    await site.failure(site.apply_unchecked())
    assert [run.result for run in await site.runs()][-1] in (Result.FAILED, Result.INTERRUPTED)
    if transaction == "on":
        site.write("001_a", "SET client_encoding = 'EUC_TW'; CREATE TABLE a ();")
        await site.apply_unchecked()
        assert site.tables() == ["a"]


async def test_a_file_is_two_messages(site: MigrationSite, recording: Recording) -> None:
    site.write("001_a", "CREATE TABLE a ();")
    site.write("002_b", "CREATE TABLE b (); -- without an end")
    await site.apply_unchecked()
    names = recording.names()
    # On a slow machine the watch has a look, too.
    sent = [each for each in names[names.index("MIGRATION") :] if "pg_stat_activity" not in each]
    assert sent[:2] == ["MIGRATION", "RESET ALL"]
    assert sent.count("MIGRATION") == sent.count("RESET ALL") == 2


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("CREATE TABLE a (); DROP SCHEMA dbops CASCADE;", 'relation "dbops.migration_runs"'),
        ("CREATE TABLE a (); SET TRANSACTION READ ONLY;", "read-only transaction"),
    ],
)
async def test_a_row_that_cannot_be_written_is_no_failure_of_a_statement(
    site: MigrationSite, text: str, cause: str
) -> None:
    site.write("001_a", text)
    failed = await site.failure(site.apply_unchecked())
    assert isinstance(failed.error, MigrationFailed)
    assert failed.error.message.startswith("001_a.sql: it ran, but its row")
    assert cause in failed.error.message
    assert site.tables() == []
    assert [run.result for run in await site.runs()] == [Result.FAILED]


async def test_nothing_is_applied_where_a_trigger_keeps_its_row_out(site: MigrationSite) -> None:
    """Else the next apply would run it again."""
    site.write("001_a", "CREATE TABLE a ();")
    await site.apply_unchecked()
    site.ask(
        "CREATE FUNCTION drop_row() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
        "CREATE TRIGGER drop_row BEFORE INSERT ON dbops.migration_runs"
        " FOR EACH ROW EXECUTE FUNCTION drop_row()"
    )
    site.write("002_b", "CREATE TABLE b ();")
    failed = await site.failure(site.apply_unchecked())
    assert isinstance(failed.error, LedgerDamaged)
    assert 'drop the trigger or the rule on "dbops"."migration_runs"' in failed.error.message
    assert site.tables() == ["a"]
    site.write("002_b", "-- dbops: transaction=off\nCREATE TABLE b ();")
    failed = await site.failure(site.apply_unchecked())
    assert isinstance(failed.error, LedgerDamaged)
    assert site.tables() == ["a"]
    site.ask("DROP FUNCTION drop_row() CASCADE")
    await site.apply_unchecked()
    assert site.tables() == ["a", "b"]


@pytest.mark.parametrize(
    "text",
    [
        "CREATE TABLE a (id int); COMMIT;",
        pytest.param("CREATE TABLE a (id int); COMMIT; SELECT 1 / 0;", marks=pytest.mark.thorough),
        pytest.param(
            "CREATE TABLE a (id int); COMMIT; BEGIN; CREATE TABLE b (id int);",
            marks=pytest.mark.thorough,
        ),
        "CREATE TABLE a (id int); COMMIT; BEGIN; SELECT 1 / 0;",
    ],
)
async def test_what_was_not_one_transaction_is_never_done(site: MigrationSite, text: str) -> None:
    site.write("001_a", text)
    failed = await site.failure(site.apply_unchecked())
    assert isinstance(failed.error, TransactionEnded)
    assert site.tables() == ["a"]
    assert [run.result for run in await site.runs()] == [Result.INTERRUPTED]
    failed = await site.failure(site.apply_unchecked())
    assert isinstance(failed.error, MigrationInterrupted)


async def test_a_rollback_inside_is_a_failure(site: MigrationSite) -> None:
    site.write("001_a", "CREATE TABLE a (id int); ROLLBACK;")
    failed = await site.failure(site.apply_unchecked())
    assert isinstance(failed.error, TransactionEnded)
    assert site.tables() == []


async def test_deferred_constraints_are_checked_as_who_the_file_is(site: MigrationSite) -> None:
    site.write(
        "001_a",
        "CREATE TABLE a (id int PRIMARY KEY);"
        "CREATE TABLE b (id int REFERENCES a DEFERRABLE INITIALLY DEFERRED);"
        "INSERT INTO b VALUES (7);",
    )
    failed = await site.failure(site.apply_unchecked())
    assert isinstance(failed.error, MigrationFailed)
    assert failed.error.sqlstate == "23503"
    assert failed.report is not None
    [shown] = failed.report.migrations
    assert shown.detail == 'Key (id)=(7) is not present in table "a".'
    [run] = await site.runs()
    assert run.result is Result.FAILED
    for text in (failed.error.message, str(failed.error.metadata), shown.problem, run.problem):
        assert "(7)" not in text, "a detail of such an error quotes rows"


async def test_what_quotes_rows_is_in_no_message(site: MigrationSite) -> None:
    site.ask("CREATE TABLE users (ssn text); INSERT INTO users VALUES ('123-45-6789')")
    for text, public in (
        ("ALTER TABLE users ALTER ssn TYPE int USING ssn::int;", "invalid_text_representation"),
        ("DO $$BEGIN RAISE 'bad: %', (SELECT ssn FROM users); END$$;", "raise_exception"),
        ("DO $$BEGIN EXECUTE (SELECT ssn FROM users); END$$;", "syntax_error"),
    ):
        site.write("001_a", text)
        failed = await site.failure(site.apply_unchecked())
        assert failed.error.message.startswith(f"001_a.sql:1:1: {public} (SQLSTATE ")
        assert failed.report is not None
        [shown] = failed.report.migrations
        assert "123" in shown.detail
        runs = await site.runs()
        assert "123" not in failed.error.message + shown.problem + runs[-1].problem
    site.write("001_a", "DO $$BEGIN RAISE 'not yet'; END$$;")
    failed = await site.failure(site.apply_unchecked())
    assert failed.error.message.startswith("001_a.sql:1:1: not yet (statement 1 of 1: DO ")


async def test_a_connection_that_is_lost_leaves_nothing_and_says_so(site: MigrationSite) -> None:
    site.write("001_a", "CREATE TABLE a (id int); SELECT pg_terminate_backend(pg_backend_pid());")
    failed = await site.failure(site.apply_unchecked())
    assert isinstance(failed.error, ConnectionLost)
    assert failed.error.message.startswith("'001_a.sql' failed on database 'main': ")
    assert failed.report is not None
    [migration] = failed.report.migrations
    assert (migration.state, migration.problem) == (State.PENDING, failed.error.message)
    assert site.tables() == []
    assert await site.runs() == []


async def test_an_attempt_that_comes_after_another_does_what_is_left(site: MigrationSite) -> None:
    for version in ("001", "002", "003", "004"):
        site.write(f"{version}_t", f"CREATE TABLE t{version} ();", f"DROP TABLE t{version};")
    run = site.run()
    await site.apply_unchecked(run, count=1)
    run.attempt = 2
    report = await site.apply_unchecked(run, count=3)
    assert [(m.version, m.state) for m in report.migrations] == [
        ("001", State.APPLIED),
        ("002", State.APPLIED),
        ("003", State.APPLIED),
    ]
    run = site.run()
    await site.rollback_unchecked(run, count=1)
    run.attempt = 2
    report = await site.rollback_unchecked(run, count=2)
    assert [(m.version, m.state) for m in report.migrations] == [
        ("003", State.PENDING),
        ("002", State.PENDING),
    ]
    assert site.tables() == ["t001"]
    report = await site.rollback_unchecked(run, count=2)
    assert [m.version for m in report.migrations] == ["003", "002"]
    assert site.tables() == ["t001"]
    run.attempt = 1
    report = await site.rollback_unchecked(run, count=1)
    assert [m.version for m in report.migrations] == ["001"], "what was done before is not its own"


async def test_who_is_in_the_way_is_in_the_report(site: MigrationSite) -> None:
    site.ask("CREATE TABLE a (id int)")
    site.write("001_a", "ALTER TABLE a ADD COLUMN x int;")
    async with site.database.session() as other, other.transaction():
        await other.execute_script(site.statement("LOCK TABLE a IN SHARE MODE"))
        failed = await site.failure(site.apply_unchecked(lock_wait_s=0.3))
    assert isinstance(failed.error, LockNotAcquired)
    assert failed.report is not None
    [blocker] = failed.report.blockers
    assert (blocker.relation, blocker.mode) == ("public.a", "ShareLock")
    [migration] = failed.report.migrations
    assert migration.lock_attempts == 1
    assert migration.lock_wait_s is not None
    assert migration.lock_wait_s > 0.1
    assert [run.result for run in await site.runs()] == [Result.FAILED]


async def test_what_a_file_prepares_is_not_in_the_way_of_its_next_attempt(
    site: MigrationSite,
) -> None:
    site.ask("CREATE TABLE a (id int)")
    site.write("001_a", "PREPARE p AS SELECT 1;\nALTER TABLE a ADD COLUMN x int;")
    async with site.database.session() as other, other.transaction():
        await other.execute_script(site.statement("LOCK TABLE a IN SHARE MODE"))
        applying = asyncio.create_task(site.apply_unchecked())
        waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'a'::regclass"
        await site.until(waiting)
        await site.until(f"SELECT 1 WHERE NOT EXISTS ({waiting})")
    report = await applying
    assert report.migrations[0].lock_attempts > 1


async def test_what_a_file_may_not_hold_is_refused_before_anything_is_changed(
    site: MigrationSite,
) -> None:
    site.write("001_a", "CREATE TABLE a (id int);")
    site.write("002_b", "CREATE TABLE b (id int); COMMIT; SELECT 1;")
    failed = await site.failure(site.apply(override_findings="whatever"))
    assert failed.error.reason == "MIGRATION_FILES_INVALID"
    assert site.tables() == []


async def test_a_reason_for_findings_is_in_the_ledger(site: MigrationSite) -> None:
    site.write("001_a", "CREATE TABLE a (id int); INSERT INTO a VALUES (1);")
    site.write("002_b", "UPDATE a SET id = 2;")
    failed = await site.failure(site.apply())
    assert failed.error.reason == "FINDINGS"
    assert site.tables() == []
    assert site.ask("SELECT 1 FROM pg_namespace WHERE nspname = 'dbops'") == []
    await site.apply(override_findings="a small table")
    assert {run.reason for run in await site.runs()} == {"a small table"}


async def test_several_appliers_at_once_do_each_migration_once(site: MigrationSite) -> None:
    for version in range(1, 6):
        site.write(f"{version:03d}_t", f"CREATE TABLE t{version} ();")
    reports = await asyncio.gather(*(site.apply_unchecked() for _ in range(4)))
    applied = [m.version for report in reports for m in report.migrations]
    assert sorted(applied) == ["001", "002", "003", "004", "005"]
    assert len(await site.runs()) == 5


async def test_a_file_that_runs_in_a_transaction_is_running(site: MigrationSite) -> None:
    site.ask("CREATE TABLE t (id int)")
    site.write("001_a", "CREATE TABLE a (id int);")
    site.write("002_b", "-- dbops: lock_timeout=30s\nLOCK TABLE t;")
    async with site.database.session() as other, other.transaction():
        await other.execute(site.statement("LOCK TABLE t IN SHARE MODE"))
        applying = asyncio.create_task(site.apply_unchecked(site.run("apply-1")))
        await site.until("SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 't'::regclass")
        found = await MigrationReader({"main": site.database}).list("main", "")
    await applying
    assert [each.state for each in found.migrations] == [State.APPLIED, State.RUNNING]
    (busy,) = [each for each in found.problems if each.reason == "MIGRATIONS_BUSY"]
    assert "changed by operations/apply-1 (process " in busy.message
    assert "which is at 002_b.sql" in busy.message


async def test_a_file_that_gives_the_lock_back_waits_no_longer_than_others(
    site: MigrationSite,
) -> None:
    site.ask("CREATE TABLE t (id int)")
    site.write("001_a", "SELECT pg_advisory_unlock_all();\nALTER TABLE t ADD COLUMN x int;")
    with psycopg.connect(site.dsn, application_name="billing") as reader:
        reader.execute("SELECT FROM t")
        async with asyncio.timeout(20):
            failed = await site.failure(site.apply_unchecked(lock_wait_s=0.6))
    assert isinstance(failed.error, LockNotAcquired)
    assert [each.application for each in failed.error.blockers] == ["billing"]


async def test_a_file_that_gives_the_lock_back_and_fails_runs_once(site: MigrationSite) -> None:
    site.ask("CREATE TABLE t (id int)")
    site.write(
        "001_a",
        "CREATE TABLE a (id int); DO $$BEGIN PERFORM pg_advisory_unlock_all(); END$$;"
        " ALTER TABLE t ADD COLUMN x int;",
    )
    async with site.database.session() as other:
        async with other.transaction():
            await other.execute(site.statement("LOCK TABLE t IN SHARE MODE"))
            first = asyncio.create_task(site.apply_unchecked())
            # It has rolled back once, and waits before it tries again, without the lock.
            await site.until(
                "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'dbopsd migrate%'"
                " AND state = 'idle' AND query = 'ROLLBACK'"
            )
            second = asyncio.create_task(site.apply_unchecked())
            await site.until(
                "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
        reports = await asyncio.gather(first, second)
    assert {report.outcome for report in reports} <= {Outcome.SUCCEEDED, Outcome.NOTHING_TO_DO}
    assert [run.result for run in await site.runs()] == [Result.DONE]


async def test_drift_is_measured_again_after_a_kill_before_the_fingerprint(
    site: MigrationSite,
) -> None:
    site.write("001_a", "CREATE TABLE a (id int);")
    report = await site.apply_unchecked()
    site.ask("UPDATE dbops.migration_runs SET fingerprint = ''")
    assert await site.last_digest() == ""
    again = await site.apply_unchecked()
    assert again.outcome is Outcome.NOTHING_TO_DO
    assert "drift is measured from that of now" in again.notes[0]
    assert await site.last_digest() == report.fingerprint_after == again.fingerprint_after
    assert (await site.apply_unchecked()).notes == ()


async def test_what_had_drifted_before_is_said_before_it_is_taken_for_expected(
    site: MigrationSite,
) -> None:
    site.write("001_a", "CREATE TABLE a (id int);")
    assert (await site.apply_unchecked()).notes == ()
    site.ask("CREATE TABLE b (x int, y int, z int); GRANT SELECT ON a TO PUBLIC")
    site.write("002_c", "CREATE TABLE c (id int);")
    report = await site.apply_unchecked()
    assert report.notes == (
        (
            "the schema had drifted since the last run, by 4 objects: "
            "table public.b, column public.b.x, column public.b.y, …"
        ),
    )
    assert (await site.apply_unchecked()).notes == ()


async def test_a_cancelled_apply_leaves_nothing_of_its_migration(site: MigrationSite) -> None:
    site.write("001_a", "CREATE TABLE a (id int);")
    site.write("002_b", "CREATE TABLE b (id int); SELECT pg_sleep(60);")
    task = asyncio.create_task(site.apply_unchecked())
    await site.until("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
    task.cancel()
    with pytest.raises(CancelledWithResult) as cancelled:
        await task
    report = cast("MigrationReport", cancelled.value.result)
    assert [each.state for each in report.migrations] == [State.APPLIED, State.PENDING]
    assert (report.outcome, report.problem) == (Outcome.FAILED, "it was cancelled")
    assert site.tables() == ["a"]
    assert [run.key for run in await site.runs()] == ["001"]
    assert site.ask("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'") == []


async def test_no_watcher_looks_at_another_server(
    site: MigrationSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There, the process of that number is somebody else's."""
    site.write("001_a", "CREATE TABLE a (id int);")
    elsewhere = [True, True]

    @asynccontextmanager
    async def watching(database: Database) -> AsyncIterator[watcher.Watcher]:
        async with watcher.watcher_of(database) as found:
            session = found.session
            ask = session.fetch_one

            async def fetch_one(statement: Statement, parameters: Any = None) -> Any:
                row = await ask(statement, parameters)
                if "pg_postmaster_start_time" not in statement.text:
                    return row
                return ("another server", *row[1:]) if elsewhere.pop() else row

            monkeypatch.setattr(session, "fetch_one", fetch_one)
            yield found

    monkeypatch.setattr(execution, "watcher_of", watching)
    failed = await site.failure(site.apply_unchecked())
    assert isinstance(failed.error, watcher.ServersDiffer)
    assert (elsewhere, site.tables()) == ([], [])
    # Once a failover is over, both come to the new primary.
    elsewhere.extend([False, True])
    report = await site.apply_unchecked()
    assert (report.outcome, elsewhere, site.tables()) == (Outcome.SUCCEEDED, [], ["a"])


async def test_of_what_a_server_says_at_length_the_beginning_is_kept(site: MigrationSite) -> None:
    site.write("001_a", "DO $$ BEGIN RAISE EXCEPTION '%', repeat('x', 1000000); END $$;")
    failed = await site.failure(site.apply_unchecked())
    [run] = await site.runs()
    assert len(run.problem) < 3_000
    assert len(failed.error.message) < 3_000
    assert isinstance(failed.error, MigrationFailed)
    assert "xxx" in failed.error.detail
    assert len(failed.error.detail) < 3_000
