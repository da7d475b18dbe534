"""WAL files in a store: written once, compared, read back, and opened with the right key only."""

import base64
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from dbopsd.backup.catalog.layout import Layout
from dbopsd.backup.catalog.lsn import Lsn, Segment
from dbopsd.backup.codec.errors import BackupDamaged, Damage, KeyWrong
from dbopsd.backup.repository import Repository, open_repository
from dbopsd.backup.wal.archive import history_key, partial_key, read_archive, segment_key
from dbopsd.backup.wal.errors import WalConflict
from dbopsd.backup.wal.events import (
    EventKind,
    WalEvent,
    events_folder,
    read_events,
    read_stored_events,
    write_event,
)
from dbopsd.backup.wal.stored_wal import WalWriter, read_segment
from dbopsd.backup.wal.timelines import Branch, History
from dbopsd.config.backup import BackupKeysConfig, DatabaseBackupConfig

LAYOUT = Layout("main", "7300000000000000001")
SEGMENT = Segment(1, 5, 2**20)
CONTENT = os.urandom(2**18) + bytes(2**20 - 2**18)
HISTORY = b"1\t0/500060\tno recovery target specified\n"


def write_key(directory: Path, name: str) -> str:
    path = directory / name
    path.write_text(base64.b64encode(os.urandom(32)).decode())
    return f"file:{path}"


@asynccontextmanager
async def repository(
    directory: Path, keys: Mapping[str, str] | None = None, current: str | None = None
) -> AsyncIterator[Repository]:
    config = DatabaseBackupConfig(
        store=(directory / "store").as_uri(),
        keys=BackupKeysConfig(keys=dict(keys or {}), current=current),
    )
    async with open_repository("main", config) as opened:
        yield opened


async def test_a_segment_is_read_back_as_it_was(tmp_path: Path) -> None:
    async with repository(tmp_path, {"k1": write_key(tmp_path, "k1")}) as opened:
        writer = WalWriter(opened, LAYOUT)
        assert 2**18 < await writer.store_segment(SEGMENT, CONTENT) < 2**20
        assert await read_segment(opened, LAYOUT, SEGMENT) == CONTENT
        # Again, as after a crash: nothing is stored, and nothing is wrong.
        assert await WalWriter(opened, LAYOUT).store_segment(SEGMENT, CONTENT) == 0
        archive = await read_archive(opened.store, LAYOUT, SEGMENT.size_bytes)
        assert archive.covers(1, SEGMENT.start, SEGMENT.end)
        assert not archive.covers(1, SEGMENT.start, Lsn(SEGMENT.end + 1))
        assert not archive.covers(2, SEGMENT.start, SEGMENT.end)


async def test_other_wal_under_the_same_name_is_refused(tmp_path: Path) -> None:
    async with repository(tmp_path) as opened:
        writer = WalWriter(opened, LAYOUT)
        await writer.store_segment(SEGMENT, CONTENT)
        with pytest.raises(WalConflict, match="two servers"):
            await writer.store_segment(SEGMENT, CONTENT[:-1] + b"\1")
        assert await read_segment(opened, LAYOUT, SEGMENT) == CONTENT


async def test_what_keys_came_after_is_compared_all_the_same(tmp_path: Path) -> None:
    async with repository(tmp_path) as opened:
        await WalWriter(opened, LAYOUT).store_segment(SEGMENT, CONTENT)
    async with repository(tmp_path, {"k1": write_key(tmp_path, "k1")}) as opened:
        writer = WalWriter(opened, LAYOUT)
        assert await writer.store_segment(SEGMENT, CONTENT) == 0
        with pytest.raises(WalConflict):
            await writer.store_segment(SEGMENT, CONTENT[:-1] + b"\1")
        # Whoever has no original to compare it with refuses it.
        with pytest.raises(BackupDamaged, match="accept_unencrypted"):
            await read_segment(opened, LAYOUT, SEGMENT)


async def test_an_empty_object_under_the_name_is_not_taken_for_the_segment(tmp_path: Path) -> None:
    async with repository(tmp_path) as opened:
        await opened.store.create(segment_key(LAYOUT, SEGMENT), b"")
        with pytest.raises(BackupDamaged) as caught:
            await WalWriter(opened, LAYOUT).store_segment(SEGMENT, CONTENT)
        assert caught.value.problem is Damage.TRUNCATED


async def test_what_is_no_whole_segment_is_not_stored_as_one(tmp_path: Path) -> None:
    async with repository(tmp_path) as opened:
        writer = WalWriter(opened, LAYOUT)
        with pytest.raises(ValueError, match="not 1048576"):
            await writer.store_segment(SEGMENT, CONTENT[:-1])
        for content in (b"", CONTENT):
            with pytest.raises(ValueError, match="no beginning"):
                await writer.store_partial(SEGMENT, content)
        archive = await read_archive(opened.store, LAYOUT, SEGMENT.size_bytes)
        assert not archive.timelines


async def test_the_beginning_of_a_segment_is_read_with_zeros_after_it(tmp_path: Path) -> None:
    async with repository(tmp_path) as opened:
        writer = WalWriter(opened, LAYOUT)
        await writer.store_partial(SEGMENT, CONTENT[:1000])
        assert await read_segment(opened, LAYOUT, SEGMENT, 1000) == CONTENT[:1000].ljust(
            SEGMENT.size_bytes, b"\0"
        )
        with pytest.raises(BackupDamaged, match="MISSING"):
            await read_segment(opened, LAYOUT, SEGMENT)
        # More of it was stored, and the shorter beginning was removed, since the archive was read.
        await writer.store_partial(SEGMENT, CONTENT[:3000])
        await opened.store.delete(partial_key(LAYOUT, SEGMENT, 1000))
        assert (await read_segment(opened, LAYOUT, SEGMENT, 1000))[:3000] == CONTENT[:3000]
        await writer.store_segment(SEGMENT, CONTENT)
        await opened.store.delete(partial_key(LAYOUT, SEGMENT, 3000))
        assert await read_segment(opened, LAYOUT, SEGMENT, 1000) == CONTENT


async def test_the_wal_of_a_day_has_one_data_key_for_all_workers(tmp_path: Path) -> None:
    keys = {"k1": write_key(tmp_path, "k1")}
    ids = []
    for day, number in (("20261130", 5), ("20261130", 6), ("20261201", 7)):
        async with repository(tmp_path, keys) as opened:
            segment = Segment(1, number, 2**20)
            await WalWriter(opened, LAYOUT, today=lambda day=day: day).store_segment(
                segment, CONTENT
            )
            ids.append((await opened.store.read(segment_key(LAYOUT, segment)))[12:28])
    assert ids[0] == ids[1] != ids[2]


async def test_a_key_that_is_configured_no_longer_makes_a_new_data_key(tmp_path: Path) -> None:
    keys = {"k1": write_key(tmp_path, "k1"), "k2": write_key(tmp_path, "k2")}
    async with repository(tmp_path, {"k1": keys["k1"]}) as opened:
        await WalWriter(opened, LAYOUT).store_segment(SEGMENT, CONTENT)
    async with repository(tmp_path, {"k2": keys["k2"]}) as opened:
        await WalWriter(opened, LAYOUT).store_segment(SEGMENT.after(), CONTENT)
        assert await read_segment(opened, LAYOUT, SEGMENT.after()) == CONTENT
    async with repository(tmp_path, keys, "k2") as opened:
        assert await read_segment(opened, LAYOUT, SEGMENT) == CONTENT


async def test_a_wrong_key_stores_nothing(tmp_path: Path) -> None:
    async with repository(tmp_path, {"k1": write_key(tmp_path, "k1")}) as opened:
        await WalWriter(opened, LAYOUT).store_segment(SEGMENT, CONTENT)
    async with repository(tmp_path, {"k1": write_key(tmp_path, "other")}) as opened:
        with pytest.raises(KeyWrong):
            await WalWriter(opened, LAYOUT).store_segment(SEGMENT.after(), CONTENT)
        archive = await read_archive(opened.store, LAYOUT, SEGMENT.size_bytes)
        assert archive.timelines[1].segments == [SEGMENT]


async def test_histories_are_read_with_the_archive(tmp_path: Path) -> None:
    async with repository(tmp_path, {"k1": write_key(tmp_path, "k1")}) as opened:
        writer = WalWriter(opened, LAYOUT)
        await writer.store_history(2, HISTORY)
        await writer.store_history(2, HISTORY)
        with pytest.raises(WalConflict):
            await writer.store_history(2, HISTORY.replace(b"60", b"70"))
        archive = await read_archive(opened.store, LAYOUT)
        assert archive.history(2) == History(2, (Branch(1, Lsn(0x500060)),))
        assert archive.history(3) == History(3)


async def test_a_damaged_history_is_an_error_for_who_needs_it(tmp_path: Path) -> None:
    async with repository(tmp_path) as opened:
        writer = WalWriter(opened, LAYOUT)
        await writer.store_history(2, HISTORY)
        await writer.store_segment(SEGMENT, CONTENT)
        key = history_key(LAYOUT, 2)
        stored = bytearray(await opened.store.read(key))
        stored[60] ^= 1
        await opened.store.delete(key)
        await opened.store.create(key, bytes(stored))
        archive = await read_archive(opened.store, LAYOUT, SEGMENT.size_bytes)
        assert archive.timelines[1].segments == [SEGMENT]
        assert archive.history(1) == History(1)
        with pytest.raises(BackupDamaged) as caught:
            archive.history(2)
        assert caught.value.object == key


async def test_an_event_is_recorded_once(tmp_path: Path) -> None:
    async with repository(tmp_path) as opened:
        written = [
            await write_event(
                opened.store,
                LAYOUT,
                kind,
                timeline=1,
                start=SEGMENT.start,
                end=SEGMENT.end,
                cause="the server had removed it",
            )
            for kind in (EventKind.GAP, EventKind.SLOT_LOST, EventKind.GAP)
        ]
        assert written[2] == written[0]
        assert await read_events(opened.store, LAYOUT) == written[:2]


async def test_a_damaged_event_hides_no_other_and_stops_nobody(tmp_path: Path) -> None:
    async with repository(tmp_path) as opened:

        async def write(kind: EventKind) -> WalEvent:
            return await write_event(
                *(opened.store, LAYOUT, kind),
                timeline=1,
                start=SEGMENT.start,
                end=SEGMENT.end,
                cause="it is a test",
            )

        await write(EventKind.GAP)
        (key,) = [each.key async for each in opened.store.list(events_folder(LAYOUT))]
        (tmp_path / "store" / key).write_bytes(b"{}")
        lost = await write(EventKind.SLOT_LOST)
        assert await read_events(opened.store, LAYOUT) == [lost]
        (damaged,) = (await read_stored_events(opened.store, LAYOUT)).damaged
        assert damaged.object == key
        # It is recorded anew, as nobody can read the first one.
        gap = await write(EventKind.GAP)
        assert await read_events(opened.store, LAYOUT) == [lost, gap]
