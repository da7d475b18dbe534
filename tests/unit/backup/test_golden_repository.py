"""A repository as an earlier version wrote it is read: backups, WAL, notes, keys."""

import hashlib
import json
import re
import shutil
from collections.abc import AsyncIterable
from pathlib import Path
from typing import Any

import pytest

from dbopsd.backup.catalog.commit import check_commit
from dbopsd.backup.catalog.kind import BackupKind, BackupState
from dbopsd.backup.catalog.lsn import Lsn, Segment
from dbopsd.backup.catalog.notes import NoteKind, check_notes, write_note
from dbopsd.backup.codec.data_keys import DataKeys
from dbopsd.backup.parts import read_object, read_parts
from dbopsd.backup.repository import Repository
from dbopsd.backup.wal.archive import WalRange, read_archive, read_history
from dbopsd.backup.wal.events import EventKind, read_events
from dbopsd.backup.wal.stored_wal import read_segment
from tests.support import golden_repository
from tests.support.backup_keys import RECIPIENT, keys
from tests.support.golden_repository import HISTORY, LAYOUT, PARTIAL_BYTES, SEGMENT_BYTES, SYSTEM

_GOLDEN = Path(__file__).parent / "golden"
_FULL, _INCREMENTAL, _LOGICAL = (
    "full-20261130t020000z-000001",
    "incremental-20261130t080000z-000002",
    "logical-20261130t090000z-000003",
)


@pytest.fixture(params=sorted(path.name for path in _GOLDEN.iterdir()))
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of one of them: it may be changed."""
    return shutil.copytree(_GOLDEN / request.param, tmp_path / "golden")


@pytest.fixture
def repository(golden: Path) -> Repository:
    return golden_repository.repository(golden / "store")


@pytest.fixture
def contents(golden: Path) -> Any:
    return json.loads((golden / "contents.json").read_text())


async def _sha256(frames: AsyncIterable[Any]) -> str:
    digest = hashlib.sha256()
    async for frame in frames:
        digest.update(frame)
    return digest.hexdigest()


async def _check_backups(repository: Repository, contents: Any) -> None:
    catalog = await repository.catalog(SYSTEM)
    for id_, streams in contents["backups"].items():
        record = catalog.get(id_).record
        assert record is not None
        read = {
            stream.name: await _sha256(read_parts(repository.store, repository.keys, stream.parts))
            for stream in record.streams
        }
        assert read == streams


async def test_the_catalog_is_read(repository: Repository) -> None:
    assert await repository.systems() == [SYSTEM]
    catalog = await repository.catalog(SYSTEM)
    assert [each.id for each in catalog.backups] == [_FULL, _INCREMENTAL, _LOGICAL]
    assert {each.state for each in catalog.backups} == {BackupState.COMPLETE}
    full, incremental, logical = (each.record for each in catalog.backups)
    assert full is not None
    assert incremental is not None
    assert logical is not None
    assert catalog.chain(catalog.get(_INCREMENTAL)) == [full, incremental]
    assert (full.start_lsn, full.stop_lsn) == (Lsn(0x200028), Lsn(0x200130))
    assert f"{full.start_time:%Y-%m-%d %H:%M:%S.%f%z}" == "2026-11-30 02:00:00.123456+0000"
    assert full.tablespaces[0].location == "/srv/tablespaces/één"
    assert full.row_counts is not None
    assert [each.rows for each in full.row_counts.tables] == [7]
    assert (logical.kind, logical.data_key) == (BackupKind.LOGICAL, "")
    for record in (full, incremental):
        key = LAYOUT.commit(record.id)
        data_key = await repository.keys.load(bytes.fromhex(record.data_key))
        check_commit(key, await repository.store.read(key), data_key)


async def test_every_stream_is_read(repository: Repository, contents: Any) -> None:
    await _check_backups(repository, contents)
    full = (await repository.catalog(SYSTEM)).get(_FULL).record
    assert full is not None
    assert len(full.stream("base")) > 1
    assert full.stream("16384")[0].plain_bytes == 0
    for part in full.objects:
        async for _ in read_object(repository.store, repository.keys, part.path):
            pass


async def test_the_archive_is_read(repository: Repository, contents: Any) -> None:
    archive = await read_archive(repository.store, LAYOUT, SEGMENT_BYTES)
    assert archive.timelines[1].ranges() == [WalRange(1, Lsn(0x200000), Lsn(0x500000))]
    partial_end = Lsn(0x400000 + PARTIAL_BYTES)
    assert archive.timelines[2].ranges() == [WalRange(2, Lsn(0x400000), partial_end)]
    (mark,) = archive.timelines[1].marks
    assert (mark.lsn, mark.at.microsecond) == (Lsn(0x400100), 123456)
    assert await read_history(repository.store, LAYOUT, 2) == HISTORY
    for name, expected in contents["wal"].items():
        segment = Segment.parse(name, SEGMENT_BYTES)
        length = PARTIAL_BYTES if segment.timeline == 2 else SEGMENT_BYTES
        partial = length if length < SEGMENT_BYTES else None
        content = await read_segment(repository, LAYOUT, segment, partial)
        assert hashlib.sha256(content[:length]).hexdigest() == expected
    (event,) = await read_events(repository.store, LAYOUT)
    assert (event.kind, event.start, event.end) == (EventKind.GAP, 0x100000, 0x200000)


async def test_notes_are_read_and_go_on(repository: Repository) -> None:
    full = (await repository.catalog(SYSTEM)).get(_FULL)
    assert len(full.notes) == 6
    assert full.held_until is not None
    assert full.held_until.year == 2040
    assert await check_notes(repository.store, LAYOUT, _FULL) == []
    await write_note(repository.store, LAYOUT, _FULL, NoteKind.VERIFIED, {"ok": False})
    assert (await repository.catalog(SYSTEM)).get(_FULL).state is BackupState.BROKEN


async def test_its_keys_are_rotated(repository: Repository, contents: Any) -> None:
    done = await repository.keys.rotate("k2", lambda _done, _total: None)
    assert done.rewrapped == 3
    using = keys("k2", recipient=RECIPIENT, accepts_unencrypted=True)
    data_keys = DataKeys(repository.store, LAYOUT.database_folder, using)
    later = Repository(
        repository.database, repository.config, repository.store, data_keys, repository.compression
    )
    await _check_backups(later, contents)


async def test_what_this_version_writes_is_the_same_in_kind(tmp_path: Path) -> None:
    """A new kind of object, or a name in another form, wants a place in the golden one."""
    await golden_repository.make(tmp_path / "new")
    newest = max(_GOLDEN.iterdir())
    repository = golden_repository.repository(newest / "store")
    new = golden_repository.repository(tmp_path / "new/store")
    kinds = [
        sorted([_kind(each.key) async for each in found.store.list()])
        for found in (repository, new)
    ]
    assert kinds[0] == kinds[1]


def _kind(key: str) -> str:
    """The key without what is random or a time."""
    return re.sub(r"[0-9a-fA-F]{6,}", "*", key)
