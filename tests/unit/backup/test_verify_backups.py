"""Verification of objects and of WAL, without a server."""

import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dbopsd.backup.catalog.commit import CommitRecord, read_commit, write_commit
from dbopsd.backup.catalog.errors import BackupNotFound
from dbopsd.backup.catalog.kind import BackupState
from dbopsd.backup.catalog.lsn import Lsn
from dbopsd.backup.codec.errors import BackupDamaged, KeyMissing
from dbopsd.backup.model.reports import VerifyReport
from dbopsd.backup.model.requests import VerifyBackupsRequest
from dbopsd.backup.parts import read_parts
from dbopsd.backup.repository import Repository, open_repository
from dbopsd.backup.verify_backups import verify_backups
from dbopsd.backup.wal.events import EventKind, write_event
from tests.support.operation_run import OperationRun
from tests.support.stored_backups import (
    SEGMENT_BYTES,
    SYSTEM,
    backup_config,
    store_backup,
    store_wal,
)


@dataclass
class Stored:
    """A repository in the file system, and a run that works on it."""

    repository: Repository
    run: OperationRun
    directory: Path

    async def verify(self, **fields: Any) -> VerifyReport:
        return await verify_backups(self.run, VerifyBackupsRequest(**fields))

    def file(self, key: str) -> Path:
        return self.directory / "store" / key

    def change(self, key: str, change: Callable[[bytearray], None]) -> None:
        content = bytearray(self.file(key).read_bytes())
        change(content)
        self.file(key).write_bytes(content)

    async def state(self, id_: str) -> BackupState:
        return (await self.repository.catalog(SYSTEM)).get(id_).state


@pytest.fixture
async def stored(tmp_path: Path) -> AsyncIterator[Stored]:
    config = backup_config(tmp_path)
    database = cast("Any", SimpleNamespace(name="main", config=SimpleNamespace(backup=config)))
    async with open_repository("main", config) as repository:
        yield Stored(repository, OperationRun(database, tmp_path / "run"), tmp_path)


async def store_all(stored: Stored) -> CommitRecord:
    """One backup from segment 0 to 1, and WAL from segment 0 to 5."""
    record = await store_backup(stored.repository, "full-1", start=100, stop=SEGMENT_BYTES + 200)
    await store_wal(stored.repository, *range(6))
    return record


def problems(report: VerifyReport) -> list[tuple[str, str]]:
    return [(each.object, each.problem) for backup in report.backups for each in backup.problems]


def flip(content: bytearray) -> None:
    content[len(content) // 2] ^= 1


def wal_key(number: int) -> str:
    return f"main/{SYSTEM}/wal/00000001/0000000100000000{number:08X}"


async def test_what_is_whole_is_verified_and_so_noted(stored: Stored) -> None:
    record = await store_all(stored)
    report = await stored.verify()
    assert report.ok
    assert [each.name for each in report.backups] == ["databases/main/backups/full-1"]
    assert (report.wal.segments, report.wal.gaps, report.wal.problems) == (6, (), ())
    (backup,) = (await stored.repository.catalog(SYSTEM)).backups
    assert {note.fields["ok"] for note in backup.notes.values()} == {True}
    done = [done for _, done, _, _ in stored.run.progress_log]
    assert done == sorted(cast("list[int]", done))
    stored_wal = sum(stored.file(wal_key(number)).stat().st_size for number in range(6))
    assert stored.run.progress_log[-1][1:] == (
        record.stored_bytes + stored_wal,
        record.stored_bytes + stored_wal,
        "By",
    )


def empty(content: bytearray) -> None:
    content.clear()


def cut(content: bytearray) -> None:
    del content[len(content) // 2 :]


def cut_header(content: bytearray) -> None:
    del content[20:]


def append(content: bytearray) -> None:
    content += b"\0"


DAMAGES = {
    "flipped": (flip, "HASH"),
    "empty": (empty, "TRUNCATED"),
    "cut": (cut, "TRUNCATED"),
    "cut in its header": (cut_header, "TRUNCATED"),
    "longer": (append, "HASH"),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["base.00000", "base.00001", "manifest.00000"])
async def test_a_damaged_object_breaks_the_backup_until_it_is_whole_again(
    stored: Stored, name: str, damage: str
) -> None:
    change, problem = DAMAGES[damage]
    await store_all(stored)
    key = f"main/{SYSTEM}/backups/full-1/{name}"
    whole = stored.file(key).read_bytes()
    stored.change(key, change)
    report = await stored.verify()
    assert not report.ok
    assert problems(report) == [(key, problem)]
    assert await stored.state("full-1") is BackupState.BROKEN
    stored.file(key).write_bytes(whole)
    assert (await stored.verify()).ok
    assert await stored.state("full-1") is BackupState.COMPLETE


async def test_a_missing_object_is_told_from_a_damaged_one(stored: Stored) -> None:
    await store_all(stored)
    key = f"main/{SYSTEM}/backups/full-1/base.00001"
    stored.file(key).unlink()
    report = await stored.verify()
    assert problems(report) == [(key, "MISSING")]


async def test_swapped_objects_are_foreign_and_moved_frames_out_of_order(stored: Stored) -> None:
    record = await store_backup(
        stored.repository, "full-1", start=0, stop=SEGMENT_BYTES, content_bytes=5 * 2**20
    )
    await store_wal(stored.repository, 0)
    first, second, *_ = (each.path for each in record.stream("base"))
    one, two = stored.file(first), stored.file(second)
    content = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(content)
    assert problems(await stored.verify()) == [(first, "FOREIGN"), (second, "FOREIGN")]
    two.write_bytes(one.read_bytes())
    one.write_bytes(content)

    def reorder(content: bytearray) -> None:
        header, length = 44, 4 + int.from_bytes(content[44:48])
        frame = bytes(content[header : header + length])
        del content[header : header + length]
        length = 4 + int.from_bytes(content[header : header + 4])
        content[header + length : header + length] = frame

    stored.change(first, reorder)
    assert problems(await stored.verify()) == [(first, "ORDER")]
    # Restore says the same.
    with pytest.raises(BackupDamaged) as raised:
        parts = record.stream("base")
        async for _ in read_parts(stored.repository.store, stored.repository.keys, parts):
            pass
    assert raised.value.problem.value == "ORDER"


async def test_an_object_of_another_cluster_is_foreign(stored: Stored) -> None:
    record = await store_all(stored)
    other = await store_backup(stored.repository, "full-1", system="7500000000000000002", stop=100)
    await store_wal(stored.repository, 0, system="7500000000000000002")
    target = stored.file(record.objects[0].path)
    shutil.copy(stored.file(other.objects[0].path), target)
    report = await stored.verify()
    assert problems(report) == [(record.objects[0].path, "FOREIGN")]
    assert [each.ok for each in report.backups] == [False, True]


async def test_a_commit_record_is_read_and_its_seal_checked(stored: Stored) -> None:
    await store_all(stored)
    key = f"main/{SYSTEM}/backups/full-1/COMMIT.json"
    whole = stored.file(key).read_bytes()
    stored.change(key, flip)
    assert (key, "HASH") in problems(await stored.verify())
    assert await stored.state("full-1") is BackupState.BROKEN
    stored.change(key, empty)
    assert problems(await stored.verify()) == [(key, "TRUNCATED")]
    # Somebody without the key made its hash right, and not its seal.
    forged = replace(read_commit(key, whole), label="another")
    stored.file(key).write_bytes(write_commit(forged, None))
    assert problems(await stored.verify()) == [(key, "FOREIGN")]
    stored.file(key).write_bytes(whole)
    assert (await stored.verify()).ok


async def test_wal_that_a_backup_needs_is_its_own_matter(stored: Stored) -> None:
    await store_all(stored)
    stored.file(wal_key(1)).unlink()
    report = await stored.verify()
    assert problems(report) == [(wal_key(1), "MISSING")]
    assert [(each.start_lsn, each.end_lsn) for each in report.wal.gaps] == [
        (str(Lsn(SEGMENT_BYTES)), str(Lsn(2 * SEGMENT_BYTES)))
    ]
    assert await stored.state("full-1") is BackupState.BROKEN


@pytest.mark.parametrize("damage", DAMAGES)
async def test_damaged_wal_is_found_wherever_it_is(stored: Stored, damage: str) -> None:
    change, problem = DAMAGES[damage]
    await store_all(stored)
    stored.change(wal_key(4), change)
    report = await stored.verify()
    assert not report.ok
    assert [(each.object, each.problem) for each in report.wal.problems] == [(wal_key(4), problem)]
    # The backup itself does not need it.
    assert [each.ok for each in report.backups] == [True]
    assert not (await stored.verify(backup_ids=("full-1",))).wal.problems
    stored.change(wal_key(1), change)
    assert problems(await stored.verify()) == [(wal_key(1), problem)]


async def test_a_gap_is_told_with_its_cause(stored: Stored) -> None:
    await store_all(stored)
    layout = stored.repository.layout(SYSTEM)
    await write_event(
        stored.repository.store,
        layout,
        EventKind.GAP,
        timeline=1,
        start=Lsn(3 * SEGMENT_BYTES),
        end=Lsn(4 * SEGMENT_BYTES),
        cause="the slot was dropped",
    )
    assert (await stored.verify()).ok
    stored.file(wal_key(3)).unlink()
    report = await stored.verify()
    assert not report.ok
    assert report.backups[0].ok
    (gap,) = report.wal.gaps
    assert (gap.timeline, gap.start_lsn, gap.end_lsn) == (1, "0/300000", "0/400000")
    assert (gap.cause, gap.detect_time is not None) == ("the slot was dropped", True)


async def test_wal_that_retention_removed_is_no_gap(stored: Stored) -> None:
    await store_all(stored)
    await store_backup(
        stored.repository, "full-2", start=5 * SEGMENT_BYTES, stop=5 * SEGMENT_BYTES + 100
    )
    for number in (2, 3, 4):
        stored.file(wal_key(number)).unlink()
    assert (await stored.verify()).ok
    await store_wal(stored.repository, 3)
    assert len((await stored.verify()).wal.gaps) == 2


async def test_an_incremental_rests_on_the_parent_it_was_made_from(stored: Stored) -> None:
    parent = await store_all(stored)
    await store_backup(stored.repository, "inc-1", start=100, stop=200, parent=parent)
    assert (await stored.verify()).ok
    other = replace(parent, manifest_sha256="00" * 32)
    await store_backup(stored.repository, "inc-2", start=100, stop=200, parent=other)
    key = f"main/{SYSTEM}/backups/full-1/COMMIT.json"
    assert problems(await stored.verify()) == [(key, "FOREIGN")]
    stored.file(key).unlink()
    report = await stored.verify()
    assert problems(report) == [(key, "MISSING"), (key, "MISSING")]


async def test_a_missing_key_says_nothing_about_a_backup(stored: Stored, tmp_path: Path) -> None:
    await store_all(stored)
    (tmp_path / "other").mkdir()
    config = backup_config(tmp_path / "other").model_copy(
        update={"store": stored.repository.config.store}
    )
    renamed = config.keys.model_copy(
        update={"current": "k2", "keys": {"k2": config.keys.keys["k1"]}}
    )
    stored.run.database.config.backup = config.model_copy(update={"keys": renamed})
    with pytest.raises(KeyMissing):
        await stored.verify()
    assert await stored.state("full-1") is BackupState.COMPLETE
    assert not (await stored.repository.catalog(SYSTEM)).backups[0].notes


async def test_a_name_that_is_not_there_is_an_error(stored: Stored) -> None:
    await store_all(stored)
    with pytest.raises(BackupNotFound):
        await stored.verify(backup_ids=("full-1", "full-9"))


async def test_the_data_key_is_gone(stored: Stored) -> None:
    record = await store_all(stored)
    shutil.rmtree(stored.file(f"main/keys/{record.data_key}"))
    report = await stored.verify()
    assert not report.ok
    assert {problem for _, problem in problems(report)} == {"MISSING"}


async def test_a_damaged_note_is_found_and_breaks_no_backup(stored: Stored) -> None:
    await store_all(stored)
    assert (await stored.verify(backup_ids=("full-1",))).ok
    notes = stored.repository.layout(SYSTEM).notes("full-1")
    (note,) = [each.key async for each in stored.repository.store.list(notes)]
    stored.change(note, flip)
    report = await stored.verify(backup_ids=("full-1",))
    assert not report.ok
    assert problems(report) == [(note, "HASH")]
    assert await stored.state("full-1") is BackupState.COMPLETE


async def test_a_damaged_event_is_found(stored: Stored) -> None:
    await store_all(stored)
    layout = stored.repository.layout(SYSTEM)
    await write_event(
        *(stored.repository.store, layout, EventKind.GAP),
        timeline=1,
        start=Lsn(SEGMENT_BYTES),
        end=Lsn(2 * SEGMENT_BYTES),
        cause="lost",
    )
    (event,) = [each.key async for each in stored.repository.store.list(f"{layout.wal}events/")]
    stored.change(event, lambda content: content.__setitem__(content.index(b"lost"), ord("p")))
    report = await stored.verify()
    assert [(each.object, each.problem) for each in report.wal.problems] == [(event, "HASH")]


async def test_what_is_older_than_the_keys_is_refused_and_not_noted_as_damaged(
    tmp_path: Path,
) -> None:
    plain = backup_config(tmp_path, encrypted=False)
    async with open_repository("main", plain) as repository:
        await store_backup(repository, "full-1", start=100, stop=SEGMENT_BYTES + 200)
        await store_wal(repository, *range(3))
    keyed = backup_config(tmp_path)
    database = cast("Any", SimpleNamespace(name="main", config=SimpleNamespace(backup=keyed)))
    report = await verify_backups(
        OperationRun(database, tmp_path / "run"), VerifyBackupsRequest(backup_ids=("full-1",))
    )
    assert not report.ok
    assert all("accept_unencrypted" in each.detail for each in report.backups[0].problems)
    admitting = keyed.model_copy(
        update={"keys": keyed.keys.model_copy(update={"accept_unencrypted": True})}
    )
    async with open_repository("main", admitting) as repository:
        found = (await repository.catalog(SYSTEM)).get("full-1")
        assert found.state is BackupState.COMPLETE, found.problem
