"""Makes the golden repository: a store as this version writes it, which every later one must read.

    python -m tests.support.golden_repository tests/unit/backup/golden/format_1_1

What a format is, stays in its directory for ever; a new format gets a new one. `contents.json` says
what is in it: the hash of each stream, and of each WAL file.

`format_1` is of before marks were sealed and stores marked, which `format_1_1` has: a version that
reads the one restores from the other, too.
"""

import asyncio
import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from dbopsd.backup.catalog.commit import (
    CommitRecord,
    RowCounts,
    Stream,
    TableRows,
    Tablespace,
    write_commit,
)
from dbopsd.backup.catalog.kind import BackupKind
from dbopsd.backup.catalog.layout import Layout
from dbopsd.backup.catalog.lsn import Lsn, Segment
from dbopsd.backup.catalog.notes import NoteKind, write_note
from dbopsd.backup.codec.compression import Compression
from dbopsd.backup.codec.data_keys import DataKeys
from dbopsd.backup.codec.key_files import KeyEncryptionKeys
from dbopsd.backup.parts import PartWriter
from dbopsd.backup.repository import Repository
from dbopsd.backup.store.durable_store import DurableStore
from dbopsd.backup.store.file_store import FileStore
from dbopsd.backup.wal.archive import Mark, mark_key
from dbopsd.backup.wal.day_keys import DayKeys
from dbopsd.backup.wal.events import EventKind, write_event
from dbopsd.backup.wal.mark_seals import seal_mark
from dbopsd.backup.wal.stored_wal import WalWriter
from dbopsd.config.backup import DatabaseBackupConfig
from tests.support.backup_keys import RECIPIENT, keys

DATABASE: Final = "golden"
SYSTEM: Final = "7500000000000000001"
LAYOUT: Final = Layout(DATABASE, SYSTEM)
SEGMENT_BYTES: Final = 2**20
PARTIAL_BYTES: Final = 3 * 8192
HELD_UNTIL: Final = "2040-01-01T00:00:00+00:00"
HISTORY: Final = b"1\t0/480000\tno recovery target specified\n"

_AT: Final = datetime(2026, 11, 30, 2, 0, 0, 123456, tzinfo=UTC)
_FULL: Final = CommitRecord(
    id="full-20261130t020000z-000001",
    database=DATABASE,
    kind=BackupKind.FULL,
    system_identifier=SYSTEM,
    server_version="18.6",
    timeline=1,
    start_lsn=Lsn(0x200028),
    stop_lsn=Lsn(0x200130),
    start_time=_AT,
    stop_time=_AT + timedelta(minutes=1),
    codec="zstd:3",
    made_by="0.1.0",
    source="primary localhost:5432",
    streams=(),
    key_id="k1",
    manifest_sha256="11" * 32,
    segment_bytes=SEGMENT_BYTES,
    checksums=True,
    tablespaces=(Tablespace(16384, "/srv/tablespaces/één"),),
    row_counts=RowCounts(
        Lsn(0x200200), (TableRows("app", "public", "rows", 7),), ("app.public.locked: locked",)
    ),
    label="the first",
)
_INCREMENTAL: Final = replace(
    _FULL,
    id="incremental-20261130t080000z-000002",
    kind=BackupKind.INCREMENTAL,
    start_lsn=Lsn(0x300028),
    stop_lsn=Lsn(0x300130),
    start_time=_AT + timedelta(hours=6),
    stop_time=_AT + timedelta(hours=6, minutes=1),
    codec="gzip:1",
    parent=_FULL.id,
    parent_manifest_sha256=_FULL.manifest_sha256,
    manifest_sha256="22" * 32,
    tablespaces=(),
    row_counts=None,
    label="",
)
_LOGICAL: Final = replace(
    _FULL,
    id="logical-20261130t090000z-000003",
    kind=BackupKind.LOGICAL,
    start_time=_AT + timedelta(hours=7),
    stop_time=_AT + timedelta(hours=7, minutes=1),
    codec="none",
    key_id="",
    manifest_sha256="",
    tablespaces=(),
    row_counts=None,
    label="",
    dbname="app",
    tables=("public.rows",),
)


def config(store: str, codec: str = "zstd:3") -> DatabaseBackupConfig:
    """The configuration of a repository; its keys are those of the tests."""
    return DatabaseBackupConfig.model_validate({"store": store, "codec": codec})


def repository(root: Path, codec: str = "zstd:3", *, encrypted: bool = True) -> Repository:
    """The repository in a directory, with the tests' keys."""
    store = DurableStore(FileStore(root))
    # One of its backups is not encrypted.
    using = keys("k1", "k1", "k2", recipient=RECIPIENT, accepts_unencrypted=True)
    using = using if encrypted else KeyEncryptionKeys()
    data_keys = DataKeys(store, LAYOUT.database_folder, using)
    return Repository(
        DATABASE, config(root.as_uri(), codec), store, data_keys, Compression.parse(codec)
    )


def text(name: str, size: int) -> bytes:
    """Bytes that are always the same, and of which most can be compressed."""
    line = f"{name}: the same again; ".encode()
    return (line * (size // len(line) + 1))[:size]


async def _store(
    into: Repository, record: CommitRecord, contents: Mapping[str, bytes]
) -> dict[str, str]:
    """A backup of these streams, and its commit record; the hash of each stream."""
    data_key = await into.keys.create()
    streams = []
    for name, content in contents.items():
        stem = f"{LAYOUT.backup(record.id)}{name}"
        async with PartWriter(
            into.store, stem, into.compression, data_key, part_bytes=150
        ) as writer:
            await writer.write(content)
            streams.append(Stream(name, await writer.finish()))
    record = replace(
        record,
        streams=tuple(streams),
        data_key="" if data_key is None else data_key.id.hex(),
    )
    await into.store.create(LAYOUT.commit(record.id), write_commit(record, data_key))
    return {name: _sha256(content) for name, content in contents.items()}


async def make(root: Path) -> None:
    """Make the repository in `root`/store, and `root`/contents.json."""
    store = root / "store"
    backups = {}
    zstd, gzip = repository(store), repository(store, "gzip:1")
    plain = repository(store, "none", encrypted=False)
    base = {"base": text("base", 4_500_000), "manifest": text("manifest", 3_000), "16384": b""}
    backups[_FULL.id] = await _store(zstd, _FULL, base)
    changed = {"base": text("changed", 40_000), "manifest": text("manifest 2", 3_000)}
    backups[_INCREMENTAL.id] = await _store(gzip, _INCREMENTAL, changed)
    dump = {"toc.dat": text("toc", 2_000), "3001.dat.gz": text("rows", 6_000)}
    backups[_LOGICAL.id] = await _store(plain, _LOGICAL, dump)
    wal = {}
    writer = WalWriter(zstd, LAYOUT, today=lambda: "20261130")
    for number in (2, 3, 4):
        segment = Segment(1, number, SEGMENT_BYTES)
        content = text(str(segment), SEGMENT_BYTES)
        await writer.store_segment(segment, content)
        wal[str(segment)] = _sha256(content)
    await writer.store_history(2, HISTORY)
    last = Segment(2, 4, SEGMENT_BYTES)
    beginning = text(str(last), PARTIAL_BYTES)
    await writer.store_partial(last, beginning)
    wal[str(last)] = _sha256(beginning)
    day_keys = DayKeys(zstd, LAYOUT, lambda: "20261130")
    mark = seal_mark(LAYOUT, Mark(1, Lsn(0x400100), _AT), await day_keys.of_today())
    await zstd.store.create(mark_key(LAYOUT, mark), b"")
    await zstd.store.prepare()
    await write_event(
        zstd.store,
        LAYOUT,
        EventKind.GAP,
        timeline=1,
        start=Lsn(0x100000),
        end=Lsn(0x200000),
        cause="the slot was dropped",
    )
    for kind, fields in (
        (NoteKind.HOLD, {"until": HELD_UNTIL}),
        (NoteKind.VERIFIED, {"ok": True, "problems": []}),
        (NoteKind.DRILLED, {"ok": True}),
        (NoteKind.EXPIRED, {"reason": "age", "grace_s": 86400.0}),
        (NoteKind.KEPT, {}),
        (NoteKind.LABEL, {"label": "another"}),
    ):
        await write_note(zstd.store, LAYOUT, _FULL.id, kind, fields)
    contents = {"backups": backups, "wal": wal}
    (root / "contents.json").write_text(json.dumps(contents, indent=1, sort_keys=True) + "\n")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    asyncio.run(make(Path(sys.argv[1]).absolute()))
