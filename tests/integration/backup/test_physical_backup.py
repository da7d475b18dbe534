"""Full and incremental backups of real servers, read back as PostgreSQL's own tools read them."""

import io
import subprocess
import tarfile
from pathlib import Path

from dbopsd.backup.catalog.commit import CommitRecord
from dbopsd.backup.catalog.kind import BackupKind, BackupState
from dbopsd.backup.create_backup import create_backup
from dbopsd.backup.model.reports import BackupDescription
from dbopsd.backup.model.requests import CreateBackupRequest
from dbopsd.backup.parts import read_parts
from dbopsd.backup.repository import Repository
from dbopsd.db.database import Database
from tests.support.backed_up import backed_up, repository_of, storing_wal
from tests.support.operation_run import OperationRun
from tests.support.servers import PostgresServer


async def _record(repository: Repository, described: BackupDescription) -> CommitRecord:
    catalog = await repository.catalog(described.system_identifier)
    record = catalog.get(described.name.rpartition("/")[2]).record
    assert record is not None
    return record


async def _stream(repository: Repository, record: CommitRecord, name: str) -> bytes:
    frames = read_parts(repository.store, repository.keys, record.stream(name))
    return b"".join([bytes(frame) async for frame in frames])


async def _unpack(database: Database, described: BackupDescription, into: Path) -> CommitRecord:
    """Write a backup as a data directory with its manifest."""
    async with repository_of(database) as repository:
        record = await _record(repository, described)
        into.mkdir()
        with tarfile.open(fileobj=io.BytesIO(await _stream(repository, record, "base"))) as tar:
            tar.extractall(into, filter="data")
        (into / "backup_manifest").write_bytes(await _stream(repository, record, "manifest"))
    return record


def _verify(server: PostgresServer, directory: Path) -> None:
    done = subprocess.run(
        [server.bin_dir / "pg_verifybackup", "--no-parse-wal", str(directory)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


async def _create(
    database: Database, directory: Path, kind: BackupKind = BackupKind.FULL
) -> BackupDescription:
    run = OperationRun(database, directory)
    try:
        return await create_backup(run, CreateBackupRequest(kind=kind))
    finally:
        await run.close()


async def test_a_full_backup_is_what_pg_verifybackup_accepts(
    cluster: PostgresServer, tmp_path: Path
) -> None:
    async with backed_up(cluster, tmp_path) as database, storing_wal(cluster, database):
        described = await _create(database, tmp_path)
        record = await _unpack(database, described, tmp_path / "unpacked")
    _verify(cluster, tmp_path / "unpacked")
    assert described.state is BackupState.COMPLETE
    assert record.kind is BackupKind.FULL
    assert record.start_lsn < record.stop_lsn
    assert record.source.startswith("primary 127.0.0.1:")
    assert not record.wal_included
    assert not (tmp_path / "unpacked" / "backup_manifest.tmp").exists()
