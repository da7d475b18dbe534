"""Processes killed while WAL comes as fast as pgbench makes it: no acknowledged row is lost."""

import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

from dbopsd.backup.wal.spool import spool_folder
from tests.support.backed_up import BACKUP_SETTINGS
from tests.support.backup_site import BackupSite, backup_site
from tests.support.daemon import end_servers
from tests.support.demo.daemon import worker_processes
from tests.support.installations import DEFAULT_VERSION
from tests.support.killed_imports import kill
from tests.support.servers import PostgresServer, PostgresServers
from tests.support.soak import Soak

PROMPT: Final = "[operations]\nheartbeat_s = 0.5\ntakeover_after_s = 3\nmax_lost_workers = 1000"
CLIENTS: Final = 4
SCRIPT: Final = "\\set n :n + 1\nINSERT INTO acknowledged VALUES (:client_id, :n);\n"
ROWS: Final = "SELECT client, count(*), min(n), max(n) FROM acknowledged GROUP BY 1 ORDER BY 1"
# Each transaction of pgbench changes all four by the same amount, or none of them.
SUMS: Final = """
SELECT
  (SELECT sum(abalance) FROM pgbench_accounts),
  (SELECT sum(bbalance) FROM pgbench_branches),
  (SELECT sum(tbalance) FROM pgbench_tellers),
  (SELECT sum(delta) FROM pgbench_history),
  (SELECT count(*) FROM pgbench_history)
"""


@pytest.fixture
def server(servers: PostgresServers) -> Iterator[PostgresServer]:
    # The slot alone keeps the WAL.
    settings = {**BACKUP_SETTINGS, "wal_keep_size": 0, "max_wal_size": "64MB"}
    found = servers.disposable(DEFAULT_VERSION, settings)
    found.execute("CREATE TABLE acknowledged (client int, n bigint, PRIMARY KEY (client, n))")
    pgbench(found, "--initialize", "--scale=2", "--quiet").wait()
    yield found
    servers.discard(found)


def pgbench(server: PostgresServer, *arguments: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [str(server.bin_dir / "pgbench"), *arguments, server.dsn()],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@contextmanager
def load(server: PostgresServer, directory: Path) -> Iterator[None]:
    """pgbench at its full speed for the time of the context; all that it got is committed then."""
    script = directory / "acknowledged.sql"
    script.write_text(SCRIPT)
    options = [f"--client={CLIENTS}", "--jobs=1", "--time=86400", "--no-vacuum", "--define=n=0"]
    running = pgbench(server, *options, "--builtin=tpcb-like", f"--file={script}")
    try:
        yield
        assert running.poll() is None
    finally:
        running.send_signal(signal.SIGINT)
        running.wait()


def kill_worker(site: BackupSite) -> None:
    for pid in worker_processes(site.daemon):
        kill(pid)


def kill_daemon(site: BackupSite) -> None:
    workers = worker_processes(site.daemon)
    site.daemon.kill()
    for pid in workers:
        kill(pid)
    site.start()


def lose_disk(site: BackupSite) -> None:
    """Kill all, and have the worker's spool gone with its machine."""
    workers = worker_processes(site.daemon)
    site.daemon.kill()
    for pid in workers:
        kill(pid)
    shutil.rmtree(spool_folder(site.daemon.state_dir, "main"))
    site.start()


FAULTS: Final = (kill_worker, kill_daemon, lose_disk)


@pytest.mark.soak
@pytest.mark.thorough
@pytest.mark.timeout(4 * 3600)
def test_no_acknowledged_row_is_lost_at_full_speed(server: PostgresServer, soak: Soak) -> None:
    chance = soak.random()
    with backup_site(server, more=PROMPT) as site:
        site.json("create")
        with load(server, site.directory):
            for turn in range(soak.scale(3, 60)):
                time.sleep(chance.uniform(0.5, soak.scale(2.0, 6.0)))
                FAULTS[turn % len(FAULTS)](site)
            time.sleep(1)
        expected = (server.execute(ROWS), server.execute(SUMS))
        site.wait_until_archived(120)
        assert site.json("windows")["gaps"] == []
        found, report = restored(site)
        assert found == expected, report
        verified = site.json("verify")
        assert verified["ok"] is True, verified


def restored(site: BackupSite) -> tuple[Any, Any]:
    directory = site.directory / "restored-latest"
    report = site.json("restore", "--latest", "--to", str(directory), "--start")
    try:
        with psycopg.connect(
            host=report["address"], user="postgres", dbname="postgres"
        ) as connection:
            rows = connection.execute(ROWS).fetchall()
            return (rows, connection.execute(SUMS).fetchall()), report
    finally:
        end_servers(directory)
