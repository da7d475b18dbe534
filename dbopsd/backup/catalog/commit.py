"""A backup's commit record: what is needed to restore it, in one object that is written last."""

import hashlib
import hmac
import json
import re
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import Annotated, Any, Final

from pydantic import PlainSerializer, PlainValidator, TypeAdapter, ValidationError

from dbopsd.backup.catalog.errors import CommitRecordTooLarge
from dbopsd.backup.catalog.kind import BackupKind
from dbopsd.backup.catalog.layout import Layout
from dbopsd.backup.catalog.lsn import SEGMENT_BYTES, Lsn
from dbopsd.backup.codec.errors import BackupDamaged, Damage
from dbopsd.backup.codec.sealed_object import DataKey
from dbopsd.backup.codec.whole_object import MOST_RECORD_BYTES
from dbopsd.backup.parts import StoredObject

FORMAT: Final = 2
"""The newest that is read. Grows when an older version would misjudge what a newer one wrote."""
FIRST_FORMAT: Final = 1
SCHEMA_ONLY_FORMAT: Final = 2
"""Of dumps of a schema alone: who reads only the first format would take them for the rows."""

_SEAL: Final = "seal"
_NO_RECORD: Final = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    ValidationError,
    RecursionError,
)
_DATA_KEY: Final = re.compile(r"(?:[0-9a-f]{32})?")
_SEGMENT_SIZES: Final = frozenset(2**power for power in range(20, 31))

JsonLsn = Annotated[
    Lsn, PlainValidator(lambda text: Lsn.parse(str(text))), PlainSerializer(str, return_type=str)
]


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream of a backup in its parts.

    `name`: `base`, `manifest`, the OID of a tablespace, or the name of a file of a dump.
    """

    name: str
    parts: tuple[StoredObject, ...]


@dataclass(frozen=True, slots=True)
class Tablespace:
    """A tablespace outside the data directory."""

    oid: int
    location: str


@dataclass(frozen=True, slots=True)
class TableRows:
    """How many rows a table had, as of `RowCounts.lsn`."""

    database: str
    schema: str
    table: str
    rows: int


@dataclass(frozen=True, slots=True)
class RowCounts:
    """The rows of tables, counted in one snapshot, all commits before `lsn` and none after it."""

    lsn: JsonLsn
    tables: tuple[TableRows, ...]
    left_out: tuple[str, ...] = ()
    """Tables that were not counted, each with the reason."""


@dataclass(frozen=True, slots=True)
class CommitRecord:
    """A backup, as it was committed. Times are in UTC."""

    id: str
    database: str
    kind: BackupKind
    system_identifier: str
    server_version: str
    timeline: int
    start_lsn: JsonLsn
    stop_lsn: JsonLsn
    start_time: datetime
    stop_time: datetime
    codec: str
    made_by: str
    """The version of dbopsd."""
    source: str
    """Which server it was taken from: `primary` or `standby`, and its address."""
    streams: tuple[Stream, ...]
    parent: str = ""
    parent_manifest_sha256: str = ""
    key_id: str = ""
    """The key that the data key was wrapped by when the backup was made; empty: not encrypted."""
    data_key: str = ""
    """The id of the data key, in hexadecimal."""
    manifest_sha256: str = ""
    segment_bytes: int = SEGMENT_BYTES
    checksums: bool = False
    """Whether the cluster has data checksums."""
    wal_included: bool = False
    """Whether `base` has all WAL that the backup needs, so that none of the archive is its."""
    tablespaces: tuple[Tablespace, ...] = ()
    row_counts: RowCounts | None = None
    label: str = ""
    fallback: str = ""
    """Why it is full, where an incremental one was asked for."""
    dbname: str = ""
    tables: tuple[str, ...] = ()
    schema_only: bool = False
    """Whether a dump has no rows: it is nobody's way back to data."""
    format: int = FIRST_FORMAT

    @property
    def server_major(self) -> int:
        """The major version of its server; 0 where `server_version` begins with no digit."""
        return int("".join(takewhile(str.isdigit, self.server_version)) or 0)

    @property
    def objects(self) -> tuple[StoredObject, ...]:
        """Every object but the record itself."""
        return tuple(part for stream in self.streams for part in stream.parts)

    @property
    def size_bytes(self) -> int:
        """Its size before compression."""
        return sum(each.plain_bytes for each in self.objects)

    @property
    def stored_bytes(self) -> int:
        """Its size in the store, without the commit record."""
        return sum(each.stored_bytes for each in self.objects)

    def stream(self, name: str) -> tuple[StoredObject, ...]:
        """The parts of a stream. Raises KeyError."""
        for each in self.streams:
            if each.name == name:
                return each.parts
        raise KeyError(name)


_RECORDS: Final = TypeAdapter(CommitRecord)


def write_commit(
    record: CommitRecord, data_key: DataKey | None, *, most_bytes: int = MOST_RECORD_BYTES
) -> bytes:
    """The record as its object. It is sealed by a hash, and by the data key where there is one.

    Raises `CommitRecordTooLarge` for one of more than `most_bytes`: it could not be read again.
    """
    fields: dict[str, Any] = _RECORDS.dump_python(record, mode="json")
    fields[_SEAL] = _seal(fields, data_key)
    content = json.dumps(fields, indent=1, ensure_ascii=False).encode() + b"\n"
    if len(content) > most_bytes:
        raise CommitRecordTooLarge(record.id, len(content), most_bytes)
    return content


def read_commit(key: str, content: bytes) -> CommitRecord:
    """The record of an object. Raises `BackupDamaged`.

    Only `check_commit` finds a record that somebody who has no key has written.
    """
    try:
        fields = json.loads(content)
        seal = fields.pop(_SEAL)
        if fields["format"] > FORMAT:
            detail = f"it has format {fields['format']}: only a newer dbopsd reads it"
            raise BackupDamaged(key, Damage.FOREIGN, detail)
        if seal["sha256"] != _seal(fields, None)["sha256"]:
            raise BackupDamaged(key, Damage.HASH, "its fields are not those that were written")
        record = _RECORDS.validate_python(fields)
        if record.segment_bytes not in _SEGMENT_SIZES or record.timeline < 1:
            raise ValueError("no server has such WAL")
        if not _DATA_KEY.fullmatch(record.data_key):
            raise ValueError("no data key has such an id")
    except _NO_RECORD as error:
        empty = not content.strip()
        problem = Damage.TRUNCATED if empty else Damage.HASH
        raise BackupDamaged(key, problem, "it is no commit record") from error
    layout = Layout(record.database, record.system_identifier)
    if key != layout.commit(record.id):
        of = f"{record.id} of cluster {record.system_identifier}, database '{record.database}'"
        raise BackupDamaged(key, Damage.FOREIGN, f"it is the record of {of}")
    return record


def check_commit(key: str, content: bytes, data_key: DataKey) -> CommitRecord:
    """The record, written by somebody who has the data key. Raises `BackupDamaged`."""
    record = read_commit(key, content)
    fields = json.loads(content)
    seal = fields.pop(_SEAL)
    # A text of other letters than ASCII is not compared as it is.
    found = str(seal.get("mac")).encode(errors="replace")
    if not hmac.compare_digest(found, _seal(fields, data_key)["mac"].encode()):
        raise BackupDamaged(key, Damage.FOREIGN, "it was not written with the data key it names")
    return record


def _seal(fields: dict[str, Any], data_key: DataKey | None) -> dict[str, str]:
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    seal = {"sha256": hashlib.sha256(canonical.encode()).hexdigest()}
    if data_key is not None:
        key = hmac.digest(data_key.key, b"dbopsd commit record", "sha256")
        seal["mac"] = hmac.new(key, canonical.encode(), "sha256").hexdigest()
    return seal
