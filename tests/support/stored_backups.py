"""Backups in a store that no server was needed for: of any bytes, as the real ones are stored."""

import base64
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dbopsd.backup.catalog.commit import CommitRecord, Stream, write_commit
from dbopsd.backup.catalog.kind import BackupKind
from dbopsd.backup.catalog.layout import Layout
from dbopsd.backup.catalog.lsn import Lsn, Segment
from dbopsd.backup.codec.sealed_object import seal_object
from dbopsd.backup.parts import PartWriter
from dbopsd.backup.repository import Repository
from dbopsd.backup.wal.archive import segment_key
from dbopsd.config.backup import DatabaseBackupConfig

SYSTEM = "7500000000000000001"
SEGMENT_BYTES = 2**20


def backup_config(directory: Path, *, encrypted: bool = True) -> DatabaseBackupConfig:
    """A store below `directory`, and a key in a file there."""
    keys = {}
    if encrypted:
        key = directory / "k1"
        key.write_bytes(base64.b64encode(os.urandom(32)))
        key.chmod(0o600)
        keys = {"current": "k1", "k1": f"file:{key}"}
    return DatabaseBackupConfig.model_validate(
        {"store": f"file://{directory}/store", "codec": "zstd:1", "keys": keys}
    )


async def store_backup(
    repository: Repository,
    id_: str,
    *,
    system: str = SYSTEM,
    start: int = 0,
    stop: int = SEGMENT_BYTES,
    content_bytes: int = 2_500_000,
    parent: CommitRecord | None = None,
    began: datetime = datetime(2026, 11, 30, 2, tzinfo=UTC),
) -> CommitRecord:
    """A backup with a base of two parts and a manifest, and its commit record."""
    layout = Layout(repository.database, system)
    data_key = await repository.keys.create()
    streams = []
    for name, content in (("base", os.urandom(content_bytes)), ("manifest", os.urandom(500))):
        stem = f"{layout.backup(id_)}{name}"
        async with PartWriter(
            repository.store, stem, repository.compression, data_key, part_bytes=content_bytes // 3
        ) as writer:
            for begin in range(0, len(content), 2**20):
                await writer.write(content[begin : begin + 2**20])
            streams.append(Stream(name, await writer.finish()))
    record = CommitRecord(
        id=id_,
        database=repository.database,
        kind=BackupKind.FULL if parent is None else BackupKind.INCREMENTAL,
        system_identifier=system,
        server_version="18.6",
        timeline=1,
        start_lsn=Lsn(start),
        stop_lsn=Lsn(stop),
        start_time=began,
        stop_time=began + timedelta(minutes=5),
        codec=str(repository.compression),
        made_by="test",
        source="primary",
        streams=tuple(streams),
        key_id=repository.keys.key_id,
        data_key="" if data_key is None else data_key.id.hex(),
        manifest_sha256=os.urandom(32).hex(),
        segment_bytes=SEGMENT_BYTES,
    )
    if parent is not None:
        record = replace(record, parent=parent.id, parent_manifest_sha256=parent.manifest_sha256)
    await repository.store.create(layout.commit(id_), write_commit(record, data_key))
    return record


async def store_wal(
    repository: Repository, *numbers: int, timeline: int = 1, system: str = SYSTEM
) -> None:
    """Segments of random WAL."""
    layout = Layout(repository.database, system)
    data_key = await repository.keys.create()
    for number in numbers:
        key = segment_key(layout, Segment(timeline, number, SEGMENT_BYTES))
        content = os.urandom(SEGMENT_BYTES)
        await repository.store.create(
            key, seal_object(key, content, repository.compression, data_key)
        )
