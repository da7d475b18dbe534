"""`dbopsd wal push` with the files of real servers."""

import asyncio
import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dbopsd.backup.catalog.errors import BackupsNotConfigured
from dbopsd.backup.catalog.lsn import Segment
from dbopsd.backup.model.reports import WalState
from dbopsd.backup.repository import open_repository
from dbopsd.backup.store.durable_store import DurableStore
from dbopsd.backup.store.errors import StoreEmpty, StoreError, StoreNotPrepared
from dbopsd.backup.store.file_store import FileStore
from dbopsd.backup.wal.errors import WalConflict
from dbopsd.backup.wal.first_use import prepare_store
from dbopsd.backup.wal.status import read_status
from dbopsd.backup.wal.stored_wal import read_segment
from dbopsd.backup.wal.wal_pages import WalUnusable
from dbopsd.backup.wal_push import RestoredServerArchives, push_wal
from dbopsd.config import Config
from dbopsd.errors import DatabaseNotFound
from tests.support.backed_up import BACKUP_SETTINGS, backed_up, repository_of
from tests.support.failing_store import FOR_EVER, Fault, Faults, stores_that_fail
from tests.support.patience import eventually
from tests.support.receiving import archived, check_archive, receiving, system_identifier
from tests.support.servers import PostgresServer, PostgresServers

FILL = "CREATE TABLE IF NOT EXISTS numbers (n int); INSERT INTO numbers VALUES (1)"


@pytest.fixture(scope="module")
def archiving(
    servers: PostgresServers, postgres_version: int
) -> Iterator[tuple[PostgresServer, Path]]:
    """A server whose `archive_command` copies its WAL into a queue, and the queue."""
    queue = servers.directory("queue")
    queue.chmod(0o777)
    settings = {
        **BACKUP_SETTINGS,
        "archive_mode": True,
        "archive_command": f"cp %p {queue}/%f",
    }
    server = servers.disposable(postgres_version, settings)
    yield server, queue
    servers.discard(server)


@pytest.fixture
def server(archiving: tuple[PostgresServer, Path]) -> PostgresServer:
    return archiving[0]


@pytest.fixture(autouse=True)
async def prepared(tmp_path: Path) -> None:
    """The store, as the daemon of the database has prepared it."""
    await prepare(tmp_path)


async def prepare(directory: Path) -> None:
    await DurableStore(FileStore(directory / "store")).prepare()


def config_of(directory: Path, **backup: str) -> Config:
    settings = {"store": (directory / "store").as_uri(), "wal": "archive_command", **backup}
    return Config.model_validate({"databases": {"main": {"dsn": "host=/", "backup": settings}}})


def finished(server: PostgresServer) -> Path:
    """A segment that the server has finished."""
    ((name,),) = server.execute(f"{FILL}; SELECT pg_walfile_name(pg_current_wal_lsn())")
    server.execute("SELECT pg_switch_wal()")
    return server.data_dir / "pg_wal" / str(name)


async def test_a_file_is_stored_once(server: PostgresServer, tmp_path: Path) -> None:
    path = await asyncio.to_thread(finished, server)
    config = config_of(tmp_path)
    await push_wal(config, "main", path)
    await push_wal(config, "main", path)
    async with backed_up(server, tmp_path) as database:
        assert await check_archive(database, server) == [path.name]


async def test_the_directory_of_a_disk_that_is_not_mounted_takes_no_wal(
    server: PostgresServer, tmp_path: Path
) -> None:
    path = await asyncio.to_thread(finished, server)
    (tmp_path / "store").rename(tmp_path / "away")
    (tmp_path / "store").mkdir()
    with pytest.raises(StoreNotPrepared, match="nothing was stored"):
        await push_wal(config_of(tmp_path), "main", path)
    assert list((tmp_path / "store").iterdir()) == []


async def test_other_wal_of_the_same_name_is_refused(
    server: PostgresServer, tmp_path: Path
) -> None:
    path = await asyncio.to_thread(finished, server)
    config = config_of(tmp_path)
    await push_wal(config, "main", path)
    other = tmp_path / "data" / "pg_wal" / path.name
    shutil.copytree(server.data_dir / "global", tmp_path / "data" / "global")
    other.parent.mkdir()
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    other.write_bytes(content)
    with pytest.raises(WalConflict):
        await push_wal(config, "main", other)
    async with backed_up(server, tmp_path) as database:
        assert await check_archive(database, server) == [path.name]


async def test_the_wal_of_a_restored_server_is_refused(
    server: PostgresServer, tmp_path: Path
) -> None:
    path = await asyncio.to_thread(finished, server)
    data = tmp_path / "restored"
    shutil.copytree(server.data_dir / "global", data / "global")
    (data / "pg_wal").mkdir()
    copied = Path(shutil.copy(path, data / "pg_wal"))
    settings = data / "postgresql.auto.conf"
    settings.write_text(
        "work_mem = '4MB'\n# Written by dbopsd to recover this cluster.\narchive_mode = 'off'\n"
    )
    config = config_of(tmp_path)
    with pytest.raises(RestoredServerArchives, match="restored"):
        await push_wal(config, "main", copied)
    # Once its owner has decided that it is the database from now on.
    settings.write_text("# Written by dbopsd to recover this cluster.\n")
    await push_wal(config, "main", copied)


async def test_what_is_no_wal_of_the_server_is_refused(
    server: PostgresServer, tmp_path: Path
) -> None:
    path = await asyncio.to_thread(finished, server)
    data = tmp_path / "data"
    shutil.copytree(server.data_dir / "global", data / "global")
    (data / "pg_wal").mkdir()
    segment = Segment.parse(path.name)
    renamed = Path(shutil.copy(path, data / "pg_wal" / str(segment.after())))
    short = data / "pg_wal" / path.name
    short.write_bytes(path.read_bytes()[:-100])
    config = config_of(tmp_path)
    for each in (renamed, short, data / "global" / "pg_control", data / "pg_wal" / "missing"):
        with pytest.raises((WalUnusable, ValueError)):
            await push_wal(config, "main", each)
    control = bytearray((data / "global" / "pg_control").read_bytes())
    control[0] ^= 1
    (data / "global" / "pg_control").write_bytes(control)
    copied = Path(shutil.copy(path, data / "pg_wal"))
    with pytest.raises(WalUnusable, match="is of cluster"):
        await push_wal(config, "main", copied)
    assert not list((tmp_path / "store").rglob("0*"))


async def test_histories_and_ends_of_timelines_are_stored(
    server: PostgresServer, tmp_path: Path
) -> None:
    path = await asyncio.to_thread(finished, server)
    data = tmp_path / "data"
    shutil.copytree(server.data_dir / "global", data / "global")
    (data / "pg_wal").mkdir()
    (data / "pg_wal" / "00000002.history").write_bytes(b"1\t0/3000060\tno recovery target\n")
    shutil.copy(path, data / "pg_wal" / f"{path.name}.partial")
    (data / "pg_wal" / f"{path.name}.00000028.backup").write_text("START WAL LOCATION: 0/28")
    config = config_of(tmp_path)
    for each in sorted((data / "pg_wal").iterdir()):
        await push_wal(config, "main", each)
    async with backed_up(server, tmp_path) as database, repository_of(database) as repository:
        found = await archived(database, server)
        assert found.archive.history(2).branches[0].end == 0x3000060
        segment = Segment.parse(path.name)
        (length,) = found.archive.timelines[1].partials.values()
        layout = repository.layout(system_identifier(server))
        assert await read_segment(repository, layout, segment, length) == path.read_bytes()


async def test_it_fails_while_the_store_does(server: PostgresServer, tmp_path: Path) -> None:
    path = await asyncio.to_thread(finished, server)
    config = config_of(tmp_path, timeout_s="0.3")
    calls = Faults()
    await prepare(tmp_path / "counted")
    with stores_that_fail(calls):
        await push_wal(config_of(tmp_path / "counted"), "main", path)
    for at in range(len(calls.calls)):
        for fault in (Fault.FAIL, Fault.LOSE_ANSWER, Fault.FULL):
            with stores_that_fail(Faults(fault, at, FOR_EVER)):
                stored = False
                with contextlib.suppress(StoreError):
                    await push_wal(config, "main", path)
                    stored = True
                if stored:
                    # Nothing but what comes after it was read back may fail.
                    async with backed_up(server, tmp_path) as database:
                        assert await check_archive(database, server) == [path.name]
            shutil.rmtree(tmp_path / "store", ignore_errors=True)
            await prepare(tmp_path)


async def test_a_database_that_archives_nothing_is_refused(
    server: PostgresServer, tmp_path: Path
) -> None:
    path = await asyncio.to_thread(finished, server)
    with pytest.raises(DatabaseNotFound):
        await push_wal(config_of(tmp_path), "other", path)
    with pytest.raises(BackupsNotConfigured):
        await push_wal(config_of(tmp_path, wal="off"), "main", path)


async def test_an_empty_store_of_a_server_that_pushed_its_wal_is_not_begun(
    server: PostgresServer, tmp_path: Path
) -> None:
    def has_archived() -> bool:
        return server.execute("SELECT archived_count > 0 FROM pg_stat_archiver") == [(True,)]

    await asyncio.to_thread(finished, server)
    await eventually(lambda: asyncio.to_thread(has_archived), what="a segment is archived")
    settings = {"store": (tmp_path / "empty").as_uri(), "wal": "archive_command"}
    async with backed_up(server, tmp_path, **settings) as database:
        # What another program has archived is no archive of ours.
        state = tmp_path / "first-state"
        async with open_repository("main", database.config.backup, state) as repository:
            await prepare_store(repository, database, state)
        shutil.rmtree(tmp_path / "empty")
        (before,) = await asyncio.to_thread(server.execute, "SHOW archive_command")
        await set_archive_command(server, "false; dbopsd wal push main %p")
        try:
            state = tmp_path / "state"
            async with open_repository("main", database.config.backup, state) as repository:
                with pytest.raises(StoreEmpty, match="pushed"):
                    await prepare_store(repository, database, state)
        finally:
            await set_archive_command(server, str(before[0]))


async def set_archive_command(server: PostgresServer, command: str) -> None:
    await asyncio.to_thread(server.execute, f"ALTER SYSTEM SET archive_command = '{command}'")
    await asyncio.to_thread(server.execute, "SELECT pg_reload_conf()")

    def has_it() -> bool:
        return server.execute("SHOW archive_command") == [(command,)]

    await eventually(lambda: asyncio.to_thread(has_it), what="the setting is read")


async def test_status_and_marks_follow_the_archive_command(
    archiving: tuple[PostgresServer, Path], tmp_path: Path
) -> None:
    server, queue = archiving
    config = config_of(tmp_path)
    async with (
        backed_up(server, tmp_path, wal="archive_command") as database,
        repository_of(database) as repository,
        receiving(database, tmp_path / "state") as duty,
    ):

        async def push_queue() -> None:
            for each in queue.glob("0*"):
                target = server.data_dir / "pg_wal" / each.name
                if target.exists():
                    await push_wal(config, "main", target)

        async def marked() -> bool:
            # What is written after a switch is not pushed before the next one.
            await asyncio.to_thread(finished, server)
            await push_queue()
            found = await archived(database, server)
            return any(wal.marks for wal in found.archive.timelines.values())

        await eventually(marked, timeout=60, what="a mark is written")
        status = await read_status(repository, database)
        assert status.state is WalState.ARCHIVING
        assert status.archived_lsn
        assert status.archived_time is not None
        assert not duty.failures
        found = await archived(database, server)
        mark = found.archive.timelines[1].marks[-1]
        assert found.covers(mark.lsn)
        # What follows is begun at once, so that no mark is at the end of what is pushed.
        await asyncio.to_thread(server.execute, f"{FILL}; SELECT pg_switch_wal(); {FILL}")

        async def told() -> bool:
            await push_queue()
            wal = (await archived(database, server)).archive.timelines[1]
            told_lsn = (await read_status(repository, database)).archived_lsn
            return wal.segments[-1].end > mark.lsn and told_lsn == str(wal.segments[-1].end)

        await eventually(told, what="the status tells the end of what was pushed")

        async def failing() -> bool:
            return (await read_status(repository, database)).state is WalState.STOPPED

        await asyncio.to_thread(server.execute, "ALTER SYSTEM SET archive_command = 'false'")
        await asyncio.to_thread(server.execute, "SELECT pg_reload_conf()")
        await asyncio.to_thread(finished, server)
        await eventually(failing, what="it fails")
        assert "archive_command" in (await read_status(repository, database)).problem
