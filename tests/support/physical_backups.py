"""Takes physical backups in tests, and looks at them as PostgreSQL's own tools do."""

import asyncio
import os
import subprocess
import tarfile
from pathlib import Path

from dbopsd.backup.catalog.commit import CommitRecord
from dbopsd.backup.catalog.kind import BackupKind
from dbopsd.backup.create_backup import create_backup
from dbopsd.backup.model.reports import BackupDescription
from dbopsd.backup.model.requests import CreateBackupRequest
from dbopsd.backup.parts import read_parts
from dbopsd.backup.repository import Repository
from dbopsd.db.database import Database
from tests.support.backed_up import repository_of
from tests.support.operation_run import OperationRun
from tests.support.servers import PostgresServer


async def create(
    database: Database, directory: Path, request: CreateBackupRequest | None = None
) -> BackupDescription:
    """Take a backup; the scratch directory is below `directory`. Nothing of it is left there."""
    run = OperationRun(database, directory)
    try:
        return await create_backup(run, request or CreateBackupRequest())
    finally:
        await run.close()
        assert list(run.scratch.iterdir()) == []


async def create_incremental(database: Database, directory: Path) -> BackupDescription:
    return await create(database, directory, CreateBackupRequest(kind=BackupKind.INCREMENTAL))


async def record_of(database: Database, described: BackupDescription) -> CommitRecord:
    """The commit record, as it is in the store."""
    async with repository_of(database) as repository:
        catalog = await repository.catalog(described.system_identifier)
        record = catalog.get(described.name.rpartition("/")[2]).record
    assert record is not None
    return record


async def unpack(database: Database, described: BackupDescription, into: Path) -> CommitRecord:
    """Write a backup as a data directory with its manifest, tablespaces in their place in it."""
    record = await record_of(database, described)
    async with repository_of(database) as repository:
        into.mkdir()
        await _unpack(repository, record, "base", into)
        for each in record.tablespaces:
            place = into / "pg_tblspc" / str(each.oid)
            place.unlink(missing_ok=True)
            place.mkdir()
            await _unpack(repository, record, str(each.oid), place)
        manifest = await _content(repository, record, "manifest")
    (into / "backup_manifest").write_bytes(manifest)
    return record


def verify(server: PostgresServer, directory: Path, *options: str) -> None:
    """Have `pg_verifybackup` compare a data directory with its manifest."""
    done = _run_tool(server, "pg_verifybackup", "--no-parse-wal", *options, str(directory))
    assert done.returncode == 0, done.stdout + done.stderr


def combine(server: PostgresServer, parts: list[Path], into: Path) -> None:
    """Have `pg_combinebackup` make a full backup of a chain."""
    done = _run_tool(
        server, "pg_combinebackup", *map(str, parts), "--output", str(into), "--no-sync"
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _run_tool(
    server: PostgresServer, tool: str, *arguments: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [server.bin_dir / tool, *arguments],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "LC_ALL": "C"},
    )


async def _unpack(repository: Repository, record: CommitRecord, stream: str, into: Path) -> None:
    path = into.parent / f"{into.name}.{stream}.tar"
    with path.open("wb") as file:
        async for frame in read_parts(repository.store, repository.keys, record.stream(stream)):
            file.write(frame)
    await asyncio.to_thread(_extract, path, into)
    path.unlink()


def _extract(path: Path, into: Path) -> None:
    with tarfile.open(path) as tar:
        # Links of tablespaces lead out of the directory, which the filter for data refuses.
        tar.extractall(into, filter="tar")


async def _content(repository: Repository, record: CommitRecord, stream: str) -> bytes:
    frames = read_parts(repository.store, repository.keys, record.stream(stream))
    return b"".join([bytes(frame) async for frame in frames])
