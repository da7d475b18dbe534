"""What other migration tools got wrong, by the issue that says so, is right here."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psycopg
import pytest

from dbopsd.migrate.versions.apply.errors import MigrationFailed
from dbopsd.migrate.versions.apply.pooler import PoolerInTheWay
from dbopsd.migrate.versions.ledger.errors import LedgerNewer
from dbopsd.migrate.versions.ledger.ledger import LEDGER_VERSION, Ledger
from dbopsd.migrate.versions.model.errors import MigrationFilesInvalid
from dbopsd.migrate.versions.model.ledger_run import Result
from dbopsd.migrate.versions.model.migration import Migration, State
from dbopsd.migrate.versions.model.reports import Outcome
from dbopsd.migrate.versions.plan.errors import MigrationMissing
from dbopsd.migrate.versions.reader import MigrationReader
from tests.support.migration_site import MigrationSite, migration_site
from tests.support.recording import Recording
from tests.support.servers import PostgresServer
from tests.support.transaction_pooler import TransactionPooler


@pytest.fixture
async def site(
    tmp_path: Path, database_dsn: str, recording: Recording
) -> AsyncIterator[MigrationSite]:
    async with migration_site(tmp_path, database_dsn, recording.telemetry) as site:
        yield site


async def listed(site: MigrationSite) -> list[Migration]:
    found = await MigrationReader({"main": site.database}).list("main", "")
    return list(found.migrations)


async def test_each_rollback_goes_one_further_back_and_then_has_nothing_to_do(
    site: MigrationSite,
) -> None:
    """dbmate#404: `down` three times rolls back the newest, each time."""
    for number in (1, 2, 3):
        site.write(f"00{number}_t", f"CREATE TABLE t{number} ();", f"DROP TABLE t{number};")
    await site.apply_unchecked()
    for left in (["t1", "t2"], ["t1"], []):
        assert (await site.rollback_unchecked()).outcome is Outcome.SUCCEEDED
        assert site.tables() == left
    assert (await site.rollback_unchecked()).outcome is Outcome.NOTHING_TO_DO


async def test_a_repeatable_one_that_failed_runs_again_once_it_is_mended(
    site: MigrationSite,
) -> None:
    """flyway#1428: a checksum mismatch for good."""
    site.write("R_answer", "CREATE VIEW answer AS SELECT 42 / 0 FROM nowhere;")
    failed = await site.failure(site.apply_unchecked())
    assert isinstance(failed.error, MigrationFailed)
    assert [each.state for each in await listed(site)] == [State.FAILED]
    site.write("R_answer", "CREATE VIEW answer AS SELECT 42 AS is;")
    await site.apply_unchecked()
    assert site.ask("SELECT * FROM answer") == [42]
    assert [each.state for each in await listed(site)] == [State.APPLIED]


async def test_what_is_no_utf_8_is_named_with_file_line_and_byte(site: MigrationSite) -> None:
    """flyway#2744: an unreadable charset has no file name."""
    site.write("001_a", "CREATE TABLE a ();")
    (site.files / "002_b.sql").write_bytes(b"-- ok\nSELECT 'Gr\xf6\xdfe';\n")
    failed = await site.failure(site.apply())
    assert isinstance(failed.error, MigrationFilesInvalid)
    assert failed.error.message.startswith("002_b.sql:2:11: byte 16 (0xf6) is not UTF-8")
    assert site.tables() == []


async def test_a_checksum_is_of_the_bytes_alone(
    site: MigrationSite, tmp_path: Path, recording: Recording
) -> None:
    """flyway#2503, #2030, openl-tablets#1766: by path, by version, by line ends."""
    site.write("001_a", "CREATE TABLE a ();\n")
    await site.apply_unchecked()
    (run,) = await site.runs()
    assert run.checksum_algorithm == "sha256"
    elsewhere = tmp_path / "elsewhere"
    async with migration_site(elsewhere, site.dsn, recording.telemetry) as moved:
        moved.write("001_a", "CREATE TABLE a ();\r\n")
        (same,) = await listed(moved)
        assert (same.state, same.applied_checksum) == (State.APPLIED, run.checksum)
        assert (await moved.apply_unchecked()).outcome is Outcome.NOTHING_TO_DO
        moved.write("001_a", "CREATE TABLE a (); -- once more\n")
        assert [each.state for each in await listed(moved)] == [State.CHANGED]


async def test_semicolons_in_bodies_end_nothing(site: MigrationSite) -> None:
    """liquibase#5538, #3908, sqlparse#307: split by END and `;` in a body."""
    body = "BEGIN IF n > 0 THEN n := n - 1; END IF; RETURN n; END;"
    function = f"CREATE FUNCTION less(n int) RETURNS int LANGUAGE plpgsql AS $f$ {body} $f$;"
    atomic = "CREATE FUNCTION two() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END;"
    undo = "DO $$ BEGIN DROP FUNCTION less; DROP FUNCTION two; END; $$;"
    for name, header in (("001_whole", ""), ("002_split", "-- dbops: transaction=off\n")):
        site.write(name, f"{header}{function}\n{atomic}\n", f"{header}{undo}")
        report = await site.apply_unchecked()
        assert [each.statements_done for each in report.migrations] == [2]
        assert site.ask("SELECT (less(3), two())::text") == ["(2,2)"]
        await site.rollback_unchecked()
        (site.files / f"{name}.sql").unlink()
        (site.files / f"{name}_rollback.sql").unlink()
    assert site.ask("SELECT 1 FROM pg_proc WHERE proname IN ('less', 'two')") == []


async def test_what_is_not_in_a_transaction_is_in_none(site: MigrationSite) -> None:
    """atlas#2057: the transaction of the run was around it all the same."""
    site.write(
        "001_a",
        "-- dbops: transaction=off\n"
        "CREATE TABLE seen (alone boolean);\n"
        "INSERT INTO seen SELECT xact_start = query_start FROM pg_stat_activity\n"
        "  WHERE pid = pg_backend_pid();\n"
        "CREATE INDEX CONCURRENTLY seen_alone ON seen (alone);\n",
    )
    await site.apply_unchecked()
    assert site.ask("SELECT alone FROM seen") == [True]
    assert site.indexes() == [("seen_alone", True)]


async def test_each_statement_is_a_message_of_its_own_and_settings_last_for_the_file(
    site: MigrationSite,
) -> None:
    """prisma#14456: two statements with CONCURRENTLY among them become one transaction."""
    site.write(
        "001_a",
        "-- dbops: transaction=off\n"
        "SET statement_timeout = '7s';\n"
        "CREATE TABLE a AS SELECT current_setting('statement_timeout') AS timeout;\n"
        "CREATE INDEX CONCURRENTLY a_timeout ON a (timeout);\n",
    )
    site.write("002_b", "CREATE TABLE b AS SELECT current_setting('statement_timeout') AS timeout;")
    await site.apply_unchecked()
    assert site.indexes() == [("a_timeout", True)]
    assert site.ask("SELECT timeout FROM a") == ["7s"]
    assert site.ask("SELECT timeout FROM b") != ["7s"]


async def test_the_order_is_that_of_the_versions_and_a_lost_file_is_called_lost(
    site: MigrationSite,
) -> None:
    """node-pg-migrate#247, #83, #813: the order of the times at which they ran."""
    for version in ("10", "2", "1"):
        site.write(f"{version}_t{version}", f"CREATE TABLE t{version} ();")
    report = await site.apply_unchecked()
    assert [each.version for each in report.migrations] == ["1", "2", "10"]
    (site.files / "2_t2.sql").unlink()
    site.write("11_t11", "CREATE TABLE t11 ();")
    assert [each.state for each in await listed(site)] == [
        State.APPLIED,
        State.MISSING,
        State.APPLIED,
        State.PENDING,
    ]
    failed = await site.failure(site.apply_unchecked())
    assert isinstance(failed.error, MigrationMissing)
    assert "2" in failed.error.message


async def test_the_ledger_goes_forward_once_and_a_newer_one_is_left_alone(
    site: MigrationSite,
) -> None:
    """sqitch#343, #271: upgraded twice; taken for old where there is none."""
    site.write("001_a", "CREATE TABLE a ();")
    assert [each.state for each in await listed(site)] == [State.PENDING]
    await asyncio.gather(site.apply_unchecked(), site.apply_unchecked())
    versions = "SELECT version FROM dbops.ledger_version ORDER BY 1"
    assert site.ask(versions) == list(range(1, LEDGER_VERSION + 1))
    site.ask(f"INSERT INTO dbops.ledger_version (version) VALUES ({LEDGER_VERSION + 1})")
    site.write("002_b", "CREATE TABLE b ();")
    failed = await site.failure(site.apply_unchecked())
    assert isinstance(failed.error, LedgerNewer)
    assert site.tables() == ["a"]


async def test_a_pooler_in_transaction_mode_is_refused(
    site: MigrationSite, tmp_path: Path, postgres: PostgresServer, recording: Recording
) -> None:
    """rails#31190, #22092: the advisory lock stays behind on another server connection."""
    with TransactionPooler(site.dsn, size=2) as pooler:
        dsn = f"host=127.0.0.1 port={pooler.port} user=anybody dbname=any"
        async with migration_site(tmp_path / "pooled", dsn, recording.telemetry) as pooled:
            pooled.write("001_a", "CREATE TABLE a ();")
            failed = await site.failure(pooled.apply())
    assert isinstance(failed.error, PoolerInTheWay)
    assert site.tables() == []
    assert site.ask("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'") == []


async def test_a_lost_connection_leaves_a_state_that_goes_on(site: MigrationSite) -> None:
    """pgroll#906, #468: neither on nor back."""
    site.ask("CREATE TABLE counts (n int); INSERT INTO counts VALUES (0)")
    site.write(
        "001_a",
        "-- dbops: transaction=off\n"
        "CREATE TABLE first ();\n"
        "UPDATE counts SET n = n + 1 WHERE true;\n"
        "CREATE TABLE last ();\n",
    )
    with psycopg.connect(site.dsn) as blocker:
        blocker.execute("SELECT n FROM counts FOR UPDATE")
        attempt = asyncio.create_task(site.failure(site.apply_unchecked(lock_wait_s=60.0)))
        waiting = (
            "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            " AND query LIKE '%counts%' AND datname = current_database()"
        )
        await site.until(waiting)
        (pid,) = site.ask(waiting)
        site.ask(f"SELECT pg_terminate_backend({pid})")
        await attempt
    assert [(each.state, each.statements_done) for each in await listed(site)] == [
        (State.INTERRUPTED, 1)
    ]
    assert site.tables() == ["counts", "first"]
    report = await site.apply_unchecked()
    assert report.outcome is Outcome.SUCCEEDED
    assert site.tables() == ["counts", "first", "last"]
    assert site.ask("SELECT n FROM counts") == [1]


async def test_three_at_once_all_end_well(site: MigrationSite) -> None:
    """dbmate 2.37.0: two of three fail over the table that each wants to create."""
    for number in range(5):
        site.write(f"00{number}_t", f"CREATE TABLE t{number} ();")
    reports = await asyncio.gather(*(site.apply_unchecked() for _ in range(3)))
    assert {report.outcome for report in reports} <= {Outcome.SUCCEEDED, Outcome.NOTHING_TO_DO}
    assert sorted(each.version for report in reports for each in report.migrations) == [
        f"00{number}" for number in range(5)
    ]
    assert [run.result for run in await site.runs()] == [Result.DONE] * 5


async def test_nothing_of_a_file_leaks_into_the_next(
    site: MigrationSite, make_role: Callable[..., dict[str, str]]
) -> None:
    """Settings, the role, the search path."""
    role = make_role()["user"]
    site.write("001_a", f"CREATE SCHEMA app; SET search_path = app; SET ROLE {role};")
    site.write(
        "002_b",
        "CREATE TABLE seen AS SELECT current_user::text AS role,"
        " current_setting('search_path') AS path;",
    )
    await site.apply_unchecked()
    assert site.ask("SELECT role = session_user, path FROM public.seen") == [
        (True, '"$user", public')
    ]


@pytest.mark.parametrize("statement", ["COMMIT", "ROLLBACK", "SAVEPOINT s"])
async def test_transaction_control_inside_is_refused_before_anything(
    site: MigrationSite, statement: str
) -> None:
    """A COMMIT in the middle keeps what came before although what follows fails."""
    site.write("001_a", "CREATE TABLE a ();")
    site.write("002_b", f"CREATE TABLE b ();\n{statement};\nSELECT 1 / 0;")
    failed = await site.failure(site.apply())
    assert isinstance(failed.error, MigrationFilesInvalid)
    assert failed.error.message.startswith("002_b.sql:2:1: ")
    assert site.tables() == []
    assert not await exists(site)


async def exists(site: MigrationSite) -> bool:
    async with site.database.session() as session:
        return await Ledger.of(site.database).exists(session)
