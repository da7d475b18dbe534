"""The embedded server's life: made, started again, killed, never run twice."""

import asyncio
import os
import signal
import stat
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from dbopsd.db.server.embedded import EmbeddedServer
from dbopsd.db.server.errors import (
    StateDirectoryInUse,
    StateDirectoryUnreachable,
    StateDirectoryUnusable,
)
from dbopsd.db.server.leftovers import server_processes
from tests.support.installations import installation
from tests.support.owner import Owner
from tests.support.patience import eventually
from tests.support.servers import PostgresServers

requires_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be two accounts")


@pytest.fixture
def new_state_dir(servers: PostgresServers) -> Path:
    """A state directory that is yet to be made."""
    return servers.directory("state") / "state"


@pytest.fixture(scope="module")
def used_state_dir(servers: PostgresServers) -> Path:
    """A state directory from an earlier run; initdb takes most of a first start."""

    async def use(state_dir: Path) -> None:
        server = EmbeddedServer(state_dir)
        await server.start()
        await server.stop()

    directory = servers.directory("used") / "state"
    asyncio.run(use(directory))
    return directory


@pytest.fixture
def state_dir(used_state_dir: Path, new_state_dir: Path) -> Path:
    """A state directory of the test's own, from an earlier run."""
    subprocess.run(["cp", "--archive", str(used_state_dir), str(new_state_dir)], check=True)
    return new_state_dir


@pytest.fixture
async def start(new_state_dir: Path) -> AsyncIterator[Callable[[], object]]:
    """`await start()` → a started server on the state directory, stopped after the test."""
    started: list[EmbeddedServer] = []

    async def make() -> EmbeddedServer:
        server = EmbeddedServer(new_state_dir)
        started.append(server)
        await server.start()
        return server

    yield make
    for server in started:
        await server.stop("immediate")


async def ask(dsn: str, query: str) -> object:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        cursor = await connection.execute(query)
        row = await cursor.fetchone() if cursor.description else None
        return row and row[0]


async def test_it_is_what_operations_need(start) -> None:
    server = await start()
    for query, answer in {
        "SHOW data_checksums": "on",
        "SHOW wal_level": "replica",
        "SHOW hot_standby": "on",
        "SHOW track_io_timing": "on",
        "SHOW listen_addresses": "127.0.0.1",
        "SHOW password_encryption": "scram-sha-256",
        "SHOW server_encoding": "UTF8",
        "SHOW shared_preload_libraries": "pg_stat_statements",
        "SELECT count(*) > 0 FROM pg_stat_statements": True,
        "SELECT lower('É')": "é",
        "SELECT every(auth_method = 'scram-sha-256') FROM pg_hba_file_rules": True,
        "SHOW max_wal_senders": "10",
        "SHOW max_replication_slots": "10",
        "SHOW max_slot_wal_keep_size": "16GB",
        "SHOW summarize_wal": "on",
        "SHOW archive_mode": "on",
        "SHOW archive_command": "true",
        # Whoever logs in may replicate, by the same password.
        "SELECT count(*) FROM pg_hba_file_rules WHERE 'replication' = ANY (database)": 3,
    }.items():
        assert await ask(server.dsn, query) == answer, query
    assert "password=" not in server.dsn
    with pytest.raises(psycopg.OperationalError, match="password"):
        await ask(f"{server.dsn} password=wrong", "SELECT 1")


async def run_tool(server: EmbeddedServer, tool: str, *arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(
        str(server.cluster.installation.tool(tool)),
        *arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()


@pytest.mark.usefixtures("state_dir")
async def test_full_and_incremental_backups_can_be_taken_of_it(start, tmp_path: Path) -> None:
    server = await start()
    full, incremental, combined = (tmp_path / name for name in ("full", "incremental", "combined"))
    take = ("--dbname", server.dsn, "--checkpoint", "fast", "--no-sync")
    await run_tool(server, "pg_basebackup", *take, "--pgdata", str(full))
    await ask(server.dsn, "CREATE TABLE kept AS SELECT 42 AS answer")
    manifest = str(full / "backup_manifest")
    await run_tool(
        server, "pg_basebackup", *take, "--pgdata", str(incremental), "--incremental", manifest
    )
    parts = (str(full), str(incremental))
    await run_tool(server, "pg_combinebackup", *parts, "--output", str(combined), "--no-sync")
    await run_tool(server, "pg_verifybackup", str(combined))


@pytest.mark.usefixtures("state_dir")
async def test_its_wal_can_be_received_through_a_slot(start, tmp_path: Path) -> None:
    server = await start()
    await ask(server.dsn, "SELECT pg_create_physical_replication_slot('backup', true)")
    receiver = await asyncio.create_subprocess_exec(
        str(server.cluster.installation.tool("pg_receivewal")),
        *("--dbname", server.dsn, "--slot", "backup", "--directory", str(tmp_path)),
    )
    try:
        active = "SELECT active FROM pg_replication_slots"

        async def streams() -> bool:
            return await ask(server.dsn, active) is True

        await eventually(streams, what="pg_receivewal streams")
        segment = await ask(server.dsn, "SELECT pg_walfile_name(pg_current_wal_lsn())")
        await ask(server.dsn, "CREATE TABLE written AS SELECT 1 AS one")
        await ask(server.dsn, "SELECT pg_switch_wal()")
        await eventually((tmp_path / str(segment)).exists, what=f"segment {segment} was received")
    finally:
        receiver.terminate()
        await receiver.wait()


@pytest.mark.usefixtures("state_dir")
async def test_no_wal_piles_up_and_archiving_begins_without_a_restart(
    start, servers: PostgresServers
) -> None:
    server = await start()
    archive = servers.directory("archive")
    os.chown(archive, server.cluster.data_dir.stat().st_uid, -1)
    status = server.cluster.data_dir / "pg_wal" / "archive_status"

    async def switch() -> str:
        await ask(server.dsn, "CREATE TABLE IF NOT EXISTS written AS SELECT 1 AS one")
        await ask(server.dsn, "INSERT INTO written VALUES (1)")
        segment = await ask(server.dsn, "SELECT pg_walfile_name(pg_switch_wal())")
        return str(segment)

    segment = await switch()
    await eventually((status / f"{segment}.done").exists, what="the segment is let go")
    pid = server.cluster.pid
    await ask(server.dsn, f"ALTER SYSTEM SET archive_command = 'cp %p {archive}/%f'")
    await ask(server.dsn, "SELECT pg_reload_conf()")
    segment = await switch()
    await eventually((archive / segment).exists, what="the segment is archived")
    assert server.cluster.pid == pid


@pytest.mark.usefixtures("state_dir")
async def test_a_state_directory_from_before_gets_todays_settings(start) -> None:
    server = await start()
    await server.stop()
    before = server.cluster.data_dir / "dbopsd.conf"
    before.write_text("wal_level = 'minimal'\nmax_wal_senders = '0'\narchive_mode = 'off'\n")
    again = await start()
    for name, value in {
        "wal_level": "replica",
        "archive_mode": "on",
        "summarize_wal": "on",
    }.items():
        assert await ask(again.dsn, f"SHOW {name}") == value


async def test_a_version_without_wal_summaries_starts(
    servers: PostgresServers, new_state_dir: Path
) -> None:
    server = EmbeddedServer(new_state_dir, installation=await installation(15))
    try:
        assert await ask(await server.start(), "SHOW archive_mode") == "on"
    finally:
        await server.stop("immediate")


@pytest.mark.usefixtures("state_dir")
async def test_it_keeps_data_port_and_password(start) -> None:
    server = await start()
    await ask(server.dsn, "CREATE TABLE kept AS SELECT 42 AS answer")
    await server.stop()
    assert not server.running
    again = await start()
    assert again.dsn == server.dsn
    assert await ask(again.dsn, "SELECT answer FROM kept") == 42


@pytest.mark.usefixtures("state_dir")
async def test_a_lost_password_is_replaced(start) -> None:
    server = await start()
    await server.stop()
    server.cluster.passfile.unlink()
    again = await start()
    assert await ask(again.dsn, "SELECT 1") == 1


async def test_nobody_else_can_read_any_of_it(start, state_dir: Path) -> None:
    server = await start()
    passage = 0o711 if os.geteuid() == 0 else 0o700
    allowed = {state_dir: passage, state_dir / "postgresql": passage}
    for path in [state_dir, *state_dir.rglob("*")]:
        if path.is_symlink() or path.is_socket():
            continue
        found = path.stat()
        wanted = allowed.get(path, 0o700 if stat.S_ISDIR(found.st_mode) else 0o600)
        assert oct(stat.S_IMODE(found.st_mode)) == oct(wanted), path
    if os.geteuid() == 0:
        assert server.cluster.data_dir.stat().st_uid != 0
        assert server.cluster.passfile.stat().st_uid == 0
        assert server.log_path.stat().st_uid == 0


@pytest.mark.usefixtures("state_dir")
async def test_a_killed_postmaster_comes_back(start) -> None:
    server = await start()
    await ask(server.dsn, "CREATE TABLE kept AS SELECT 1 AS answer")
    # A backend too busy to notice that its postmaster is gone would hold the shared memory.
    busy = await psycopg.AsyncConnection.connect(server.dsn, autocommit=True)
    spinning = asyncio.create_task(
        busy.execute("SELECT count(*) FROM generate_series(1, 10000000000)")
    )
    await eventually(lambda: server.cluster.pid is not None)
    await asyncio.sleep(0.05)
    before = server.cluster.pid
    os.kill(before, signal.SIGKILL)
    await eventually(lambda: server.restarts == 1, timeout=15)
    assert server.cluster.pid != before
    assert await ask(server.dsn, "SELECT answer FROM kept") == 1
    with pytest.raises(psycopg.OperationalError):
        await spinning
    await busy.close()


@pytest.mark.usefixtures("state_dir")
async def test_stopping_it_is_no_reason_to_restart_it(start) -> None:
    server = await start()
    data_dir = server.cluster.data_dir
    await server.stop()
    await server.stop()
    await asyncio.sleep(0.3)
    assert (server.restarts, server_processes(data_dir)) == (0, [])


async def test_a_server_dies_with_its_owner_and_recovers(start, state_dir: Path) -> None:
    data_dir = state_dir / "postgresql" / "data"
    with Owner(state_dir) as owner:
        dsn = owner.ready()
        await ask(dsn, "CREATE TABLE kept AS SELECT 7 AS answer")
        assert server_processes(data_dir)
        owner.end(signal.SIGKILL)
        await eventually(lambda: not server_processes(data_dir), timeout=10)
    server = await start()
    assert await ask(server.dsn, "SELECT answer FROM kept") == 7
    assert server.dsn == dsn


async def test_a_hanging_server_of_a_dead_owner_is_ended(start, state_dir: Path) -> None:
    data_dir = state_dir / "postgresql" / "data"
    orphans: list[int] = []
    try:
        with Owner(state_dir) as owner:
            dsn = owner.ready()
            await ask(dsn, "CREATE TABLE kept AS SELECT 7 AS answer")
            orphans += server_processes(data_dir)
            for pid in orphans:
                # The backend of what was asked may be on its way out.
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
            owner.end(signal.SIGKILL)
        left = server_processes(data_dir)
        assert len(left) >= len(orphans) - 1
        assert set(left) <= set(orphans)
        server = await start()
        assert not set(orphans) & set(server_processes(data_dir))
        assert await ask(server.dsn, "SELECT answer FROM kept") == 7
    finally:
        for pid in set(orphans) & set(server_processes(data_dir)):
            os.kill(pid, signal.SIGKILL)


async def test_only_one_daemon_may_have_a_state_directory(start, state_dir: Path) -> None:
    with Owner(state_dir) as owner:
        dsn = owner.ready()
        with pytest.raises(StateDirectoryInUse) as refused:
            await start()
        assert refused.value.holder_pid == owner.pid
        assert str(owner.pid) in str(refused.value)
        assert await ask(dsn, "SELECT 1") == 1
        owner.end(signal.SIGTERM)
    await start()


@pytest.mark.parametrize("instant", [0.05, 0.3, 0.7])
async def test_an_interrupted_initialisation_leaves_nothing(
    start, new_state_dir: Path, instant: float
) -> None:
    with Owner(new_state_dir) as owner:
        await eventually((new_state_dir / "postgresql" / "initialising").exists, timeout=10)
        await asyncio.sleep(instant)
        owner.end(signal.SIGKILL)
    server = await start()
    assert await ask(server.dsn, "SELECT count(*) FROM pg_stat_statements") is not None
    assert not (new_state_dir / "postgresql" / "initialising").exists()


async def test_a_cancelled_start_leaves_no_process(start, state_dir: Path) -> None:
    data_dir = state_dir / "postgresql" / "data"
    first = await start()
    await first.stop()
    for _ in range(10):
        server = EmbeddedServer(state_dir)
        starting = asyncio.create_task(server.start())
        await eventually(lambda: server_processes(data_dir))
        if starting.cancel():
            break
        await server.stop()  # it had started by the time that it was seen
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert server_processes(data_dir) == []
    await start()


@pytest.fixture
def closed_directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="dbopsd-closed-") as directory:
        yield Path(directory)


async def test_a_state_directory_that_cannot_be_made_is_named(servers: PostgresServers) -> None:
    file = servers.directory("state") / "file"
    file.touch()
    with pytest.raises(StateDirectoryUnusable, match=rf"{file}/state cannot be used: Not a dir"):
        await EmbeddedServer(file / "state").start()


@requires_root
async def test_a_directory_out_of_the_servers_reach_is_named(closed_directory: Path) -> None:
    server = EmbeddedServer(closed_directory / "below" / "state")
    with pytest.raises(StateDirectoryUnreachable) as refused:
        await server.start()
    assert refused.value.barrier == str(closed_directory)
    assert "state_dir" in str(refused.value)
    assert stat.S_IMODE(closed_directory.stat().st_mode) == 0o700


@requires_root
async def test_it_runs_for_an_ordinary_user(servers: PostgresServers) -> None:
    directory = servers.directory("ordinary")
    os.chown(directory, 65534, 65534)
    with Owner(directory / "state", user="nobody") as owner:
        dsn = owner.ready()
        assert await ask(dsn, "SHOW data_checksums") == "on"
        data_dir = directory / "state" / "postgresql" / "data"
        assert data_dir.stat().st_uid == 65534
        assert stat.S_IMODE((directory / "state").stat().st_mode) == 0o700
        owner.end(signal.SIGTERM)
        assert server_processes(data_dir) == []
