"""Drills of real backups in real servers: what they check, what they find, and what is left."""

import asyncio
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dbopsd.backup.catalog.commit import CommitRecord, RowCounts, write_commit
from dbopsd.backup.catalog.layout import time_name
from dbopsd.backup.catalog.notes import NoteKind
from dbopsd.backup.drill.server_checks import check_checksums
from dbopsd.backup.drill_backup import clean_up, drill_backup
from dbopsd.backup.model.reports import DrillCheck, DrillReport
from dbopsd.backup.model.requests import DrillBackupRequest, RecoveryTarget, TargetAction
from dbopsd.backup.overview import read_overview
from dbopsd.backup.repository import Repository
from dbopsd.backup.restore.cluster import RestoredCluster
from dbopsd.backup.restore.directory import RestoreDirectory
from dbopsd.backup.restore.plan import plan_restore
from dbopsd.backup.verify.wal import needed_segments
from dbopsd.backup.wal.archive import segment_key
from dbopsd.backup.wal.stored_wal import WalWriter, read_segment
from dbopsd.db.database import Database
from dbopsd.db.server.account import server_account
from dbopsd.db.server.leftovers import server_processes
from tests.support.backed_up import BACKUP_SETTINGS, backed_up, repository_of, storing_wal
from tests.support.operation_run import OperationRun
from tests.support.patience import eventually
from tests.support.restores import back_up
from tests.support.scratch import new_directory
from tests.support.servers import PostgresServer, PostgresServers

LATEST = RecoveryTarget(latest=True)
CHECKS = ["start", "reached", "checksums", "amcheck", "rows"]
PAGE = 8192


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that the account of a restored server reaches."""
    directory = new_directory("dbopsd-drill-")
    yield directory
    shutil.rmtree(directory)


async def drill(
    database: Database, place: Path, target: RecoveryTarget = LATEST, **fields: Any
) -> dict[str, DrillCheck]:
    """The checks of a drill by their names; nothing of it is left."""
    report = await drilled(database, place, target, **fields)
    assert list((place / "state" / "drills").iterdir()) == []
    return {each.name: each for each in report.checks}


async def drilled(
    database: Database, place: Path, target: RecoveryTarget = LATEST, **fields: Any
) -> DrillReport:
    request = DrillBackupRequest(target=target, **fields)
    request.check()
    run = OperationRun(database, place, "drill")
    try:
        return await drill_backup(run, request)
    finally:
        await run.close()


def table_file(server: PostgresServer, relation: str) -> Path:
    ((path,),) = server.execute(f"SELECT pg_relation_filepath('{relation}')")
    return server.data_dir / str(path)


async def test_a_drill_restores_checks_and_leaves_nothing(
    cluster: PostgresServer, place: Path
) -> None:
    cluster.execute("CREATE TABLE drilled (n int PRIMARY KEY, t text)")
    cluster.execute("INSERT INTO drilled SELECT n, 'at first' FROM generate_series(1, 5000) n")
    async with backed_up(cluster, place) as database:
        async with storing_wal(cluster, database):
            await back_up(database, place)
            # The rows are compared with those of the backup's time, not with these.
            cluster.execute("DELETE FROM drilled WHERE n > 10")
            cluster.execute("INSERT INTO drilled VALUES (-1, 'later')")
            cluster.execute("CREATE TABLE later ()")
            cluster.execute("SELECT pg_switch_wal()")
        sql = """
            SELECT count(*) = 11 FROM drilled;
            SELECT n < 1000, ';' FROM drilled; -- a remark;
            SELECT t = 'at first', 'a secret' FROM drilled ORDER BY n;
            DELETE FROM drilled RETURNING true;
            SELECT true FROM drilled WHERE pg_sleep(0) IS NULL;
            SELECT (SELECT 'a secret' FROM drilled LIMIT 1)::int = 1
        """
        report = await drilled(database, place, check_sql=sql)
        checks = {each.name: each for each in report.checks}
        assert [*checks] == [*CHECKS, "sql-1", "sql-2", "sql-3", "sql-4", "sql-5", "sql-6"]
        failed = {name for name, check in checks.items() if not check.ok}
        assert failed == {"sql-3", "sql-4", "sql-6"}, checks.get("reached")
        assert "row 1 begins with false" in checks["sql-3"].detail
        assert "SyntaxError" in checks["sql-4"].detail
        assert "0 rows" in checks["sql-5"].detail
        assert "secret" not in str(report)
        assert "5000 rows in 1 tables" in checks["rows"].detail
        assert "are right" in checks["checksums"].detail
        assert "found nothing wrong" in checks["amcheck"].detail
        assert not report.ok
        assert report.recovery_seconds > 0
        assert report.recovery_point_seconds > 0
        assert report.reached is not None
        assert list((place / "state" / "drills").iterdir()) == []
        # Before the rows were counted: they are counted all the same, in a restore of their own.
        checks = await drill(database, place, RecoveryTarget(immediate=True))
        assert [name for name, check in checks.items() if not check.ok] == []
        assert "5000 rows in 1 tables" in checks["rows"].detail
        async with repository_of(database) as repository:
            (system,) = await repository.systems()
            (backup,) = (await repository.catalog(system)).backups
        note = backup.notes[NoteKind.DRILLED]
        assert note.fields["ok"] is True
        assert [each["name"] for each in note.fields["report"]["checks"]] == CHECKS
        config = database.config.backup
        assert config is not None
        overview = await read_overview("main", config, {}, None)
        assert overview.drill is not None
        assert (overview.drill.ok, overview.drill.failed) == (True, ())
        assert overview.drill.recovery_s > 0


async def test_a_drill_has_its_own_memory_whatever_the_live_server_has(
    newest_cluster: PostgresServer, place: Path
) -> None:
    newest_cluster.execute("CREATE TABLE IF NOT EXISTS much (n int)")
    async with backed_up(newest_cluster, place) as database:
        async with storing_wal(newest_cluster, database):
            newest_cluster.execute("ALTER SYSTEM SET shared_buffers = '512GB'")
            newest_cluster.execute("ALTER SYSTEM SET huge_pages = 'on'")
            await back_up(database, place)
            newest_cluster.execute("ALTER SYSTEM RESET ALL")
            # More than it had with the backup: where a hot standby would pause.
            newest_cluster.execute("ALTER SYSTEM SET max_connections = 1000")
            newest_cluster.stop()
            newest_cluster.start()
            newest_cluster.execute("ALTER SYSTEM RESET ALL")
            newest_cluster.execute("INSERT INTO much VALUES (1)")
            newest_cluster.execute("SELECT pg_switch_wal()")
        sql = """
            SELECT setting::int <= 256 * 128 FROM pg_settings WHERE name = 'shared_buffers';
            SELECT setting::int <= 20 FROM pg_settings WHERE name = 'max_connections';
            SELECT count(*) = 1 FROM much
        """
        checks = await drill(database, place, check_sql=sql)
    assert [name for name, check in checks.items() if not check.ok] == [], checks
    assert "tables, as at" in checks["rows"].detail


async def test_what_recovery_does_not_reach_is_no_success(
    newest_cluster: PostgresServer, place: Path
) -> None:
    newest_cluster.execute("CREATE TABLE IF NOT EXISTS reached (n int)")
    async with backed_up(newest_cluster, place) as database:
        async with storing_wal(newest_cluster, database):
            await back_up(database, place)
            for _ in range(3):
                newest_cluster.execute("INSERT INTO reached SELECT generate_series(1, 1000)")
                newest_cluster.execute("SELECT pg_switch_wal()")
        async with repository_of(database) as repository:
            await damage_wal(repository, after=3)
        checks = await drill(database, place)
        assert not checks["start"].ok, checks
        assert "recovery ended before configured recovery target" in checks["start"].detail
        async with repository_of(database) as repository:
            (system,) = await repository.systems()
            (backup,) = (await repository.catalog(system)).backups
        assert backup.notes[NoteKind.DRILLED].fields["ok"] is False


async def damage_wal(repository: Repository, after: int) -> None:
    """Store zeros in place of a segment: whole for the store, and no WAL."""
    (system,) = await repository.systems()
    layout = repository.layout(system)
    record = (await repository.catalog(system)).backups[-1].record
    assert record is not None
    segment = next(needed_segments(record)).after(after)
    content = await read_segment(repository, layout, segment)
    await repository.store.delete(segment_key(layout, segment))
    writer = WalWriter(repository, layout)
    await writer.store_segment(segment, content[:PAGE] + bytes(len(content) - PAGE))


@pytest.fixture
def unchecked(servers: PostgresServers, postgres_version: int) -> Iterator[PostgresServer]:
    """A server whose pages have no checksums."""
    server = servers.disposable(postgres_version, BACKUP_SETTINGS, started=False)
    account = asyncio.run(server_account(server.data_dir))
    done = servers.run_tool(
        server, "pg_checksums", "--disable", "-D", str(server.data_dir), account=account
    )
    assert done.exit_status == 0, done.output
    server.start()
    yield server
    servers.discard(server)


async def test_damages_are_found_by_the_check_that_can(
    unchecked: PostgresServer, place: Path
) -> None:
    for name in ("whole", "changed", "zeroed", "cut", "keyed"):
        unchecked.execute(f"CREATE TABLE {name} (n int PRIMARY KEY, t text)")
        unchecked.execute(
            f"INSERT INTO {name} SELECT n, repeat('x', 100) FROM generate_series(1, 5000) n"
        )
    unchecked.execute("VACUUM")
    unchecked.execute("CHECKPOINT")
    async with backed_up(unchecked, place) as database:
        async with storing_wal(unchecked, database):
            whole = await back_up(database, place)
            damage(table_file(unchecked, "changed"), 3 * PAGE - 50, b"y")
            damage(table_file(unchecked, "zeroed"), 2 * PAGE, bytes(PAGE))
            damage(table_file(unchecked, "keyed_pkey"), 2 * PAGE - 8 * 16, b"\x7f")
            cut = table_file(unchecked, "cut")
            with cut.open("r+b") as file:
                file.truncate(cut.stat().st_size - PAGE)
            await back_up(database, place, label="damaged")
        async with repository_of(database) as repository:
            await keep_counts(repository, whole.name.rpartition("/")[2])
        checks = await drill(database, place)
    assert {name: check.ok for name, check in checks.items()} == {
        "start": True,
        "reached": True,
        "checksums": True,
        "amcheck": False,
        "rows": False,
    }, checks
    assert "no data checksums" in checks["checksums"].detail
    assert "keyed_pkey" in checks["amcheck"].detail
    rows = checks["rows"].detail
    assert "public.zeroed has" in rows
    assert "public.cut has" in rows
    assert "changed" not in rows


def damage(path: Path, at: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


async def keep_counts(repository: Repository, from_: str) -> None:
    """Have the newest backup have the rows of an older one, as if they had been counted then."""
    (system,) = await repository.systems()
    catalog = await repository.catalog(system)
    counted, damaged = catalog.get(from_).record, catalog.backups[-1].record
    assert counted is not None
    assert damaged is not None
    assert counted.row_counts is not None
    assert damaged.row_counts is not None
    counts = RowCounts(damaged.row_counts.lsn, counted.row_counts.tables)
    assert {each.table for each in counts.tables} >= {"zeroed", "cut", "whole"}
    changed: CommitRecord = replace(damaged, row_counts=counts)
    key = catalog.layout.commit(damaged.id)
    await repository.store.delete(key)
    await repository.store.create(key, write_commit(changed, None))


async def test_a_kept_cluster_stays_and_a_damaged_page_of_it_is_found(
    newest_cluster: PostgresServer, place: Path
) -> None:
    newest_cluster.execute(
        "CREATE TABLE IF NOT EXISTS kept AS SELECT generate_series(1, 5000) AS n"
    )
    async with backed_up(newest_cluster, place, wal="off") as database:
        await back_up(database, place)
        report = await drilled(database, place, keep=True)
        assert report.ok, report
        (rows,) = [each for each in report.checks if each.name == "rows"]
        assert rows.detail.startswith("not compared with the backup: every table: without a WAL")
        directory = Path(report.directory)
        assert (directory / "PG_VERSION").exists()
        assert server_processes(directory) == []
        file = directory / table_file(newest_cluster, "kept").relative_to(newest_cluster.data_dir)
        damage(file, PAGE + 5000, b"\x55\xaa")
        run = OperationRun(database, place, "check")
        async with repository_of(database) as repository:
            plan = await plan_restore(run, repository, LATEST)
        restored = RestoredCluster(
            RestoreDirectory(directory, "drill"),
            plan,
            await server_account(directory),
            TargetAction.PROMOTE,
        )
        ok, detail = await check_checksums(run, restored)
        assert not ok
        assert detail.startswith("1 of ")
        assert file.name in detail
        assert str(directory) not in detail


async def test_a_cancelled_drill_leaves_no_server_and_no_files(
    newest_cluster: PostgresServer, place: Path
) -> None:
    async with backed_up(newest_cluster, place, wal="off") as database:
        await back_up(database, place)
        request = DrillBackupRequest(target=LATEST, check_sql="SELECT pg_sleep(600) IS NOT NULL")
        run = OperationRun(database, place, "drill")
        directory = place / "state" / "drills" / "drill"
        drilling = asyncio.create_task(drill_backup(run, request))
        await eventually(lambda: "check sql-1" in [stage for stage, *_ in run.progress_log])
        assert server_processes(directory)
        drilling.cancel()
        await asyncio.wait([drilling])
        assert drilling.cancelled()
        async with repository_of(database) as repository:
            (system,) = await repository.systems()
            leases = repository.layout(system).leases
            # As an attempt leaves it whose process is killed; that of another drill stays.
            for holder in ("drill-drill", "drill-drill-2"):
                key = f"{leases}{holder}/{time_name(datetime.now(UTC))}.json"
                await repository.store.create(key, b"{}")
            await clean_up(run, request)
            await clean_up(run, request)
            assert [each.key async for each in repository.store.list(leases)] == [key]
        await run.close()
        assert server_processes(directory) == []
        assert list(directory.parent.iterdir()) == []
