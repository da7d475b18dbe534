"""Verification of contents: PostgreSQL's own programs look into backups and WAL."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dbopsd.backup.catalog.commit import CommitRecord, Stream, write_commit
from dbopsd.backup.catalog.kind import BackupKind
from dbopsd.backup.create_backup import create_backup
from dbopsd.backup.model.reports import VerifyReport
from dbopsd.backup.model.requests import CreateBackupRequest, Depth, VerifyBackupsRequest
from dbopsd.backup.parts import PartWriter, read_parts
from dbopsd.backup.repository import Repository
from dbopsd.backup.scratch_room import ScratchTooSmall
from dbopsd.backup.verify.contents import verify_files
from dbopsd.backup.verify.wal import needed_segments
from dbopsd.backup.verify_backups import verify_backups
from dbopsd.backup.wal.archive import segment_key
from dbopsd.backup.wal.stored_wal import WalWriter, read_segment
from dbopsd.db.database import Database
from tests.support.backed_up import backed_up, repository_of, storing_wal
from tests.support.operation_run import OperationRun
from tests.support.servers import PostgresServer

CONTENTS = VerifyBackupsRequest(depth=Depth.CONTENTS)
MARK = b"a mark that is in one row only"


@pytest.fixture
def filled(cluster: PostgresServer) -> PostgresServer:
    """The server with a row that is easily found."""
    return with_mark(cluster)


@pytest.fixture
def newest_filled(newest_cluster: PostgresServer) -> PostgresServer:
    """The newest server with a row that is easily found."""
    return with_mark(newest_cluster)


def with_mark(server: PostgresServer) -> PostgresServer:
    server.execute("CREATE TABLE IF NOT EXISTS near (n int, t text)")
    server.execute("TRUNCATE near")
    server.execute(f"INSERT INTO near VALUES (1, '{MARK.decode()}')")
    server.execute("CHECKPOINT")
    return server


async def back_up(database: Database, directory: Path, kind: BackupKind) -> str:
    run = OperationRun(database, directory / "create")
    try:
        described = await create_backup(run, CreateBackupRequest(kind=kind))
    finally:
        await run.close()
    assert described.kind is kind, described.fallback
    return described.name.rpartition("/")[2]


async def verify(
    database: Database, directory: Path, request: VerifyBackupsRequest = CONTENTS
) -> tuple[VerifyReport, OperationRun]:
    run = OperationRun(database, directory / "verify")
    try:
        report = await verify_backups(run, request)
    finally:
        await run.close()
    assert not any(run.scratch.rglob("*.tar")), "what was unpacked stays"
    return report, run


async def record_of(repository: Repository, id_: str) -> CommitRecord:
    (system,) = await repository.systems()
    record = (await repository.catalog(system)).get(id_).record
    assert record is not None
    return record


async def store_changed(
    repository: Repository,
    record: CommitRecord,
    stream: str,
    change: Callable[[bytes], bytes],
    id_: str = "full-changed",
) -> None:
    """Store the backup anew under another id, with one stream that is not what it was."""
    layout = repository.layout(record.system_identifier)
    data_key = await repository.keys.create()
    streams = []
    for each in record.streams:
        frames = read_parts(repository.store, repository.keys, each.parts)
        content = b"".join([bytes(frame) async for frame in frames])
        if each.name == stream:
            content = change(content)
        stem = f"{layout.backup(id_)}{each.name}"
        async with PartWriter(repository.store, stem, repository.compression, data_key) as writer:
            await writer.write(content)
            streams.append(Stream(each.name, await writer.finish()))
    changed = replace(record, id=id_, streams=tuple(streams), data_key="")
    await repository.store.create(layout.commit(id_), write_commit(changed, data_key))


async def test_whole_backups_are_what_postgresql_accepts(
    filled: PostgresServer, tmp_path: Path
) -> None:
    async with backed_up(filled, tmp_path) as database, storing_wal(filled, database):
        ids = [await back_up(database, tmp_path, BackupKind.FULL)]
        await asyncio.to_thread(filled.execute, "INSERT INTO near VALUES (2, 'later')")
        if filled.version >= 17:
            ids.append(await back_up(database, tmp_path, BackupKind.INCREMENTAL))
        await asyncio.to_thread(filled.execute, "SELECT pg_switch_wal()")
        await asyncio.to_thread(filled.execute, "INSERT INTO near VALUES (3, 'at the end')")
    report, run = await verify(database, tmp_path)
    assert report.ok, report
    assert [each.name for each in report.backups] == [
        f"databases/main/backups/{id_}" for id_ in ids
    ]
    assert report.wal.segments > 1
    assert run.progress_log[-1][1] == run.progress_log[-1][2]
    assert {stage for stage, *_ in run.progress_log} == {
        "wal",
        "wal records",
        "objects",
        "contents",
    }


async def test_files_that_are_not_the_manifests_are_found(
    filled: PostgresServer, tmp_path: Path
) -> None:
    def change_row(content: bytes) -> bytes:
        assert content.count(MARK) == 1
        return content.replace(MARK, MARK.upper())

    async with backed_up(filled, tmp_path) as database, storing_wal(filled, database):
        id_ = await back_up(database, tmp_path, BackupKind.FULL)
    async with repository_of(database) as repository:
        record = await record_of(repository, id_)
        await store_changed(repository, record, "base", change_row)
        await store_changed(
            repository, record, "manifest", lambda content: content + b" ", "full-manifest"
        )
    shallow, _ = await verify(database, tmp_path, VerifyBackupsRequest())
    assert shallow.ok
    report, _ = await verify(database, tmp_path)
    found = {each.name.rpartition("/")[2]: each.problems for each in report.backups}
    assert found[id_] == ()
    (changed,) = found["full-changed"]
    assert changed.problem == "HASH"
    assert "checksum mismatch for file" in changed.detail
    assert str(tmp_path) not in changed.detail
    (manifest,) = found["full-manifest"]
    assert (manifest.problem, manifest.object.endswith("/manifest.00000")) == ("FOREIGN", True)
    assert not report.ok


async def test_records_of_wal_that_do_not_hold_together_are_found(
    newest_filled: PostgresServer, tmp_path: Path
) -> None:
    async with backed_up(newest_filled, tmp_path) as database, storing_wal(newest_filled, database):
        await back_up(database, tmp_path, BackupKind.FULL)
        for _ in range(3):
            await asyncio.to_thread(
                newest_filled.execute, f"INSERT INTO near VALUES (4, '{MARK.decode()}')"
            )
            await asyncio.to_thread(newest_filled.execute, "SELECT pg_switch_wal()")
        await asyncio.to_thread(newest_filled.execute, "INSERT INTO near VALUES (5, 'at the end')")
    async with repository_of(database) as repository:
        (system,) = await repository.systems()
        layout = repository.layout(system)
        record = (await repository.catalog(system)).backups[0].record
        assert record is not None
        segment = list(needed_segments(record))[-1].after(2)
        content = await read_segment(repository, layout, segment)
        assert MARK in content
        key = segment_key(layout, segment)
        await repository.store.delete(key)
        writer = WalWriter(repository, layout)
        await writer.store_segment(segment, content.replace(MARK, MARK.upper()))
    shallow, _ = await verify(database, tmp_path, VerifyBackupsRequest())
    assert shallow.ok
    report, _ = await verify(database, tmp_path)
    assert not report.ok
    assert [(each.object, each.problem) for each in report.wal.problems] == [(key, "HASH")]
    assert "checksum" in report.wal.problems[0].detail
    assert report.backups[0].ok


async def test_a_backup_with_its_own_wal_needs_no_archive(
    newest_filled: PostgresServer, tmp_path: Path
) -> None:
    async with backed_up(newest_filled, tmp_path, wal="off") as database:
        await back_up(database, tmp_path, BackupKind.FULL)
    report, _ = await verify(database, tmp_path)
    assert report.ok, report
    assert report.wal.segments == 0


async def test_too_little_room_is_said_before_anything_is_unpacked(
    newest_filled: PostgresServer, tmp_path: Path
) -> None:
    usage = os.statvfs(tmp_path)
    async with backed_up(newest_filled, tmp_path, wal="off") as database:
        id_ = await back_up(database, tmp_path, BackupKind.FULL)
    async with repository_of(database) as repository:
        record = await record_of(repository, id_)
        needed = usage.f_bavail * usage.f_frsize * 2
        large = replace(record.objects[0], plain_bytes=needed)
        huge = replace(record, streams=(record.streams[-1], Stream("base", (large,))))
        run = OperationRun(database, tmp_path, "verify")
        with pytest.raises(ScratchTooSmall) as raised:
            await verify_files(run, repository, huge, lambda _bytes: None)
        assert not any((tmp_path / "scratch").rglob("*/base*"))
    assert raised.value.needed_bytes > raised.value.free_bytes > 0
