"""Migrations whose process or server is killed: what is recorded is there, and nothing else."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from dbops_client import DbopsClient

from dbopsd.migrate.versions.model.migration import State
from dbopsd.migrate.versions.model.reports import Outcome
from tests.support.daemon import Daemon
from tests.support.demo.daemon import worker_processes
from tests.support.killed_migrations import (
    MIGRATIONS,
    OFF,
    assert_all_there,
    watched,
    write_migrations,
)
from tests.support.migration_site import migration_site
from tests.support.patience import eventually_blocking
from tests.support.proxy import Proxy
from tests.support.recording import Recording
from tests.support.servers import PostgresServer
from tests.support.soak import Soak

PATIENCE_S = 120.0
"""How long a process may take to start on a machine with much else to do."""


def applier(directory: Path, dsn: str, number: int = 1) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.support.migrating", str(directory), dsn, str(number)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def kill_backend(server: PostgresServer, dsn: str) -> None:
    """kill -9 of the backend at work, after which the server begins anew."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        found = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'dbopsd migrate%'"
        ).fetchall()
    for (pid,) in found:
        os.kill(pid, signal.SIGKILL)


def kill_server(server: PostgresServer, _dsn: str) -> None:
    server.stop("immediate")
    server.start()


SERVER_FAULTS: list[Callable[[PostgresServer, str], None]] = [kill_backend, kill_server]


@pytest.mark.soak
@pytest.mark.timeout(3600)
async def test_whatever_dies_the_next_apply_ends_well(
    disposable_server: Callable[[], PostgresServer], tmp_path: Path, soak: Soak
) -> None:
    chance = soak.random()
    server = disposable_server()
    looks = hits = rounds = 0
    for round_ in range(soak.scale(1, 50)):
        if soak.over:
            break
        dsn = server.dsn(dbname=server.create_database())
        directory = tmp_path / f"round-{round_}"
        async with migration_site(directory, dsn, Recording().telemetry) as site:
            write_migrations(site.files)
            fault = chance.choice([None, None, *SERVER_FAULTS])
            what = f"--seed={soak.seed}, round {round_}: {fault and fault.__name__}"
            with watched(dsn) as watcher, applier(directory, dsn) as process:
                ledger = "SELECT 1 FROM pg_namespace WHERE nspname = 'dbops'"
                await site.until(ledger, PATIENCE_S)
                done = "SELECT count(*) FROM dbops.migration_runs WHERE result = 'done'"
                far = chance.randrange(MIGRATIONS - 1)
                await site.until(f"SELECT 1 WHERE ({done}) >= {far}", PATIENCE_S)
                time.sleep(chance.uniform(0, 0.1))
                if fault is not None:
                    fault(server, dsn)
                    time.sleep(chance.uniform(0, 0.2))
                process.kill()
                process.wait()
                await site.until("SELECT 1", PATIENCE_S)  # the server may be recovering
                rounds += 1
                hits += site.ask(done) < [MIGRATIONS]
                report = await site.apply_unchecked()
                assert report.outcome in (Outcome.SUCCEEDED, Outcome.NOTHING_TO_DO), what
            assert watcher.wrong == [], what
            looks += watcher.looks
            assert_all_there(dsn)
    assert looks > 0
    assert not soak.long or hits > rounds / 2, "most rounds end before anything is killed"


@pytest.mark.soak
@pytest.mark.timeout(600)
async def test_many_appliers_at_once(
    disposable_server: Callable[[], PostgresServer], tmp_path: Path, soak: Soak
) -> None:
    server = disposable_server()
    dsn = server.dsn(dbname=server.create_database())
    clients = soak.scale(2, 5)
    async with migration_site(tmp_path / "a", dsn, Recording().telemetry) as site:
        write_migrations(site.files)
        (tmp_path / "b").mkdir()
        (tmp_path / "b" / "migrations").symlink_to(site.files)
        with watched(dsn) as watcher:
            replicas = [applier(tmp_path / name, dsn, clients) for name in ("a", "b")]
            outcomes = [line for each in replicas for line in each.communicate()[0].splitlines()]
        assert set(outcomes) <= {"SUCCEEDED", "NOTHING_TO_DO"}
        assert len(outcomes) == 2 * clients
        assert watcher.wrong == []
        assert_all_there(dsn)
        assert all(run.statements_done == run.statements for run in await site.runs())


async def test_a_commit_whose_answer_is_lost_is_looked_up(
    disposable_server: Callable[[], PostgresServer], tmp_path: Path
) -> None:
    server = disposable_server()
    dsn = server.dsn(dbname=server.create_database())

    def wait_for_standbys(names: str) -> None:
        server.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
        server.execute("SELECT pg_reload_conf()")

    async with migration_site(tmp_path, dsn, Recording().telemetry) as site:
        site.write("001_a", "CREATE TABLE a ();\nSELECT pg_advisory_xact_lock(77);")
        site.write("002_b", "CREATE TABLE b ();")
        with psycopg.connect(dsn, autocommit=True) as holder:
            holder.execute("SELECT pg_advisory_lock(77)")
            task = asyncio.create_task(site.apply_unchecked(lock_wait_s=60))
            at_work = "application_name LIKE 'dbopsd migrate%' AND wait_event"
            await site.until(f"SELECT 1 FROM pg_stat_activity WHERE {at_work}_type = 'Lock'")
            # From now on a COMMIT waits for a standby that there is not, once it is done here.
            wait_for_standbys("nobody")
        await site.until(f"SELECT 1 FROM pg_stat_activity WHERE {at_work} = 'SyncRep'")
        killed = (
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {at_work} = 'SyncRep'"
        )
        assert site.ask(killed) == [True]
        wait_for_standbys("")
        report = await task
        assert report.outcome is Outcome.SUCCEEDED
        assert [m.version for m in report.migrations] == ["001", "002"]
        assert site.tables() == ["a", "b"]
        assert [run.key for run in await site.runs()] == ["001", "002"]


class CommitEater(Proxy):
    """Cuts a connection at the next COMMIT that it is to forward, once it is `hungry`."""

    hungry = False

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(64 * 1024):
            if self.hungry and b"COMMIT\0" in piece:
                self.hungry = False
                raise ConnectionResetError
            await self._flowing.wait()
            writer.write(piece)
            await writer.drain()


@pytest.mark.parametrize("away", [False, True])
async def test_a_commit_that_does_not_arrive_is_no_success(
    postgres: PostgresServer, database_dsn: str, tmp_path: Path, away: bool
) -> None:
    with (
        CommitEater(postgres.host, postgres.port) as proxy,
        psycopg.connect(database_dsn) as holder,
    ):
        dsn = f"{database_dsn} host={proxy.host} port={proxy.port}"
        async with migration_site(tmp_path, dsn, Recording().telemetry) as site:
            site.dsn = database_dsn
            site.away_s = 0.5
            site.write("001_a", "CREATE TABLE a ();\nSELECT pg_advisory_xact_lock(77);")
            holder.execute("SELECT pg_advisory_lock(77)")
            task = asyncio.create_task(site.failure(site.apply_unchecked(lock_wait_s=60)))
            await site.until(
                "SELECT 1 FROM pg_stat_activity WHERE datname = current_database()"
                " AND application_name LIKE 'dbopsd migrate%' AND wait_event_type = 'Lock'"
            )
            proxy.hungry = True
            if away:
                proxy.refuse_new()
            holder.execute("SELECT pg_advisory_unlock(77)")
            failed = await task
            assert failed.error.reason == ("COMMIT_UNKNOWN" if away else "COMMIT_LOST")
            assert failed.report is not None
            [migration] = failed.report.migrations
            assert migration.state is (State.INTERRUPTED if away else State.PENDING)
            assert site.tables() == []
            proxy.heal()
            assert (await site.apply_unchecked()).outcome is Outcome.SUCCEEDED


@pytest.mark.thorough
def test_a_worker_that_is_killed_is_followed_by_one_that_does_what_is_left(
    disposable_server: Callable[[], PostgresServer], tmp_path: Path
) -> None:
    server = disposable_server()
    dsn = server.dsn(dbname=server.create_database())
    texts = {
        "001_a": "CREATE TABLE a (id int);",
        "002_b": "CREATE TABLE b (id int);\nSELECT pg_sleep(2);",
        "003_c": f"{OFF}CREATE TABLE c (id int);\nSELECT pg_sleep(2);\n"
        "CREATE INDEX CONCURRENTLY c_id ON c (id);",
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.sql").write_text(text)
    config = (
        f"[databases.main]\ndsn = {json.dumps(dsn)}\nmigrations_dir = {json.dumps(str(tmp_path))}\n"
        "[operations]\nheartbeat_s = 0.5\ntakeover_after_s = 3\n"
    )
    asleep = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query LIKE %s"

    def sleeps(part: str) -> bool:
        with psycopg.connect(dsn, autocommit=True) as connection:
            return connection.execute(asleep, (f"%{part}%",)).fetchone() is not None

    with (
        Daemon(config, server={"workers": 1}) as daemon,
        DbopsClient(daemon.wait_until_serving().grpc_address, timeout_s=60) as client,
    ):
        operation = client.migrations.apply("main")
        for part in ("TABLE b", "statements_done = 2"):
            eventually_blocking(lambda part=part: sleeps(part), 60)
            for pid in worker_processes(daemon):
                os.kill(pid, signal.SIGKILL)
        report = operation.wait(timeout_s=120).result()
        assert operation.metadata.attempt == 3
    assert [(m.version, m.statements_done) for m in report.migrations] == [
        ("001", 1),
        ("002", 2),
        ("003", 3),
    ]
    with psycopg.connect(dsn, autocommit=True) as connection:
        runs = "SELECT key, result, statements_done FROM dbops.migration_runs ORDER BY id"
        assert connection.execute(runs).fetchall() == [
            ("001", "done", 1),
            ("002", "done", 2),
            ("003", "interrupted", 1),
            ("003", "done", 3),
        ]
