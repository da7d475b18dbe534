"""Two histories of one cluster, and stores that go away: told, and never papered over."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dbopsd.backup.catalog.layout import Layout
from dbopsd.backup.catalog.lsn import Lsn, Segment
from dbopsd.backup.wal.archive import TimelineWal, WalArchive
from dbopsd.backup.wal.events import EventKind
from dbopsd.backup.wal.holes import holes
from dbopsd.backup.wal.resume import legs_of
from dbopsd.backup.wal.timelines import Branch, History
from tests.support.backed_up import BACKUP_SETTINGS, backed_up
from tests.support.patience import eventually
from tests.support.receiving import archived, lsn_of, receiving, wait_until_archived
from tests.support.servers import PostgresServer, PostgresServers

SIZE = 2**24
SWITCH = "INSERT INTO numbers VALUES (1); SELECT pg_switch_wal()"


@pytest.fixture
def server(servers: PostgresServers, postgres_version: int) -> Iterator[PostgresServer]:
    server = servers.disposable(postgres_version, BACKUP_SETTINGS)
    server.execute("CREATE TABLE numbers (n int)")
    yield server
    servers.discard(server)


async def write(server: PostgresServer, statement: str) -> Lsn:
    return await asyncio.to_thread(lsn_of, server, statement)


def put_back(server: PostgresServer, copy: Path) -> None:
    """Put an older copy of the data directory in the place of the present one."""
    server.stop()
    shutil.rmtree(server.data_dir)
    shutil.copytree(copy, server.data_dir, symlinks=True)
    for path in (server.data_dir, *server.data_dir.rglob("*")):
        shutil.chown(path, copy.owner(), copy.group())
    server.start()


@pytest.mark.parametrize("switches", [0, 1], ids=["within a segment", "over a segment's end"])
async def test_an_older_copy_of_the_server_is_a_conflict(
    server: PostgresServer, tmp_path: Path, switches: int
) -> None:
    copy = server.data_dir.parent / "copy"
    await asyncio.to_thread(server.stop)
    await asyncio.to_thread(shutil.copytree, server.data_dir, copy, symlinks=True)
    shutil.chown(copy, server.data_dir.owner(), server.data_dir.group())
    await asyncio.to_thread(server.start)
    switch = "; SELECT pg_switch_wal()" * switches
    first = "INSERT INTO numbers VALUES (1)"
    async with backed_up(server, tmp_path, wal_flush_s=0.3) as database:
        async with receiving(database, tmp_path / "state"):
            lsn = await write(server, first + switch)
            await wait_until_archived(database, server, lsn)
        if switches:
            # The server may write by itself after it; what is compared is the segment before.
            for path in (tmp_path / "store").rglob("*.partial.*"):
                path.unlink()
        before = await archived(database, server)
        await asyncio.to_thread(put_back, server, copy)
        second = "INSERT INTO numbers SELECT n FROM generate_series(1, 4000) AS n"
        ahead = await write(server, second + switch + f"; {second}" * switches)
        assert ahead > lsn
        # Another worker, whose spool has nothing of the first history.
        async with receiving(database, tmp_path / "second") as duty:
            await eventually(lambda: duty.failures, timeout=40, what="the conflict is seen")
        found = await archived(database, server)
        assert EventKind.CONFLICT in [each.kind for each in found.events]
        # What was stored is what was acknowledged first.
        assert found.archive.timelines[1].segments == before.archive.timelines[1].segments
        assert found.archive.timelines[1].partials == before.archive.timelines[1].partials


async def test_a_store_that_is_away_for_a_while_is_waited_for(
    server: PostgresServer, tmp_path: Path
) -> None:
    store, away = tmp_path / "store", tmp_path / "away"
    async with (
        backed_up(server, tmp_path, wal_flush_s=0.3) as database,
        receiving(database, tmp_path / "state"),
    ):
        await wait_until_archived(database, server, await write(server, SWITCH))
        # As a disk that is unmounted: nothing is stored in what is below it.
        store.rename(away)
        lsn = await write(server, SWITCH)
        await asyncio.sleep(2)
        assert not store.exists()
        away.rename(store)
        found = await wait_until_archived(database, server, lsn)
        assert not [each for each in found.events if each.kind is EventKind.GAP]
        assert len(found.ranges) == 1


async def test_a_store_that_lost_its_newest_objects_has_a_gap_that_is_recorded(
    server: PostgresServer, tmp_path: Path
) -> None:
    async with (
        backed_up(server, tmp_path, wal_flush_s=0.3) as database,
        receiving(database, tmp_path / "state") as duty,
    ):
        for _ in range(4):
            lsn = await write(server, SWITCH)
        found = await wait_until_archived(database, server, lsn)
        *_, first_lost, last_lost = found.archive.timelines[1].segments
        # As a file system that was put back to an older copy.
        for segment in (first_lost, last_lost):
            for path in (tmp_path / "store").rglob(f"{segment}*"):
                path.unlink()

        async def told() -> bool:
            await write(server, SWITCH)
            found = await archived(database, server)
            return any(each.kind is EventKind.GAP for each in found.events)

        await eventually(told, timeout=40, what="the gap is recorded")
        found = await wait_until_archived(database, server, await write(server, SWITCH))
        (gap,) = [each for each in found.events if each.kind is EventKind.GAP]
        assert gap.start == first_lost.start
        assert any(each.start == gap.end for each in found.ranges), (gap, found.ranges)
        assert duty.started


FIRST = legs_of(History(1))
SECOND = legs_of(History(2, (Branch(1, Lsn(5 * SIZE + 1000)),)))


def archive(**stored: list[int]) -> WalArchive:
    return WalArchive(
        Layout("main", "1"),
        {
            int(name[1:]): TimelineWal(
                int(name[1:]), [Segment(int(name[1:]), number) for number in numbers]
            )
            for name, numbers in stored.items()
        },
    )


def test_holes_are_found_on_the_way_alone() -> None:
    at = [Lsn(number * SIZE) for number in range(12)]
    whole = archive(t1=[2, 3, 4], t2=[5, 6])
    assert holes(whole, SECOND, at[2], at[7]) == []
    assert holes(archive(t1=[2, 3, 6, 7]), FIRST, at[2], at[8]) == [(1, at[4], at[6])]
    # What the old timeline has after the new one began is on no way.
    assert holes(archive(t1=[2, 3, 4, 5, 6, 7], t2=[7]), SECOND, at[2], at[8]) == [
        (2, Lsn(5 * SIZE + 1000), at[7])
    ]
    assert holes(archive(t1=[2]), FIRST, Lsn(at[2] + 500), at[4]) == [(1, at[3], at[4])]
    # Before the newest backup nothing has to be there.
    assert holes(archive(t1=[2, 9]), FIRST, at[9], at[10]) == []
