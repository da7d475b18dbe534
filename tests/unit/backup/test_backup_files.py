"""What a backup says about itself: its label, its map of tablespaces, its manifest."""

import hashlib
import json

import pytest

from dbopsd.backup.catalog.commit import Tablespace
from dbopsd.backup.catalog.lsn import Lsn
from dbopsd.backup.physical.backup_label import BackupLabel, parse_label, parse_tablespace_map
from dbopsd.backup.physical.backup_manifest import ManifestReader, NeededWal

LABEL = b"""START WAL LOCATION: 0/2000028 (file 000000010000000000000002)
CHECKPOINT LOCATION: 0/2000060
BACKUP METHOD: streamed
BACKUP FROM: standby
START TIME: 2026-11-30 08:00:00 UTC
LABEL: full-1
START TIMELINE: 3
"""


def test_a_label_says_where_recovery_begins() -> None:
    assert parse_label(LABEL) == BackupLabel(Lsn.parse("0/2000028"), 3)
    with pytest.raises(ValueError, match="backup_label"):
        parse_label(b"")


def test_a_map_of_tablespaces_escapes_odd_characters() -> None:
    content = b"16385 /disks/one\n16386 /disks/a\\\nb\\\\c d\n"
    assert parse_tablespace_map(content) == (
        Tablespace(16385, "/disks/one"),
        Tablespace(16386, "/disks/a\nb\\c d"),
    )
    assert parse_tablespace_map(b"") == ()
    with pytest.raises(ValueError, match="tablespace_map"):
        parse_tablespace_map(b"16385\n")


def _manifest(files: int, ranges: list[dict[str, object]]) -> bytes:
    listed = ",\n".join(json.dumps({"Path": f"base/1/{number}"}) for number in range(files))
    return (
        f'{{ "PostgreSQL-Backup-Manifest-Version": 1,\n"Files": [\n{listed}\n],\n'
        f'"WAL-Ranges": {json.dumps(ranges)},\n"Manifest-Checksum": "00"}}\n'
    ).encode()


RANGES: list[dict[str, object]] = [
    {"Timeline": 2, "Start-LSN": "0/3000000", "End-LSN": "0/3000100"},
    {"Timeline": 1, "Start-LSN": "0/2000028", "End-LSN": "0/3000000"},
]


@pytest.mark.parametrize("files", [1, 10_000])
@pytest.mark.parametrize("piece", [7, 1000, 2**20])
def test_the_end_of_a_manifest_says_which_wal_it_needs(files: int, piece: int) -> None:
    content = _manifest(files, RANGES)
    reader = ManifestReader()
    for start in range(0, len(content), piece):
        reader.feed(content[start : start + piece])
    assert reader.sha256 == hashlib.sha256(content).hexdigest()
    assert reader.needed_wal() == [
        NeededWal(1, Lsn.parse("0/2000028"), Lsn.parse("0/3000000")),
        NeededWal(2, Lsn.parse("0/3000000"), Lsn.parse("0/3000100")),
    ]


@pytest.mark.parametrize("content", [b"", _manifest(3, [])[:-30], _manifest(3, [])])
def test_a_manifest_without_wal_is_none(content: bytes) -> None:
    reader = ManifestReader()
    reader.feed(content)
    with pytest.raises(ValueError, match="WAL"):
        reader.needed_wal()
