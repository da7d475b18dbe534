"""The duty to receive WAL on real servers: what is acknowledged gets into the store, and stays."""

import asyncio
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dbopsd.backup.catalog.commit import write_commit
from dbopsd.backup.catalog.layout import time_name
from dbopsd.backup.catalog.lsn import Lsn, Segment
from dbopsd.backup.codec.sealed_object import DataKey
from dbopsd.backup.model.reports import WalState, WalStatus
from dbopsd.backup.reader import BackupReader
from dbopsd.backup.store.errors import StoreEmpty
from dbopsd.backup.store.identity import MARKER
from dbopsd.backup.wal.archive import Mark, mark_key
from dbopsd.backup.wal.day_keys import DayKeys
from dbopsd.backup.wal.events import EventKind, events_folder
from dbopsd.backup.wal.mark_seals import seal_mark
from dbopsd.backup.wal.slot import create_slot, slot_name
from dbopsd.backup.wal.status import read_status
from dbopsd.db.database import Database
from tests.support.backed_up import BACKUP_SETTINGS, backed_up, repository_of
from tests.support.failing_store import FOR_EVER, Fault, Faults, stores_that_fail
from tests.support.patience import eventually
from tests.support.physical_backups import create
from tests.support.receiving import (
    Archived,
    archived,
    check_archive,
    lsn_of,
    process_ids,
    receiving,
    slot_position,
    system_identifier,
    wait_until_archived,
)
from tests.support.replication import ReplicationPair, discard, replicate
from tests.support.servers import PostgresServer, PostgresServers
from tests.support.stored_backups import SYSTEM, backup_config, store_backup

SOON_S = 0.5
FILL = "INSERT INTO numbers SELECT n FROM generate_series(1, 20000) AS n"
"""Somewhat more than 1 MB of WAL."""


@pytest.fixture(scope="module")
def shared(servers: PostgresServers, postgres_version: int) -> Iterator[PostgresServer]:
    """A server of the module's own, with a table."""
    server = servers.disposable(postgres_version, BACKUP_SETTINGS)
    server.execute("CREATE TABLE numbers (n int)")
    yield server
    servers.discard(server)


@pytest.fixture
def server(shared: PostgresServer) -> Iterator[PostgresServer]:
    """The module's server, running and without a slot."""
    if not shared.running:
        shared.start()
    yield shared
    if not shared.running:
        shared.start()
    shared.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")


@pytest.fixture
def pair(servers: PostgresServers, postgres_version: int) -> Iterator[ReplicationPair]:
    """A primary with a table, and its standby."""
    pair = replicate(servers, postgres_version, BACKUP_SETTINGS)
    pair.primary.execute("CREATE TABLE numbers (n int)")
    yield pair
    discard(servers, pair)


async def write(server: PostgresServer, statement: str = "INSERT INTO numbers VALUES (1)") -> Lsn:
    return await asyncio.to_thread(lsn_of, server, statement)


async def fill_segments(server: PostgresServer, count: int) -> Lsn:
    lsn = Lsn(0)
    for _ in range(count):
        lsn = await write(server, f"{FILL}; SELECT pg_switch_wal()")
    return lsn


def one_range(found: Archived) -> bool:
    """Whether the WAL of each timeline has no gap."""
    return len(found.ranges) == len({each.timeline for each in found.ranges})


async def wait_for_event(database: Database, server: PostgresServer, kind: EventKind) -> Archived:
    async def seen() -> Archived | None:
        found = await archived(database, server)
        return found if any(each.kind is kind for each in found.events) else None

    return await eventually(seen, timeout=30, what=f"the event {kind} is recorded")


async def test_a_commit_on_an_idle_server_is_stored_and_the_slot_follows(
    server: PostgresServer, tmp_path: Path
) -> None:
    async with backed_up(server, tmp_path, wal_flush_s=SOON_S) as database:
        async with receiving(database, tmp_path / "state") as duty:
            lsn = await write(server)
            found = await wait_until_archived(database, server, lsn)
            assert not found.archive.timelines[1].segments
            await eventually(
                lambda: asyncio.to_thread(lambda: slot_position(server) == lsn),
                what="the slot follows",
            )
            assert not duty.failures
        assert await check_archive(database, server) == []
        assert found.events == []


async def test_segments_are_stored_without_a_gap_and_marks_say_until_when(
    server: PostgresServer, tmp_path: Path
) -> None:
    async with (
        backed_up(server, tmp_path, wal_flush_s=SOON_S) as database,
        receiving(database, tmp_path / "state") as duty,
    ):
        before = await asyncio.to_thread(server.execute, "SELECT clock_timestamp()")
        await fill_segments(server, 2)
        lsn = await write(server)

        async def marked() -> Archived | None:
            found = await archived(database, server)
            marks = found.archive.timelines[1].marks if found.archive.timelines else ()
            return found if any(each.lsn >= lsn for each in marks) else None

        await wait_until_archived(database, server, lsn)
        found = await eventually(marked, what="a mark says that it is stored")
        assert one_range(found)
        wal = found.archive.timelines[1]
        assert len(await check_archive(database, server)) == len(wal.segments) >= 2
        # Beginnings of what is complete by now are gone, but for what came since.
        assert all(segment not in wal.segments for segment in wal.partials)
        assert len(wal.partials) <= 1
        newest = max(wal.marks, key=lambda mark: mark.at)
        assert newest.at >= before[0][0]  # type: ignore[operator]
        assert found.covers(newest.lsn)
        assert not duty.failures


async def test_status_tells_how_far_it_is(server: PostgresServer, tmp_path: Path) -> None:
    keys = {"current": "k1", **backup_config(tmp_path).keys.keys}
    async with (
        backed_up(server, tmp_path, wal_flush_s=SOON_S, keys=keys) as database,
        repository_of(database) as repository,
    ):
        assert (await read_status(repository, database)).state is WalState.STOPPED
        async with receiving(database, tmp_path / "state"):
            lsn = await write(server)
            await wait_until_archived(database, server, lsn)

            async def caught_up() -> WalStatus | None:
                status = await read_status(repository, database)
                return status if status.lag_bytes == 0 else None

            status = await eventually(caught_up, what="nothing is behind")
            assert status.state is WalState.STREAMING
            assert status.slot == slot_name("main")
            # The server may have written more by itself.
            assert lsn <= Lsn.parse(status.archived_lsn) <= Lsn.parse(status.received_lsn)
            assert (status.lag_seconds, status.problem, status.timeline) == (0.0, "", 1)
        await asyncio.to_thread(
            server.execute,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_replication;"
            f"SELECT pg_drop_replication_slot('{slot_name('main')}')",
        )
        layout = repository.layout(await asyncio.to_thread(system_identifier, server))
        data_key = await DayKeys(repository, layout).of_today()
        genuine = seal_mark(layout, Mark(1, lsn, datetime.now(UTC)), data_key)
        forged = Mark(1, Lsn(2**60), datetime.now(UTC) + timedelta(hours=1))
        for mark in (genuine, forged):
            await repository.store.create(mark_key(layout, mark), b"")
        status = await read_status(repository, database)
        assert status.state is WalState.SLOT_LOST
        assert status.archived_time is not None
        assert status.archived_time < datetime.now(UTC)
        assert status.problem


async def test_the_status_of_an_archive_that_stands_says_why_its_duty_ended(
    server: PostgresServer, tmp_path: Path
) -> None:
    async def last_problem(database: str) -> str:
        assert database == "main"
        return "must be superuser or replication role"

    async with backed_up(server, tmp_path) as database:
        status = await BackupReader({"main": database}, last_problem).wal_status("main")
        assert status.state is WalState.STOPPED
        assert status.problem.endswith(": must be superuser or replication role")


async def test_nothing_is_lost_when_the_spool_is(server: PostgresServer, tmp_path: Path) -> None:
    async with backed_up(server, tmp_path, wal_flush_s=SOON_S) as database:
        faults = Faults(Fault.FAIL, count=FOR_EVER, only=lambda call: "/wal/0" in call.key)
        with stores_that_fail(faults):
            async with receiving(database, tmp_path / "lost"):
                lsn = await fill_segments(server, 2)
                spool = tmp_path / "lost" / "backup" / "wal" / "main"
                await eventually(
                    lambda: asyncio.to_thread(lambda: len(list(spool.glob("*/0*"))) >= 3),
                    what="WAL is in the spool",
                )
                assert (await asyncio.to_thread(slot_position, server) or 0) < lsn - 2**24
        await asyncio.to_thread(server.execute, "CHECKPOINT")
        # Another worker, on another machine.
        async with receiving(database, tmp_path / "state"):
            found = await wait_until_archived(database, server, lsn)
        assert one_range(found)
        assert len(await check_archive(database, server)) >= 2
        assert [each.kind for each in found.events] == []


async def test_what_is_in_the_spool_is_stored_while_the_server_is_down(
    server: PostgresServer, tmp_path: Path
) -> None:
    async with backed_up(server, tmp_path, wal_flush_s=600) as database:
        async with receiving(database, tmp_path / "state"):
            lsn = await write(server)
            spool = tmp_path / "state" / "backup" / "wal" / "main"

            def received() -> bool:
                segment = Segment.at(1, lsn)
                begun = list(spool.glob(f"*/{segment}.partial"))
                return bool(begun) and len(begun[0].read_bytes().rstrip(b"\0")) > (
                    lsn - segment.start - 64
                )

            await eventually(lambda: asyncio.to_thread(received), what="it is received")
        found = await archived(database, server)
        assert not found.covers(lsn)
        await asyncio.to_thread(server.kill)
        async with receiving(database, tmp_path / "state"):
            await eventually(
                lambda: asyncio.to_thread(lambda: list((tmp_path / "store").rglob("*.partial.*"))),
                what="the beginning is stored",
            )
        await asyncio.to_thread(server.start)
        found = await archived(database, server)
        # Zeros at its end are left out: they are there all the same.
        assert found.ranges[-1].end > lsn - 64


async def test_wal_that_the_server_removed_is_a_gap_that_is_recorded(
    server: PostgresServer, tmp_path: Path
) -> None:
    async with backed_up(server, tmp_path, wal_flush_s=SOON_S) as database:
        async with receiving(database, tmp_path / "state"):
            lsn = await write(server)
            await wait_until_archived(database, server, lsn)
        await asyncio.to_thread(
            server.execute, f"SELECT pg_drop_replication_slot('{slot_name('main')}')"
        )
        needed = server.data_dir / "pg_wal" / str(Segment.at(1, lsn))
        while await asyncio.to_thread(needed.exists):
            await fill_segments(server, 1)
            await asyncio.to_thread(server.execute, "CHECKPOINT")
        async with receiving(database, tmp_path / "state") as duty:
            found = await wait_for_event(database, server, EventKind.GAP)
            lsn = await write(server)
            found = await wait_until_archived(database, server, lsn)
            await eventually(lambda: duty.started, what="a full backup is asked for")
        assert [each.kind for each in found.events] == [EventKind.SLOT_LOST, EventKind.GAP]
        gap = found.events[-1]
        first, second = found.ranges
        assert first.end <= gap.end == second.start
        assert gap.start <= first.end
        assert {kind for kind, _ in duty.started} == {"create-backup"}
        assert not duty.failures
        async with repository_of(database) as repository:
            status = await read_status(repository, database)
            assert "removed" in status.problem


async def test_a_slot_that_another_receiver_has_created_stays(
    server: PostgresServer, tmp_path: Path
) -> None:
    name = slot_name("main")
    async with backed_up(server, tmp_path) as database:

        async def create() -> None:
            async with database.session() as session:
                await create_slot(session, name)

        await asyncio.gather(*(create() for _ in range(4)))
        position = await asyncio.to_thread(slot_position, server)
        await fill_segments(server, 1)
        await asyncio.to_thread(server.execute, "CHECKPOINT")
        # Anew, it would keep WAL from here on only, and what was kept is received by nobody.
        await create()
        assert await asyncio.to_thread(slot_position, server) == position


async def test_a_dropped_slot_leaves_no_gap_while_wal_is_received(
    server: PostgresServer, tmp_path: Path
) -> None:
    async with (
        backed_up(server, tmp_path, wal_flush_s=SOON_S) as database,
        receiving(database, tmp_path / "state") as duty,
    ):
        await wait_until_archived(database, server, await write(server))
        await asyncio.to_thread(
            server.execute, f"SELECT pg_drop_replication_slot('{slot_name('main')}')"
        )
        found = await wait_for_event(database, server, EventKind.SLOT_LOST)
        lsn = await fill_segments(server, 2)
        found = await wait_until_archived(database, server, lsn)
        assert one_range(found)
        assert [each.kind for each in found.events] == [EventKind.SLOT_LOST]
        assert not duty.failures


async def test_kills_and_restarts_leave_no_gap(server: PostgresServer, tmp_path: Path) -> None:
    spool = str(tmp_path / "state")

    def receivers() -> list[int]:
        return process_ids(lambda line: "pg_receivewal " in line and spool in line)

    async with backed_up(server, tmp_path, wal_flush_s=SOON_S) as database:
        for restart in (server.kill, server.stop):
            async with receiving(database, tmp_path / "state"):
                await fill_segments(server, 1)
                for pid in await eventually(
                    lambda: asyncio.to_thread(receivers), what="it receives"
                ):
                    os.kill(pid, signal.SIGKILL)
                await fill_segments(server, 1)
                await asyncio.to_thread(restart)
                await asyncio.to_thread(server.start)
                await write(server)
            # As it is killed, with WAL in the spool that is not stored.
            await fill_segments(server, 1)
        async with receiving(database, tmp_path / "state") as duty:
            lsn = await write(server)
            found = await wait_until_archived(database, server, lsn)
            assert one_range(found)
            assert found.events == []
            assert not duty.failures
        assert len(await check_archive(database, server)) >= 6


async def test_the_wal_of_both_timelines_is_stored_after_a_failover(
    pair: ReplicationPair, tmp_path: Path
) -> None:
    async with (
        backed_up(pair.primary, tmp_path, dsn=pair.dsn(), wal_flush_s=SOON_S) as database,
        receiving(database, tmp_path / "state"),
    ):
        await fill_segments(pair.primary, 1)
        lsn = await write(pair.primary)
        await wait_until_archived(database, pair.primary, lsn)
        await asyncio.to_thread(pair.wait_until_caught_up)
        await asyncio.to_thread(pair.primary.kill)
        await asyncio.to_thread(pair.promote)
        lsn = await write(pair.standby)
        found = await wait_until_archived(database, pair.standby, lsn, timeout=60)
        lsn = await fill_segments(pair.standby, 2)
        found = await wait_until_archived(database, pair.standby, lsn)
        assert one_range(found)
        assert set(found.archive.timelines) == {1, 2}
        (branch,) = found.archive.history(2).branches
        assert found.archive.covers(1, Lsn(branch.end - 8), branch.end)
        assert found.archive.covers(2, branch.end, lsn)
        kinds = [each.kind for each in found.events]
        assert sorted(kind.name for kind in kinds) == ["SLOT_LOST", "TIMELINE"]
        assert await asyncio.to_thread(slot_position, pair.standby) is not None
        await check_archive(database, pair.standby)


@pytest.mark.parametrize("wal", ["stream", "archive_command"])
async def test_another_cluster_than_before_is_recorded_once_and_a_full_backup_asked_for(
    server: PostgresServer, tmp_path: Path, wal: str
) -> None:
    keys = {"current": "k1", **backup_config(tmp_path).keys.keys}
    async with (
        backed_up(server, tmp_path, wal=wal, keys=keys) as database,
        repository_of(database) as repository,
    ):
        real = await store_backup(repository, "full-1")
        # A record that somebody without the keys wrote is no backup of this cluster.
        own = await asyncio.to_thread(system_identifier, server)
        forged = replace(real, system_identifier=own, start_lsn=Lsn(2**60), stop_lsn=Lsn(2**60))
        foreign = DataKey(bytes.fromhex(real.data_key), os.urandom(32))
        key = repository.layout(own).commit(real.id)
        await repository.store.create(key, write_commit(forged, foreign))
        # Somebody's damaged event is in nobody's way.
        layout = repository.layout(own)
        before = time_name(datetime.now(UTC) - timedelta(minutes=1))
        damaged = f"{events_folder(layout)}{before}-slot-lost-5aa4ed.json"
        await repository.store.create(damaged, b"{}")
        assert f"'{damaged}' is damaged" in (await read_status(repository, database)).problem
        for _ in range(2):
            async with receiving(database, tmp_path / "state") as duty:
                await eventually(lambda: duty.started, what="a full backup is asked for")
                assert not duty.failures
            (found, *_) = duty.started
            assert (found[0], found[1].partition("-1-")[0]) == ("create-backup", "new-system")
        events = (await archived(database, server)).events
        (told,) = [each for each in events if each.kind is EventKind.NEW_SYSTEM]
        assert told.cause == f"the database was cluster {SYSTEM} before: take a full backup"
        assert told.cause in (await read_status(repository, database)).problem


async def test_an_empty_store_where_the_server_keeps_wal_for_another_is_not_begun(
    server: PostgresServer, tmp_path: Path
) -> None:
    store, state = tmp_path / "store", tmp_path / "new-state"
    async with backed_up(server, tmp_path, wal_flush_s=SOON_S) as database:
        async with receiving(database, tmp_path / "state"):
            await wait_until_archived(database, server, await write(server))
        # As it was before stores had marks; and its disk is not mounted.
        (store / MARKER).unlink()
        store.rename(tmp_path / "away")
        store.mkdir()
        async with receiving(database, state) as duty:
            await eventually(lambda: duty.failures, what="it is refused")
            assert isinstance(duty.failures[0], StoreEmpty)
            assert slot_name("main") in duty.failures[0].message
            with pytest.raises(StoreEmpty):
                await create(database, tmp_path / "other")
            assert list(store.iterdir()) == []
            store.rmdir()
            (tmp_path / "away").rename(store)
            await wait_until_archived(database, server, await write(server))
            assert (store / MARKER).exists()
