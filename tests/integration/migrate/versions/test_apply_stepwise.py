"""Migrations that are not in a transaction: what a statement finds, and going on after a stop."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from dbopsd.migrate.versions.apply.attempts import LockNotAcquired
from dbopsd.migrate.versions.apply.errors import MigrationFailed, TransactionEnded
from dbopsd.migrate.versions.apply.watcher import watcher_of
from dbopsd.migrate.versions.model.ledger_run import Result
from dbopsd.migrate.versions.model.migration import State
from dbopsd.migrate.versions.plan.errors import MigrationInterrupted
from tests.support.migration_site import MigrationSite, migration_site
from tests.support.recording import Recording

OFF = "-- dbops: transaction=off\n"
ROWS = (
    "CREATE TABLE t (id int, x int); INSERT INTO t SELECT i, i % 3 FROM generate_series(1, 99) i;"
)


@pytest.fixture
async def site(
    tmp_path: Path, database_dsn: str, recording: Recording
) -> AsyncIterator[MigrationSite]:
    async with migration_site(tmp_path, database_dsn, recording.telemetry) as site:
        yield site


def leave_invalid_index(site: MigrationSite, name: str) -> None:
    with pytest.raises(psycopg.errors.UniqueViolation):
        site.ask(f"CREATE UNIQUE INDEX CONCURRENTLY {name} ON t (x)")
    assert (name, False) in site.indexes()


async def interrupt(
    site: MigrationSite, statements_done: int, *, in_doubt: bool, before: str = "NULL"
) -> None:
    """Have the ledger say that the last run was cut off there."""
    site.ask(
        "UPDATE dbops.migration_runs SET result = 'running', finished_at = NULL,"
        f" statements_done = {statements_done}, in_doubt = {in_doubt}, backend_pid = 1,"
        f" done_digest = '', indexes_before = {before}"
        " WHERE id = (SELECT max(id) FROM dbops.migration_runs)"
    )


async def test_each_statement_finds_no_transaction_and_is_recorded(site: MigrationSite) -> None:
    seen = (
        "INSERT INTO seen SELECT xact_start = query_start, r.statements_done, r.result"
        " FROM pg_stat_activity, dbops.migration_runs r WHERE pid = pg_backend_pid();"
    )
    site.write(
        "001_a",
        f"{OFF}CREATE TABLE seen (alone bool, done int, result text);\n{seen}\n{seen} -- the last",
    )
    report = await site.apply_unchecked()
    [migration] = report.migrations
    assert (migration.state, migration.statements_done) == (State.APPLIED, 3)
    assert site.ask("SELECT * FROM seen") == [(True, 1, "running"), (True, 2, "running")]
    [run] = await site.runs()
    assert (run.result, run.statements_done, run.in_doubt) == (Result.DONE, 3, False)
    assert run.fingerprint == report.fingerprint_after


async def test_statements_that_refuse_a_transaction(site: MigrationSite) -> None:
    site.write(
        "001_a",
        f"{OFF}{ROWS}\nCREATE INDEX CONCURRENTLY i ON t (x);\nVACUUM t;\n"
        "CREATE PROCEDURE p() LANGUAGE plpgsql AS $$BEGIN\n"
        "INSERT INTO t VALUES (1); COMMIT; INSERT INTO t VALUES (2); END$$;\n"
        "CALL p();\nREINDEX TABLE CONCURRENTLY t;\nDROP INDEX CONCURRENTLY i;\n"
        "CREATE INDEX CONCURRENTLY ON t (id)",
    )
    report = await site.apply_unchecked()
    [migration] = report.migrations
    assert (migration.statements_done, migration.statements) == (9, 9)
    assert migration.lock_attempts == 1
    assert site.indexes() == [("t_id_idx", True)]
    assert site.ask("SELECT count(*) FROM t") == [101]


async def test_what_takes_long_says_what_it_is(site: MigrationSite) -> None:
    site.write("001_a", f"{OFF}SELECT pg_sleep(1.3);")
    run = site.run()
    await site.apply_unchecked(run)
    assert "apply 001 (1 of 1), SELECT pg_sleep(1.3), for 1 s" in [
        each[0] for each in run.progress_log
    ]


async def test_a_failure_at_the_first_statement_leaves_nothing(site: MigrationSite) -> None:
    site.ask(ROWS)
    site.write("001_a", f"{OFF}CREATE UNIQUE INDEX CONCURRENTLY i ON t (x);")
    failed = await site.failure(site.apply_unchecked())
    assert isinstance(failed.error, MigrationFailed)
    assert failed.error.message.startswith("001_a.sql:2:1: could not create unique index")
    assert site.indexes() == [], "the invalid index is dropped"
    [run] = await site.runs()
    assert (run.result, run.statements_done, run.in_doubt) == (Result.FAILED, 0, False)
    site.ask("DELETE FROM t WHERE id > 3")
    await site.apply_unchecked()
    assert site.indexes() == [("i", True)]


async def test_it_goes_on_at_the_statement_that_failed(site: MigrationSite) -> None:
    site.write(
        "001_a",
        f"{OFF}{ROWS}\nSET search_path = elsewhere;\nINSERT INTO public.t SELECT 1 / 0;"
        "\nCREATE TABLE u ();",
    )
    failed = await site.failure(site.apply_unchecked())
    assert str(failed.error) == (
        "001_a.sql:4:1: division by zero; what was done before it stays: mend this statement or"
        " what it found, and the next apply goes on here (statement 4 of 5: INSERT INTO public.t"
        " SELECT 1 / 0)"
    )
    assert failed.report is not None
    [migration] = failed.report.migrations
    assert (migration.state, migration.statements_done) == (State.INTERRUPTED, 3)
    site.ask("CREATE SCHEMA elsewhere; ALTER TABLE t ADD CHECK (true);")
    # As somebody would who mends what was in the way: the row of the run stays as it is.
    site.ask("UPDATE dbops.migration_runs SET statements_done = 4, done_digest = ''")
    report = await site.apply_unchecked()
    [migration] = report.migrations
    assert (migration.state, migration.statements_done) == (State.APPLIED, 5)
    assert site.ask("SELECT 'elsewhere.u'::regclass::text") == ["elsewhere.u"], "SET holds again"
    assert [run.result for run in await site.runs()] == [Result.INTERRUPTED, Result.DONE]


@pytest.mark.parametrize(
    "build",
    [
        pytest.param("CONCURRENTLY i", marks=pytest.mark.thorough),
        "CONCURRENTLY IF NOT EXISTS i",
    ],
)
async def test_an_invalid_index_is_dropped_and_made_again(site: MigrationSite, build: str) -> None:
    site.ask(ROWS)
    leave_invalid_index(site, "i")
    site.write("001_a", f"{OFF}CREATE INDEX {build} ON t (x);")
    await site.apply_unchecked()
    assert site.indexes() == [("i", True)]


async def test_also_where_a_file_in_a_transaction_would_take_it_for_its_own(
    site: MigrationSite,
) -> None:
    site.ask(ROWS)
    leave_invalid_index(site, "i")
    site.write("001_a", "CREATE INDEX IF NOT EXISTS i ON t (x);")
    await site.apply_unchecked()
    assert site.indexes() == [("i", True)]


async def test_an_index_of_a_partitioned_table_may_be_invalid(site: MigrationSite) -> None:
    site.write(
        "001_a",
        f"{OFF}CREATE TABLE p (id int) PARTITION BY RANGE (id);\n"
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (1) TO (9);\n"
        "CREATE INDEX IF NOT EXISTS i ON ONLY p (id);",
    )
    await site.apply_unchecked()
    assert site.indexes() == [("i", False)]


async def test_who_builds_the_index_now_is_waited_for_and_named(site: MigrationSite) -> None:
    site.ask("CREATE TABLE t (id int)")
    site.write("001_i", f"{OFF}CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t (id);")
    with (
        psycopg.connect(site.dsn) as reader,
        psycopg.connect(site.dsn, autocommit=True, application_name="billing") as builder,
    ):
        # The build waits for the end of this transaction.
        reader.execute("LOCK TABLE t IN ROW EXCLUSIVE MODE")
        build = asyncio.create_task(
            asyncio.to_thread(builder.execute, "CREATE INDEX CONCURRENTLY i ON t (id)")
        )
        await site.until("SELECT 1 FROM pg_index WHERE indexrelid = to_regclass('i')")
        failed = await site.failure(site.apply_unchecked(lock_wait_s=0.3))
        reader.rollback()
        await build
        pid = builder.info.backend_pid
    assert isinstance(failed.error, LockNotAcquired)
    assert [(each.pid, each.application) for each in failed.error.blockers] == [(pid, "billing")]
    assert site.indexes() == [("i", True)]


async def test_other_work_on_its_table_is_not_taken_for_a_build(site: MigrationSite) -> None:
    site.ask(ROWS)
    leave_invalid_index(site, "i")
    site.write("001_i", f"{OFF}CREATE INDEX CONCURRENTLY i ON t (x);")
    with psycopg.connect(site.dsn, application_name="analyst") as other:
        other.execute("LOCK TABLE t IN SHARE UPDATE EXCLUSIVE MODE")
        failed = await site.failure(site.apply_unchecked(lock_wait_s=0.3))
        assert isinstance(failed.error, LockNotAcquired)
        assert "is being built" not in failed.error.cause
        assert [each.application for each in failed.error.blockers] == ["analyst"]


async def test_leftovers_of_a_rebuild_are_dropped(site: MigrationSite) -> None:
    site.ask(ROWS)
    site.ask("CREATE INDEX i ON t (x)")
    leave_invalid_index(site, "i_ccnew")
    leave_invalid_index(site, "i_ccold1")
    site.write("001_a", f"{OFF}REINDEX INDEX CONCURRENTLY i;")
    await site.apply_unchecked()
    assert site.indexes() == [("i", True)]


async def test_leftovers_of_partitions_are_dropped_too(site: MigrationSite) -> None:
    site.ask(
        "CREATE TABLE p (id int, v text) PARTITION BY RANGE (id);"
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (1) TO (9); CREATE INDEX p_v ON p (v);"
    )
    # As the server leaves them, whatever they are of.
    site.ask(
        "CREATE INDEX p1_ccnew ON p1 (v); UPDATE pg_index SET indisvalid = false"
        " WHERE indexrelid = 'p1_ccnew'::regclass"
    )
    site.write("001_a", f"{OFF}REINDEX TABLE CONCURRENTLY p;")
    site.write("002_b", f"{OFF}REINDEX INDEX CONCURRENTLY p_v;")
    await site.apply_unchecked(count=1)
    left = [name for name, _ in site.indexes()]
    assert left == ["p1_v_idx", "p_v"]
    site.ask(
        "CREATE INDEX p1_ccold ON p1 (v); UPDATE pg_index SET indisvalid = false"
        " WHERE indexrelid = 'p1_ccold'::regclass"
    )
    await site.apply_unchecked()
    assert [name for name, _ in site.indexes()] == left


@pytest.mark.thorough
async def test_leftovers_of_toast_tables_are_dropped_too(site: MigrationSite) -> None:
    site.ask("CREATE TABLE t (v text); CREATE INDEX i ON t (v)")
    invalid = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid ORDER BY 1"
    with psycopg.connect(site.dsn) as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT 1 FROM pg_class")
        with (
            psycopg.connect(site.dsn, autocommit=True) as builder,
            pytest.raises(psycopg.errors.QueryCanceled),
        ):
            builder.execute("SET statement_timeout = '400ms'")
            builder.execute("REINDEX TABLE CONCURRENTLY t")
    assert [name.startswith("pg_toast.") for name in site.ask(invalid)] == [False, True]
    site.write("001_a", f"{OFF}REINDEX TABLE CONCURRENTLY t;")
    await site.apply_unchecked()
    assert site.ask(invalid) == []


@pytest.mark.parametrize(
    "left", [pytest.param("nothing", marks=pytest.mark.thorough), "invalid", "valid"]
)
async def test_an_index_in_doubt_is_looked_up(site: MigrationSite, left: str) -> None:
    site.ask(ROWS)
    site.write("001_a", f"{OFF}CREATE INDEX CONCURRENTLY i ON t (x);\nCREATE TABLE u ();")
    await site.apply_unchecked()
    await interrupt(site, 0, in_doubt=True)
    site.ask("DROP TABLE u")
    if left != "valid":
        site.ask("DROP INDEX i")
    if left == "invalid":
        leave_invalid_index(site, "i")
    [oid] = site.ask("SELECT coalesce(to_regclass('i')::oid, 0)")
    await site.apply_unchecked()
    assert site.indexes() == [("i", True)]
    assert (site.ask("SELECT 'i'::regclass::oid") == [oid]) is (left == "valid")
    assert [run.result for run in await site.runs()] == [Result.INTERRUPTED, Result.DONE]
    assert site.tables() == ["t", "u"]


async def test_an_index_without_a_name_is_told_from_those_before_it(site: MigrationSite) -> None:
    site.ask(f"{ROWS} CREATE INDEX ON t (x)")
    [before] = site.ask(
        "SELECT array_agg(indexrelid::int8)::text FROM pg_index i JOIN pg_class c"
        " ON c.oid = indrelid WHERE relname = 't'"
    )
    site.write("001_a", f"{OFF}CREATE INDEX CONCURRENTLY ON t (x);\nCREATE TABLE u ();")
    await site.apply_unchecked()
    site.ask("DROP TABLE u; CREATE INDEX ON t (x, id); CREATE UNIQUE INDEX ON t (id)")
    made = [name for name, _ in site.indexes()]
    await interrupt(site, 0, in_doubt=True, before=f"'{before}'")
    await site.apply_unchecked()
    assert [name for name, _ in site.indexes()] == made, "it is not made again"
    assert site.tables() == ["t", "u"]
    site.ask("CREATE INDEX ON t (id)")
    await interrupt(site, 0, in_doubt=True, before=f"'{before}'")
    failed = await site.failure(site.apply_unchecked())
    assert isinstance(failed.error, MigrationInterrupted)
    assert 'look at the indexes of table "t"' in failed.error.message


async def test_a_drop_in_doubt_takes_no_second_index_of_that_name(site: MigrationSite) -> None:
    site.ask(
        "CREATE SCHEMA a; CREATE SCHEMA b; CREATE TABLE a.t (x int); CREATE TABLE b.t (x int);"
        " CREATE INDEX i ON a.t (x); CREATE INDEX i ON b.t (x)"
    )
    site.write("001_a", f"{OFF}SET search_path = a, b;")
    await site.apply_unchecked()
    site.ask(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN RAISE 'not recorded'; END$$;"
        " CREATE TRIGGER t BEFORE UPDATE ON dbops.migration_runs FOR EACH ROW"
        " WHEN (NEW.statements_done = 2) EXECUTE FUNCTION refuse()"
    )
    site.write("002_b", f"{OFF}SET search_path = a, b;\nDROP INDEX CONCURRENTLY i;")
    await site.failure(site.apply_unchecked())
    site.ask("DROP TRIGGER t ON dbops.migration_runs")
    failed = await site.failure(site.apply_unchecked())
    assert isinstance(failed.error, MigrationInterrupted)
    assert 'look at the indexes of the name "i", in each schema' in failed.error.message
    assert site.ask("SELECT schemaname FROM pg_indexes WHERE indexname = 'i'") == ["b"]
    site.ask("DROP INDEX b.i")
    report = await site.apply_unchecked()
    assert report.migrations[0].state is State.APPLIED


async def test_the_statement_that_failed_may_be_mended(site: MigrationSite) -> None:
    site.write("001_a", f"{OFF}CREATE TABLE a ();\r\nCREATE TABLE a ();")
    failed = await site.failure(site.apply_unchecked())
    assert isinstance(failed.error, MigrationFailed)
    site.write("001_a", f"{OFF}CREATE TABLE z ();\nCREATE TABLE b ();")
    failed = await site.failure(site.apply_unchecked())
    assert isinstance(failed.error, MigrationInterrupted)
    assert "and its file was changed since" in failed.error.message
    site.write("001_a", f"{OFF}-- It is there.\nCREATE TABLE a ();\nCREATE TABLE b ();\nSELECT 1;")
    report = await site.apply_unchecked()
    [migration] = report.migrations
    assert (migration.state, migration.statements_done) == (State.APPLIED, 3)
    assert site.tables() == ["a", "b"]
    assert (await site.apply_unchecked()).migrations == (), "it is not CHANGED"


async def test_a_call_in_doubt_is_for_somebody_to_resolve(site: MigrationSite) -> None:
    site.write(
        "001_a",
        f"{OFF}CREATE PROCEDURE p() LANGUAGE plpgsql AS 'BEGIN COMMIT; END';\nCALL p();",
    )
    await site.apply_unchecked()
    await interrupt(site, 1, in_doubt=True)
    failed = await site.failure(site.apply_unchecked())
    assert isinstance(failed.error, MigrationInterrupted)
    assert failed.error.message.startswith(
        "001_a.sql was interrupted on database 'main' after 1 of 2 statements, and whether"
        " statement 2 in line 3 (CALL p()) is done nobody can tell: look at what its procedure"
        " commits: complete it by hand"
    )
    await interrupt(site, 1, in_doubt=False)
    report = await site.apply_unchecked()
    assert report.migrations[0].state is State.APPLIED


@pytest.mark.parametrize(("read", "lock_wait_s"), [("p", 0.5), ("p1", 1.5)])
async def test_a_detach_that_was_cut_off_is_finalized(
    site: MigrationSite, read: str, lock_wait_s: float
) -> None:
    site.ask(
        "CREATE TABLE p (id int) PARTITION BY RANGE (id);"
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (1) TO (9)"
    )
    site.write("001_a", f"{OFF}ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY;")
    async with site.database.session() as reader, reader.transaction():
        await reader.fetch_all(site.statement(f"SELECT * FROM {read}"))
        failed = await site.failure(site.apply_unchecked(lock_wait_s=lock_wait_s))
        assert isinstance(failed.error, LockNotAcquired)
        # At the partition itself it stops writers: for the budget, and then again.
        assert failed.error.attempts == 1 + (read == "p1")
    assert site.ask("SELECT inhdetachpending FROM pg_inherits") == [True]
    [run] = await site.runs()
    assert (run.result, run.in_doubt) == (Result.INTERRUPTED, True)
    report = await site.apply_unchecked()
    assert report.migrations[0].state is State.APPLIED
    assert site.ask("SELECT 1 FROM pg_inherits") == []


async def test_another_index_of_that_name_is_not_its_own(site: MigrationSite) -> None:
    site.ask(f"{ROWS} CREATE INDEX i ON t (id)")
    site.write("001_a", f"{OFF}CREATE TABLE u ();\nCREATE INDEX CONCURRENTLY i ON t (x);")
    async with site.database.session() as holder, holder.transaction():
        await holder.execute_script(site.statement("LOCK t IN SHARE UPDATE EXCLUSIVE MODE"))
        cut_off = asyncio.create_task(site.apply_unchecked())
        await site.until(
            "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            " AND datname = current_database() AND query LIKE '%CREATE INDEX CONCURRENTLY i%'"
        )
        cut_off.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cut_off
    [run] = await site.runs()
    assert (run.result, run.statements_done, run.in_doubt) == (Result.INTERRUPTED, 1, False)
    for _ in range(2):
        failed = await site.failure(site.apply_unchecked())
        assert isinstance(failed.error, MigrationFailed), "it is not taken for done"
        assert failed.error.sqlstate == "42P07"


@pytest.mark.parametrize("cancels", [1, 2])
async def test_a_cancel_of_its_record_does_not_undo_a_statement(
    site: MigrationSite, cancels: int
) -> None:
    site.ask("CREATE TABLE t (id int)")
    site.write("001_a", f"{OFF}CREATE INDEX CONCURRENTLY ON t (id);")
    at_work = (
        "FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        " AND query LIKE '%{}%'"
    )
    recording = at_work.format("UPDATE%migration_runs")
    with psycopg.connect(site.dsn) as writer, psycopg.connect(site.dsn) as holder:
        writer.execute("INSERT INTO t VALUES (1)")
        task = asyncio.create_task(site.apply_unchecked())
        await site.until(f"SELECT 1 {at_work.format('CREATE INDEX')}")
        holder.execute("LOCK TABLE dbops.migration_runs")
        writer.rollback()
        for _ in range(cancels):
            await site.until(f"SELECT 1 {recording}")
            [(pid, began)] = site.ask(f"SELECT pid, query_start::text {recording}")
            site.ask(f"SELECT pg_cancel_backend({pid})")
            await site.until(
                f"SELECT 1 FROM pg_stat_activity WHERE pid = {pid} AND query_start <> '{began}'"
            )
    if cancels == 1:
        await task
    else:
        await site.failure(task)
        [run] = await site.runs()
        assert (run.result, run.in_doubt) == (Result.INTERRUPTED, True)
        await site.apply_unchecked()
    assert site.indexes() == [("t_id_idx", True)]


async def test_a_reset_leaves_the_settings_that_a_file_begins_with(site: MigrationSite) -> None:
    shown = (
        "current_setting('client_connection_check_interval') AS client,"
        " current_setting('lock_timeout') AS lock"
    )
    site.write(
        "001_a",
        f"{OFF}SET lock_timeout = 0;\nRESET ALL;\nCREATE TABLE a AS SELECT {shown};\n"
        f"DISCARD ALL;\nINSERT INTO a SELECT {shown};",
    )
    await site.apply_unchecked()
    assert site.ask("SELECT * FROM a") == [("200ms", "500ms")] * 2


async def test_what_commits_by_itself_is_not_repeated(site: MigrationSite) -> None:
    site.ask(
        "CREATE TABLE counted (id int); CREATE TABLE t (id int);"
        " CREATE PROCEDURE p() LANGUAGE plpgsql AS"
        " 'BEGIN INSERT INTO counted VALUES (1); COMMIT; LOCK TABLE t; END'"
    )
    site.write("001_a", f"{OFF}CALL p();")
    async with site.database.session() as other, other.transaction():
        await other.execute(site.statement("LOCK TABLE t"))
        failed = await site.failure(site.apply_unchecked())
    assert isinstance(failed.error, MigrationFailed)
    assert "user request; in the way: pid" in failed.error.message, "writers stand behind it"
    assert failed.error.message.endswith("(statement 1 of 1: CALL p())")
    assert "look at what its procedure commits" in failed.error.message
    assert site.ask("SELECT count(*) FROM counted") == [1]
    [run] = await site.runs()
    assert (run.result, run.in_doubt) == (Result.INTERRUPTED, True)
    failed = await site.failure(site.apply_unchecked())
    assert isinstance(failed.error, MigrationInterrupted)


async def test_a_search_path_by_set_config_holds_again_before_anything_is_looked_up(
    site: MigrationSite,
) -> None:
    site.ask("CREATE SCHEMA app; CREATE TABLE app.t (id int)")
    site.write(
        "001_a",
        f"{OFF}SELECT pg_catalog.set_config('search_path', 'app', false);\n"
        "DROP INDEX CONCURRENTLY i;\nCREATE TABLE u ();",
    )
    failed = await site.failure(site.apply_unchecked())
    assert str(failed.error).startswith('001_a.sql:3:1: index "i" does not exist')
    site.ask("CREATE INDEX i ON app.t (id)")
    await interrupt(site, 1, in_doubt=True, before="ARRAY['app.i'::regclass::oid::int8]")
    await site.apply_unchecked()
    assert site.ask("SELECT to_regclass('app.i')::text, to_regclass('app.u')::text") == [
        (None, "app.u")
    ]


@pytest.mark.parametrize("reset", ["RESET ALL", "DISCARD ALL"])
async def test_what_a_reset_takes_back_is_taken_back_again(
    tmp_path: Path, database_dsn: str, recording: Recording, reset: str
) -> None:
    async with migration_site(
        tmp_path, database_dsn, recording.telemetry, search_path="app"
    ) as site:
        site.ask("CREATE SCHEMA app; CREATE SCHEMA other; CREATE TABLE app.tries ()")
        site.write(
            "001_a",
            f"{OFF}SET search_path = other;\n{reset};\nALTER TABLE tries RENAME TO tried;\n"
            "CREATE TABLE found AS SELECT current_setting('lock_timeout') AS lock_timeout;",
        )
        site.ask("ALTER TABLE app.tries RENAME TO later")
        await site.failure(site.apply_unchecked())
        [run] = await site.runs()
        assert run.statements_done == 2
        site.ask("ALTER TABLE app.later RENAME TO tries")
        await site.apply_unchecked()
        assert site.ask("SELECT lock_timeout FROM app.found") == ["500ms"]


async def test_a_character_that_the_encoding_lacks_is_a_failure(site: MigrationSite) -> None:
    site.write(
        "001_a",
        f"{OFF}SET client_encoding = 'LATIN1';\nCREATE TABLE a ();\nCOMMENT ON TABLE a IS '€';",
    )
    failed = await site.failure(site.apply_unchecked())
    assert isinstance(failed.error, MigrationFailed)
    assert failed.error.sqlstate == "22P05"
    assert failed.error.message.startswith("001_a.sql:4:1: untranslatable_character")
    assert failed.error.detail.endswith("lacks character '\\u20ac'")
    [run] = await site.runs()
    assert (run.result, run.statements_done) == (Result.INTERRUPTED, 2)


async def test_what_only_its_session_had_is_for_somebody_to_resolve(site: MigrationSite) -> None:
    site.write(
        "001_a", f"{OFF}CREATE TEMP TABLE kept (id int);\nSELECT 1 / 0;\nCREATE TABLE kept ();"
    )
    failed = await site.failure(site.apply_unchecked())
    assert isinstance(failed.error, MigrationFailed)
    failed = await site.failure(site.apply_unchecked())
    assert isinstance(failed.error, MigrationInterrupted)
    assert failed.report is not None
    [run] = failed.report.migrations
    assert (run.state, run.statements_done, run.statements) == (State.INTERRUPTED, 1, 3)


async def test_nobodys_operator_is_taken_for_the_servers(site: MigrationSite) -> None:
    site.ask(
        "CREATE SCHEMA app; CREATE TABLE app.called ();"
        "CREATE FUNCTION app.eq(int8, int8) RETURNS bool LANGUAGE plpgsql AS"
        " 'BEGIN DROP TABLE IF EXISTS app.called; RETURN $1 OPERATOR(pg_catalog.=) $2; END';"
        "CREATE OPERATOR app.= (LEFTARG = int8, RIGHTARG = int8, FUNCTION = app.eq)"
    )
    site.write(
        "001_a",
        f"{OFF}SET search_path = app, pg_catalog;\nCREATE TABLE t (id int);\nVACUUM t;\n"
        "SELECT 1 / 0;",
    )
    failed = await site.failure(site.apply_unchecked())
    assert isinstance(failed.error, MigrationFailed)
    assert site.ask("SELECT to_regclass('app.called')::text") == ["app.called"]


async def test_nothing_of_a_file_reaches_the_next_one(site: MigrationSite) -> None:
    [role] = site.ask("SELECT 'stepwise_' || pg_backend_pid()")
    site.ask(f"CREATE ROLE {role}; GRANT ALL ON SCHEMA public TO {role}")
    try:
        site.write(
            "001_a",
            f"{OFF}SET lock_timeout = '7s';\nSET ROLE {role};\nCREATE TABLE a ();\n"
            "SELECT pg_advisory_unlock_all();\nCREATE INDEX CONCURRENTLY i ON a ((1));",
        )
        site.write(
            "002_b",
            f"{OFF}CREATE TABLE b AS SELECT current_setting('lock_timeout'),"
            " current_user = session_user, (SELECT count(*) FROM pg_locks"
            " WHERE locktype = 'advisory' AND pid = pg_backend_pid());",
        )
        await site.apply_unchecked()
        assert site.ask("SELECT tableowner FROM pg_tables WHERE tablename = 'a'") == [role]
        assert site.ask("SELECT * FROM b") == [("500ms", True, 1)]
    finally:
        site.ask(f"DROP OWNED BY {role}; DROP ROLE {role}")


async def test_sessions_that_begin_as_another_role(
    site: MigrationSite, tmp_path: Path, recording: Recording
) -> None:
    [number, dbname] = site.ask("SELECT pg_backend_pid(), current_database()")[0]
    login, owner = f"login_{number}", f"owner_{number}"
    site.ask(
        f"CREATE ROLE {owner};"
        f"CREATE ROLE {login} LOGIN PASSWORD 'p' NOINHERIT IN ROLE {owner};"
        f"ALTER ROLE {login} SET role = '{owner}';"
        f"GRANT CREATE ON SCHEMA public TO {owner}; GRANT CREATE ON DATABASE {dbname} TO {owner}"
    )
    try:
        dsn = f"{site.dsn} user={login} password=p"
        async with migration_site(tmp_path / "as", dsn, recording.telemetry) as other:
            other.write("001_a", f"{OFF}{ROWS}\nCREATE INDEX CONCURRENTLY i ON t (x);")
            report = await other.apply_unchecked()
            assert report.migrations[0].state is State.APPLIED
            async with watcher_of(other.database) as watcher:
                as_who = site.statement("SELECT current_user::text")
                assert await watcher.session.fetch_one(as_who) == (login,)
        assert site.ask("SELECT tableowner FROM pg_tables WHERE tablename = 't'") == [owner]
    finally:
        site.ask(f"DROP OWNED BY {owner}; DROP ROLE {login}; DROP ROLE {owner}")


async def test_a_transaction_that_a_file_leaves_open_is_no_success(site: MigrationSite) -> None:
    site.write("001_a", f"{OFF}CREATE TABLE a ();\nBEGIN;\nCREATE TABLE b ();")
    failed = await site.failure(site.apply_unchecked())
    assert isinstance(failed.error, TransactionEnded)
    assert site.tables() == ["a"]
    [run] = await site.runs()
    assert (run.result, run.statements_done) == (Result.INTERRUPTED, 1)


@pytest.mark.parametrize(
    ("statement", "in_doubt"),
    [
        ("UPDATE a SET id = 2", False),
        pytest.param("CREATE INDEX CONCURRENTLY i ON a (id)", True, marks=pytest.mark.thorough),
        ("CREATE INDEX CONCURRENTLY ON a (id)", True),
    ],
)
async def test_a_cancelled_apply_tells_how_far_it_came(
    site: MigrationSite, statement: str, in_doubt: bool
) -> None:
    site.ask("CREATE TABLE a (id int); INSERT INTO a VALUES (1)")
    site.write("001_a", f"{OFF}SET lock_timeout = 0;\n{statement};")
    async with site.database.session() as other, other.transaction():
        await other.execute(site.statement("UPDATE a SET id = 1"))
        task = asyncio.create_task(site.apply_unchecked())
        await site.until(
            "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'dbopsd migrate%'"
            " AND wait_event_type = 'Lock' AND datname = current_database()"
        )
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    [run] = await site.runs()
    assert (run.result, run.statements_done, run.in_doubt, run.problem) == (
        Result.INTERRUPTED,
        1,
        in_doubt,
        "it was cancelled",
    )
    report = await site.apply_unchecked()
    assert report.migrations[0].state is State.APPLIED
    assert [valid for _, valid in site.indexes()] == [True] * in_doubt
