"""Backups that fail in the middle: nothing is listed or left, and the next one is whole."""

import asyncio
import os
import random
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dbopsd.backup.backups import list_backups
from dbopsd.backup.catalog.commit import CommitRecord
from dbopsd.backup.catalog.kind import BackupKind
from dbopsd.backup.model.requests import Checkpoint, CreateBackupRequest
from dbopsd.backup.physical.archived_wal import Patience
from dbopsd.backup.physical.base_backup import (
    BaseBackupRequest,
    StreamWriters,
    take_base_backup,
)
from dbopsd.backup.physical.errors import (
    BaseBackupFailed,
    PageChecksumsFailed,
    WalNotStored,
)
from dbopsd.backup.physical.physical_backup import take_from, take_physical_backup
from dbopsd.backup.physical.source import BackupSource, find_source
from dbopsd.backup.store.errors import StoreFull
from dbopsd.db.client_tools import ToolsTooOld
from dbopsd.db.database import Database
from dbopsd.db.errors import DatabaseError
from tests.support.backed_up import BACKUP_SETTINGS, backed_up, repository_of, storing_wal
from tests.support.failing_store import FOR_EVER, Fault, Faults, stores_that_fail
from tests.support.operation_run import OperationRun
from tests.support.patience import eventually
from tests.support.physical_backups import create, create_incremental, unpack, verify
from tests.support.servers import PostgresServer, PostgresServers

HURRIED = Patience(standstill_s=1.0, gap_s=0.5, look_every_s=0.05, begin_s=5.0)
# So slow that there is time to do harm in the middle.
SLOW = {"rate_limit": "4MB"}


@pytest.fixture(scope="module")
def server(servers: PostgresServers, postgres_version: int) -> Iterator[PostgresServer]:
    settings = dict(BACKUP_SETTINGS)
    if postgres_version >= 17:
        settings["summarize_wal"] = True
    server = servers.disposable(postgres_version, settings)
    yield server
    servers.discard(server)


async def _take(
    database: Database,
    directory: Path,
    request: CreateBackupRequest | None = None,
    source: BackupSource | None = None,
) -> CommitRecord:
    """As `create`, with little patience for WAL."""
    run = OperationRun(database, directory)
    try:
        async with repository_of(database) as repository:
            request = request or CreateBackupRequest()
            if source is not None:
                return await take_from(source, run, repository, request, HURRIED)
            return await take_physical_backup(run, repository, request, HURRIED)
    finally:
        await run.close()
        assert list(run.scratch.iterdir()) == []


async def _require_nothing(database: Database) -> None:
    async with repository_of(database) as repository:
        assert await list_backups(repository) == []
    assert _base_backups() == []


def _base_backups() -> list[int]:
    """The processes of `pg_basebackup` that this one has started, each under a guardian."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            program = path.read_bytes().partition(b"\0")[0]
            ours = program.endswith(b"/pg_basebackup") and (
                _parent(_parent(int(path.parent.name))) == os.getpid()
            )
        except OSError:
            continue
        if ours:
            found.append(int(path.parent.name))
    return found


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


async def _in_the_middle(task: "asyncio.Task[object]") -> int:
    """Wait until a backup copies; the process of its `pg_basebackup`."""

    def running() -> int | None:
        assert not task.done(), task
        return next(iter(_base_backups()), None)

    pid = await eventually(running)
    assert pid is not None
    return pid


async def test_a_program_that_is_killed_fails_the_backup(
    server: PostgresServer, tmp_path: Path
) -> None:
    async with backed_up(server, tmp_path, wal="off", **SLOW) as database:
        task = asyncio.create_task(create(database, tmp_path))
        os.kill(await _in_the_middle(task), signal.SIGKILL)
        with pytest.raises(BaseBackupFailed):
            await task
        await _require_nothing(database)
    async with backed_up(server, tmp_path, wal="off") as database:
        await unpack(database, await create(database, tmp_path), tmp_path / "unpacked")
    verify(server, tmp_path / "unpacked")


async def test_a_server_that_restarts_fails_the_backup(
    server: PostgresServer, tmp_path: Path
) -> None:
    async with backed_up(server, tmp_path, wal="off", **SLOW) as database:
        task = asyncio.create_task(create(database, tmp_path))
        await _in_the_middle(task)
        await asyncio.to_thread(server.stop, "immediate")
        with pytest.raises((BaseBackupFailed, DatabaseError)) as caught:
            await task
        assert "\n" not in caught.value.message
        await asyncio.to_thread(server.start)
        await _require_nothing(database)


async def test_a_backup_can_be_cancelled_at_any_moment(
    server: PostgresServer, tmp_path: Path
) -> None:
    rng = random.Random(10)
    async with backed_up(server, tmp_path, wal="off", rate_limit="20MB") as database:
        for _ in range(8):
            task = asyncio.create_task(create(database, tmp_path))
            await asyncio.sleep(rng.uniform(0, 1.0))
            task.cancel()
            await asyncio.wait({task})
            if not task.cancelled():
                task.result()  # it was done before
                continue
            assert _base_backups() == []
        async with repository_of(database) as repository:
            for each in await list_backups(repository):
                into = tmp_path / each.name.rpartition("/")[2]
                await unpack(database, each, into)
                verify(server, into)


async def test_a_full_store_fails_the_backup_and_the_next_one_is_whole(
    server: PostgresServer, tmp_path: Path
) -> None:
    async with backed_up(server, tmp_path, wal="off") as database:
        # The first use of a store takes more calls.
        await create(database, tmp_path)
        counted = Faults()
        with stores_that_fail(counted):
            await create(database, tmp_path)
        creates = [at for at, call in enumerate(counted.calls) if call.method == "create"]
        commit = next(
            at for at, call in enumerate(counted.calls) if call.key.endswith("COMMIT.json")
        )
        before = len(await _listed(database))
        for at in creates[1:]:
            if at > commit:
                break
            with stores_that_fail(Faults(Fault.FULL, at, FOR_EVER)), pytest.raises(StoreFull):
                await create(database, tmp_path)
            assert len(await _listed(database)) == before
            assert _base_backups() == []
        await unpack(database, await create(database, tmp_path), tmp_path / "unpacked")
    verify(server, tmp_path / "unpacked")


@pytest.mark.parametrize("fault", [Fault.FAIL, Fault.LOSE_ANSWER])
async def test_a_call_that_fails_once_fails_no_backup(
    server: PostgresServer, tmp_path: Path, fault: Fault
) -> None:
    async with backed_up(server, tmp_path, wal="off") as database:
        counted = Faults()
        with stores_that_fail(counted):
            await create(database, tmp_path)
        for at in range(0, len(counted.calls), 3):
            with stores_that_fail(Faults(fault, at)):
                await create(database, tmp_path)
        listed = await _listed(database)
        assert len(listed) == 1 + len(range(0, len(counted.calls), 3))
        await unpack(database, listed[-1], tmp_path / "unpacked")
    verify(server, tmp_path / "unpacked")


async def _listed(database: Database) -> list[object]:
    async with repository_of(database) as repository:
        return list(await list_backups(repository))


async def test_a_backup_whose_wal_nobody_keeps_does_not_begin(
    server: PostgresServer, tmp_path: Path
) -> None:
    async with backed_up(server, tmp_path) as database:
        with pytest.raises(WalNotStored) as caught:
            await _take(database, tmp_path)
        assert "nothing receives it" in caught.value.message
        assert "dbops backup wal status" in caught.value.message
        await _require_nothing(database)


async def test_a_backup_whose_wal_is_not_stored_is_none(
    server: PostgresServer, tmp_path: Path
) -> None:
    async with backed_up(server, tmp_path, rate_limit="10MB") as database:
        async with storing_wal(server, database):
            task = asyncio.create_task(_take(database, tmp_path))
            await _in_the_middle(task)
        with pytest.raises(WalNotStored, match="the archive stands at"):
            await task
        await _require_nothing(database)


async def test_a_damaged_page_fails_the_backup(servers: PostgresServers, tmp_path: Path) -> None:
    server = servers.disposable(18, BACKUP_SETTINGS)
    try:
        server.execute("CREATE TABLE damaged AS SELECT generate_series(1, 10000) AS id; CHECKPOINT")
        ((file,),) = server.execute("SELECT pg_relation_filepath('damaged')")
        async with backed_up(server, tmp_path, wal="off") as database:
            good = await create(database, tmp_path)
            server.stop()
            path = server.data_dir / str(file)
            content = bytearray(path.read_bytes())
            content[2 * 8192 + 5000] ^= 1
            path.write_bytes(content)
            server.start()
            with pytest.raises(PageChecksumsFailed, match="damaged pages"):
                await create(database, tmp_path)
            async with repository_of(database) as repository:
                assert [each.name for each in await list_backups(repository)] == [good.name]
    finally:
        servers.discard(server)


async def test_a_server_that_is_newer_than_the_programs_is_not_backed_up(
    server: PostgresServer, tmp_path: Path
) -> None:
    async with backed_up(server, tmp_path, wal="off") as database:
        source = await find_source(database, None)
        newer = replace(source, server=replace(source.server, major=99))
        with pytest.raises(ToolsTooOld) as caught:
            await _take(database, tmp_path, source=newer)
        assert caught.value.reason == "TOOLS_TOO_OLD"
        await _require_nothing(database)


async def test_another_cluster_at_the_same_place_begins_with_a_full_backup(
    server: PostgresServer, servers: PostgresServers, tmp_path: Path
) -> None:
    other = servers.stranger(server.version, BACKUP_SETTINGS)
    try:
        ((before,),) = server.execute("SELECT system_identifier::text FROM pg_control_system()")
        async with backed_up(server, tmp_path, wal="off") as database:
            first = await create(database, tmp_path)
        async with backed_up(other, tmp_path, wal="off") as database:
            if server.version >= 17:
                other.execute("ALTER SYSTEM SET summarize_wal = on")
                other.execute("SELECT pg_reload_conf()")
                described = await create_incremental(database, tmp_path)
                assert str(before) in described.fallback
            else:
                described = await create(database, tmp_path)
            assert described.kind is BackupKind.FULL
            assert described.system_identifier != first.system_identifier
            assert len(await _listed(database)) == 2
    finally:
        servers.discard(other)


async def test_two_daemons_on_one_store_take_a_backup_each(
    server: PostgresServer, tmp_path: Path
) -> None:
    async with (
        backed_up(server, tmp_path, wal="off") as one,
        backed_up(server, tmp_path, wal="off") as other,
    ):
        made = await asyncio.gather(
            create(one, tmp_path / "one"), create(other, tmp_path / "other")
        )
        assert len(await _listed(one)) == 2
        for number, each in enumerate(made):
            await unpack(one, each, tmp_path / f"unpacked{number}")
            verify(server, tmp_path / f"unpacked{number}")


async def test_a_server_that_sends_nothing_any_more_is_given_up(
    servers: PostgresServers, server: PostgresServer, tmp_path: Path
) -> None:
    # It waits for its own archive at the end of a backup.
    settings = {**BACKUP_SETTINGS, "archive_mode": "on", "archive_command": "false"}
    other = servers.disposable(server.version, settings)
    try:
        async with backed_up(other, tmp_path) as database, repository_of(database) as repository:
            run = OperationRun(database, tmp_path)
            request = BaseBackupRequest(
                database="main",
                tool=other.bin_dir / "pg_basebackup",
                conninfo=other.dsn(),
                label="stalled",
                checkpoint=Checkpoint.FAST,
                fetch_wal=False,
                stalled_s=3.0,
            )
            writers = StreamWriters(repository, "backup/", None)
            with pytest.raises(BaseBackupFailed, match=r"nothing came .* 3 s.* archive_command"):
                await take_base_backup(run, run.scratch, request, writers, lambda _read: None)
            await run.close()
            assert _base_backups() == []
    finally:
        servers.discard(other)
