"""Marks that somebody without the keys wrote count for nothing."""

import asyncio
import base64
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dbopsd.backup.catalog.layout import Layout
from dbopsd.backup.catalog.lsn import Lsn
from dbopsd.backup.codec.errors import KeyMissing, KeyWrong
from dbopsd.backup.codec.sealed_object import DataKey
from dbopsd.backup.repository import Repository, open_repository
from dbopsd.backup.restore.windows import list_windows
from dbopsd.backup.wal.archive import Mark, mark_key, read_archive
from dbopsd.backup.wal.day_keys import DayKeys
from dbopsd.backup.wal.mark_seals import newest_genuine, seal_mark, with_genuine_marks
from dbopsd.config.backup import DatabaseBackupConfig
from tests.support.stored_backups import (
    SEGMENT_BYTES,
    SYSTEM,
    backup_config,
    store_backup,
    store_wal,
)

LAYOUT = Layout("main", SYSTEM)
AT = datetime(2026, 11, 30, 12, tzinfo=UTC)
MARK = Mark(1, Lsn(SEGMENT_BYTES), AT)
ID = "full-20261130t020000z-000001"


@pytest.fixture
def config(tmp_path: Path) -> DatabaseBackupConfig:
    return backup_config(tmp_path)


@pytest.fixture
async def repository(config: DatabaseBackupConfig) -> AsyncIterator[Repository]:
    async with open_repository("main", config) as opened:
        yield opened


async def write(repository: Repository, mark: Mark) -> Mark:
    await repository.store.create(mark_key(LAYOUT, mark), b"")
    return mark


async def write_sealed(repository: Repository, mark: Mark) -> Mark:
    data_key = await DayKeys(repository, LAYOUT).of_today()
    return await write(repository, seal_mark(LAYOUT, mark, data_key))


async def genuine(repository: Repository) -> list[Mark]:
    archive = await read_archive(repository.store, LAYOUT, SEGMENT_BYTES)
    found, _ = await with_genuine_marks(repository.keys, archive)
    return [mark for wal in found.timelines.values() for mark in wal.marks]


def with_keys(config: DatabaseBackupConfig, **keys: object) -> DatabaseBackupConfig:
    whole = config.model_dump()
    whole["keys"] = keys
    return DatabaseBackupConfig.model_validate(whole)


async def test_a_sealed_mark_is_read_by_another_process(
    repository: Repository, config: DatabaseBackupConfig
) -> None:
    written = await write_sealed(repository, MARK)
    async with open_repository("main", config) as other:
        (found,) = await genuine(other)
        assert (found.lsn, found.at, found.seal) == (MARK.lsn, MARK.at, written.seal)
        assert await newest_genuine(other.keys, LAYOUT, [found]) == MARK


async def test_a_mark_that_was_forged_or_moved_does_not_count(repository: Repository) -> None:
    sealed = await write_sealed(repository, MARK)
    later = AT + timedelta(hours=1)
    forged = [
        await write(repository, Mark(1, MARK.lsn, later)),
        await write(repository, replace(sealed, at=later)),
        await write(repository, replace(sealed, lsn=Lsn(MARK.lsn + 8))),
        await write(repository, replace(sealed, timeline=2)),
        await write(repository, replace(sealed, at=later, data_key="00" * 16)),
        await write(repository, seal_mark(LAYOUT, Mark(1, Lsn(8), later), _foreign_key())),
        await write(repository, replace(sealed, at=later, seal="00" * 16)),
    ]
    assert await genuine(repository) == [MARK]
    assert await newest_genuine(repository.keys, LAYOUT, [sealed, *forged]) == MARK
    assert await newest_genuine(repository.keys, LAYOUT, forged) is None


def _foreign_key() -> DataKey:
    return DataKey(os.urandom(16), os.urandom(32))


async def test_no_moment_is_offered_because_of_a_forged_mark(repository: Repository) -> None:
    record = await store_backup(repository, ID)
    await store_wal(repository, 0, 1, 2)
    stop = record.stop_time
    (window,) = (await list_windows(repository)).windows
    assert window.end_time == stop
    await write_sealed(repository, replace(MARK, at=stop + timedelta(minutes=1)))
    await write(repository, Mark(1, Lsn(3 * SEGMENT_BYTES), stop + timedelta(hours=9)))
    (window,) = (await list_windows(repository)).windows
    assert window.end_time == stop + timedelta(minutes=1)


async def test_marks_of_before_there_were_keys_count_where_that_is_configured(
    repository: Repository, config: DatabaseBackupConfig
) -> None:
    await write(repository, MARK)
    assert await genuine(repository) == []
    keys = {"current": "k1", "accept_unencrypted": True, **config.keys.keys}
    async with open_repository("main", with_keys(config, **keys)) as admitting:
        assert await genuine(admitting) == [MARK]
    async with open_repository("main", with_keys(config)) as plain:
        assert await genuine(plain) == [MARK]
        assert await DayKeys(plain, LAYOUT).of_today() is None
        assert seal_mark(LAYOUT, MARK, None) is MARK


async def test_marks_that_do_not_count_are_told_with_the_windows(
    repository: Repository, config: DatabaseBackupConfig, tmp_path: Path
) -> None:
    await store_backup(repository, ID)
    await write_sealed(repository, replace(MARK, at=AT + timedelta(minutes=1)))
    assert (await list_windows(repository)).notes == ()
    await write(repository, MARK)
    (note,) = (await list_windows(repository)).notes
    assert note.startswith(f"Of cluster {SYSTEM}, 1 of 2 marks of the WAL archive have no seal")
    assert "accept_unencrypted" in note
    keys = {"current": "k1", "accept_unencrypted": True, **config.keys.keys}
    async with open_repository("main", with_keys(config, **keys)) as admitting:
        assert (await list_windows(admitting)).notes == ()
    other = tmp_path / "other"
    await asyncio.to_thread(other.write_bytes, base64.b64encode(os.urandom(32)))
    async with open_repository(
        "main", with_keys(config, current="k2", k2=f"file:{other}")
    ) as without:
        missing, _ = (await list_windows(without)).notes
        assert "key 'k1' is needed" in missing


async def test_a_key_that_is_not_here_is_told(
    repository: Repository, config: DatabaseBackupConfig, tmp_path: Path
) -> None:
    await write_sealed(repository, MARK)
    other = tmp_path / "other"
    await asyncio.to_thread(other.write_bytes, base64.b64encode(os.urandom(32)))
    for name, problem in (("k2", KeyMissing), ("k1", KeyWrong)):
        keys = {"current": name, name: f"file:{other}"}
        async with open_repository("main", with_keys(config, **keys)) as opened:
            archive = await read_archive(opened.store, LAYOUT, SEGMENT_BYTES)
            found, told = await with_genuine_marks(opened.keys, archive)
            assert not found.timelines[1].marks
            assert isinstance(told, problem)
            assert await newest_genuine(opened.keys, LAYOUT, archive.timelines[1].marks) is None
