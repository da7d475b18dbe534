"""The results of the operations on backups. An LSN is text, as PostgreSQL writes it."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from dbopsd.backup.catalog.kind import BackupKind, BackupState
from dbopsd.backup.model.requests import RecoveryTarget


@dataclass(frozen=True)
class BackupObject:
    """An object of a backup. `path` is its key in the store."""

    path: str
    stored_bytes: int
    sha256: str


@dataclass(frozen=True)
class BackupDescription:
    """A backup and what became of it. `name` and `parent`: `databases/{database}/backups/{id}`."""

    name: str
    state: BackupState
    kind: BackupKind | None = None
    """None where its commit record is damaged: so is nearly all that follows."""
    problem: str = ""
    parent: str = ""
    system_identifier: str = ""
    server_version: str = ""
    timeline: int = 0
    start_lsn: str = ""
    stop_lsn: str = ""
    start_time: datetime | None = None
    stop_time: datetime | None = None
    size_bytes: int = 0
    stored_bytes: int = 0
    objects: tuple[BackupObject, ...] = ()
    codec: str = ""
    key_id: str = ""
    label: str = ""
    fallback: str = ""
    held_until: datetime | None = None
    expire_time: datetime | None = None
    """When it is deleted, if it is expired."""
    expire_reason: str = ""
    last_verified: datetime | None = None
    last_drill: datetime | None = None
    last_drill_ok: bool | None = None
    """None where there was no drill."""
    source: str = ""
    dbname: str = ""
    tables: tuple[str, ...] = ()
    tables_counted: int = 0
    rows_counted: int = 0
    schema_only: bool = False
    """Whether it is a dump without rows."""


@dataclass(frozen=True)
class RestorePlan:
    """What a restore needs. Without WAL, segments are empty."""

    backup: str
    first_segment: str = ""
    last_segment: str = ""
    segments: int = 0


@dataclass(frozen=True)
class ReachedMoment:
    """Where recovery ended."""

    time: datetime | None = None
    """The time of the last commit that was replayed; None if there was none."""
    lsn: str = ""
    xid: str = ""
    name: str = ""


@dataclass(frozen=True)
class RestoreReport:
    """What was restored, or, after a dry run, would be. `chain`: backups, the full one first."""

    directory: str
    chain: tuple[str, ...]
    timeline: int
    target: RecoveryTarget
    plan: RestorePlan
    wal_bytes: int = 0
    reached: ReachedMoment | None = None
    """None where the server was not started."""
    seconds: float = 0.0
    instructions: tuple[str, ...] = ()
    address: str = ""
    """Where the started server listens: a socket's directory, or `host:port`."""
    tables: tuple[str, ...] = ()
    """What of a logical backup was restored, each with its rows."""
    schema_only: bool = False
    """Whether all of it is empty, as the backup has no rows."""
    dry_run: bool = False


@dataclass(frozen=True)
class Problem:
    """What is wrong with an object. `problem`: MISSING, TRUNCATED, HASH, ORDER, FOREIGN."""

    object: str
    problem: str
    detail: str


@dataclass(frozen=True)
class VerifiedBackup:
    """A backup that was verified."""

    name: str
    ok: bool
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class WalGap:
    """WAL that is not in the archive, and never will be."""

    timeline: int
    start_lsn: str
    end_lsn: str
    detect_time: datetime | None = None
    cause: str = ""


@dataclass(frozen=True)
class VerifiedWal:
    """The WAL that was verified: how many segments, and what is missing or damaged."""

    segments: int = 0
    gaps: tuple[WalGap, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class VerifyReport:
    """The verified backups and WAL. `ok`: nothing is wrong with any of it."""

    ok: bool
    backups: tuple[VerifiedBackup, ...] = ()
    wal: VerifiedWal = VerifiedWal()


@dataclass(frozen=True)
class DrillCheck:
    """A check of a drill, such as `start`, `reached`, `checksums`, `amcheck`, `rows`."""

    name: str
    ok: bool
    detail: str
    seconds: float


@dataclass(frozen=True)
class DrillReport:
    """A drill. `recovery_point_seconds`: how much newest work a disaster now would have lost."""

    ok: bool
    backup: str
    target: RecoveryTarget
    recovery_seconds: float
    recovery_point_seconds: float
    checks: tuple[DrillCheck, ...]
    reached: ReachedMoment | None = None
    directory: str = ""
    """Where the restored cluster is, if it was kept."""


@dataclass(frozen=True)
class ExpiredBackup:
    """A backup that is no longer wanted. `deleted`: it is gone already."""

    name: str
    reason: str
    expire_time: datetime | None = None
    deleted: bool = False


@dataclass(frozen=True)
class KeptBackup:
    """A backup that is kept, and every reason for it."""

    name: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class RetentionReport:
    """What retention did, or would do. `wal_deleted`: so many segments."""

    expired: tuple[ExpiredBackup, ...] = ()
    kept: tuple[KeptBackup, ...] = ()
    wal_deleted: int = 0
    orphans_deleted: int = 0
    """Objects of backups that were never committed, or of deleted ones."""
    dry_run: bool = False


@dataclass(frozen=True)
class DeleteReport:
    """The deleted backups, each before those it rested on."""

    deleted: tuple[str, ...]
    dry_run: bool = False


@dataclass(frozen=True)
class RotateReport:
    """A rotation of keys: so many data keys are wrapped by `key_id` now."""

    rewrapped: int
    key_id: str


@dataclass(frozen=True)
class RecoveryWindow:
    """Moments that can be restored to. A backup without WAL after it is a point."""

    timeline: int
    start_time: datetime
    start_lsn: str
    end_time: datetime
    end_lsn: str
    backup: str
    """The newest backup before its start."""


@dataclass(frozen=True)
class RecoveryWindows:
    """Every moment that can be restored to, and every gap."""

    windows: tuple[RecoveryWindow, ...] = ()
    gaps: tuple[WalGap, ...] = ()
    notes: tuple[str, ...] = ()
    """Why there may be more than is known of, a sentence each."""


class WalState(Enum):
    """How the WAL archive does."""

    STREAMING = "STREAMING"
    """WAL is received and stored."""
    ARCHIVING = "ARCHIVING"
    """The server pushes WAL by its `archive_command`."""
    STOPPED = "STOPPED"
    """Nothing receives WAL now."""
    SLOT_LOST = "SLOT_LOST"
    """The slot is gone or has lost WAL."""
    OFF = "OFF"
    """The configuration has `wal = "off"`."""


@dataclass(frozen=True)
class WalStatus:
    """How far the archive is. What is not known is empty, or None."""

    state: WalState
    slot: str = ""
    timeline: int = 0
    received_lsn: str = ""
    archived_lsn: str = ""
    archived_time: datetime | None = None
    lag_bytes: int | None = None
    lag_seconds: float | None = None
    spool_bytes: int | None = None
    problem: str = ""
