"""Objects that somebody has made too large, or of too many levels, fill nobody's memory."""

import tracemalloc
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from dbopsd.backup.catalog.commit import read_commit, write_commit
from dbopsd.backup.catalog.kind import BackupKind, BackupState
from dbopsd.backup.catalog.layout import Layout
from dbopsd.backup.catalog.lsn import Segment
from dbopsd.backup.catalog.notes import check_notes, read_notes
from dbopsd.backup.codec.compression import Compression
from dbopsd.backup.codec.errors import BackupDamaged, Damage
from dbopsd.backup.codec.sealed_json import open_json
from dbopsd.backup.codec.whole_object import MOST_RECORD_BYTES, read_whole
from dbopsd.backup.leases import leases_of
from dbopsd.backup.parts import PartWriter, read_parts, require_stored
from dbopsd.backup.repository import Repository, open_repository
from dbopsd.backup.store.base import MOST_BYTES
from dbopsd.backup.store.errors import ObjectExists, ObjectTooLarge
from dbopsd.backup.wal.archive import history_key, read_archive, segment_key
from dbopsd.backup.wal.events import events_folder, read_stored_events
from dbopsd.backup.wal.stored_wal import read_segment
from dbopsd.config.backup import DatabaseBackupConfig
from tests.support import backup_histories

LAYOUT = Layout("main", "7300000000000000001")
DEEP = b'{"fields": ' + b"[" * 200_000 + b"]" * 200_000 + b"}"


@pytest.fixture
async def repository(tmp_path: Path) -> AsyncIterator[Repository]:
    config = DatabaseBackupConfig.model_validate({"store": (tmp_path / "store").as_uri()})
    async with open_repository("main", config) as opened:
        yield opened


def make(tmp_path: Path, key: str, size_bytes: int) -> None:
    """An object of zeros, which takes no room on the disk."""
    path = tmp_path / "store" / key
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size_bytes)


async def test_an_object_is_read_up_to_the_limit(repository: Repository, tmp_path: Path) -> None:
    make(tmp_path, "right", 1000)
    assert len(await read_whole(repository.store, "right", 1000)) == 1000
    with pytest.raises(BackupDamaged, match="more than the 999 bytes") as damaged:
        await read_whole(repository.store, "right", 999)
    assert damaged.value.problem is Damage.FOREIGN
    make(tmp_path, "huge", 2**40)
    with pytest.raises(ObjectTooLarge):
        await repository.store.read("huge")
    with pytest.raises(ObjectExists):
        await repository.store.create("huge", b"small")


async def test_a_small_object_takes_no_memory_of_what_it_could_have(
    repository: Repository, tmp_path: Path
) -> None:
    make(tmp_path, "small", 300)
    tracemalloc.start()
    try:
        assert len(await repository.store.read("small", MOST_RECORD_BYTES)) == 300
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 2**20


async def test_a_huge_commit_record_makes_a_broken_backup(
    repository: Repository, tmp_path: Path
) -> None:
    id_ = "full-20261130t020000z-000001"
    make(tmp_path, LAYOUT.commit(id_), MOST_RECORD_BYTES + 1)
    (backup,) = (await repository.catalog(LAYOUT.system_identifier)).backups
    assert backup.state is BackupState.BROKEN
    assert "more than the" in backup.problem


async def test_huge_notes_leases_events_and_histories_are_damaged(
    repository: Repository, tmp_path: Path
) -> None:
    too_large = MOST_BYTES + 1
    make(tmp_path, f"{LAYOUT.notes('full-1')}1796028294704379-hold-5aa4ed.json", too_large)
    notes = await read_notes(repository.store, LAYOUT)
    (hold,) = notes["full-1"].values()
    assert hold.fields["until"].startswith("9999"), "what cannot be read removes nothing"
    (problem,) = await check_notes(repository.store, LAYOUT, "full-1")
    assert problem.problem is Damage.FOREIGN
    make(tmp_path, f"{LAYOUT.leases}restore-1/9999999999999999.json", too_large)
    with pytest.raises(BackupDamaged, match="restore-1"):
        await leases_of(repository.store, LAYOUT)
    make(tmp_path, f"{events_folder(LAYOUT)}1796028294682932-gap-9ac22a.json", too_large)
    events = await read_stored_events(repository.store, LAYOUT)
    assert ["gap" in each.object for each in events.damaged] == [True]
    make(tmp_path, history_key(LAYOUT, 2), too_large)
    archive = await read_archive(repository.store, LAYOUT)
    assert archive.damaged_histories[2].problem is Damage.FOREIGN


async def test_a_huge_segment_is_damaged(repository: Repository, tmp_path: Path) -> None:
    segment = Segment(1, 7, 2**20)
    make(tmp_path, segment_key(LAYOUT, segment), 2**36)
    with pytest.raises(BackupDamaged, match="can be") as damaged:
        await read_segment(repository, LAYOUT, segment)
    assert damaged.value.problem is Damage.HASH


async def test_a_part_that_was_made_longer_is_damaged(
    repository: Repository, tmp_path: Path
) -> None:
    stem = f"{LAYOUT.backup('full-1')}base"
    async with PartWriter(repository.store, stem, Compression.parse("none"), None) as writer:
        await writer.write(bytes(100))
        (part,) = await writer.finish()
    with (tmp_path / "store" / part.path).open("r+b") as file:
        file.truncate(2**40)
    with pytest.raises(BackupDamaged, match="were stored"):
        [frame async for frame in read_parts(repository.store, repository.keys, [part])]
    with pytest.raises(BackupDamaged, match="gives more back"):
        await require_stored(repository.store, part)


def test_json_of_too_many_levels_is_damaged() -> None:
    with pytest.raises(BackupDamaged):
        open_json("a.json", DEEP)
    with pytest.raises(BackupDamaged):
        read_commit("COMMIT.json", DEEP)


@pytest.mark.parametrize("size_bytes", [0, -1, 3 * 2**20, 2**19, 2**31])
def test_a_record_of_wal_that_no_server_has_is_none(size_bytes: int) -> None:
    record = replace(
        backup_histories.record(BackupKind.FULL, backup_histories.START), segment_bytes=size_bytes
    )
    key = Layout(record.database, record.system_identifier).commit(record.id)
    with pytest.raises(BackupDamaged, match="no commit record"):
        read_commit(key, write_commit(record, None))
