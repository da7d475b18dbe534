"""The requests of the operations on backups, and the rules of their values."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Final

from dbopsd.backup.catalog.kind import BackupKind
from dbopsd.backup.catalog.layout import is_backup_id
from dbopsd.backup.catalog.lsn import Lsn
from dbopsd.errors import InvalidField
from dbopsd.operations.kind import Request

_MOST_LABEL_CHARS: Final = 200
_MOST_NAME_BYTES: Final = 63
_MOST_XID: Final = 2**64 - 1
_MOST_TIMELINE: Final = 2**32 - 1


class Checkpoint(Enum):
    """How the server makes the checkpoint that a physical backup begins with."""

    FAST = "FAST"
    SPREAD = "SPREAD"


class Source(Enum):
    """Which server of the cluster a backup is taken from."""

    PRIMARY = "PRIMARY"
    STANDBY = "STANDBY"


class Depth(Enum):
    """How thoroughly backups are verified."""

    OBJECTS = "OBJECTS"
    CONTENTS = "CONTENTS"


class TargetAction(Enum):
    """What a restored server does once it has reached its target."""

    PROMOTE = "PROMOTE"
    PAUSE = "PAUSE"


@dataclass(frozen=True)
class CreateBackupRequest(Request):
    """Take a backup. `dbname`, `tables` and `schema_only` are for a logical one only."""

    kind: BackupKind = BackupKind.FULL
    checkpoint: Checkpoint = Checkpoint.FAST
    source: Source | None = None
    """None: as the configuration has it."""
    label: str = ""
    hold_until: datetime | None = None
    dbname: str = ""
    tables: tuple[str, ...] = ()
    if_supported: bool = False
    """Of an incremental one: none where the server has no such backups."""
    schema_only: bool = False
    """Without any rows."""

    def check(self) -> None:
        check_label(self.label)
        if self.schema_only and self.kind is not BackupKind.LOGICAL:
            raise InvalidField("schema_only", "is for a logical backup only")
        if self.kind is not BackupKind.LOGICAL and (self.dbname or self.tables):
            field_name = "dbname" if self.dbname else "tables"
            raise InvalidField(field_name, "is for a logical backup only")
        if self.kind is BackupKind.LOGICAL and self.source is Source.STANDBY:
            raise InvalidField("source", "is for a physical backup only")
        if self.if_supported and self.kind is not BackupKind.INCREMENTAL:
            raise InvalidField("if_supported", "is for an incremental backup only")
        _check_database(self.dbname)
        _check_tables(self.tables)


@dataclass(frozen=True)
class RecoveryTarget:
    """A moment to recover to: one of its first six, or none of them, which is the latest.

    `exclusive`: stop before the time, the LSN or the xid, not after it. `timeline`: a number,
    `latest` or `current`, the timeline of the backup; empty: the only one that has the moment.
    """

    latest: bool = False
    immediate: bool = False
    time: datetime | None = None
    lsn: str = ""
    xid: str = ""
    name: str = ""
    exclusive: bool = False
    timeline: str = ""

    def check(self, above: str) -> None:
        """Raise `InvalidField`; `above` is the field that has the target."""
        given = [
            name
            for name in ("latest", "immediate", "time", "lsn", "xid", "name")
            if getattr(self, name)
        ]
        if len(given) > 1:
            raise InvalidField(f"{above}.{given[1]}", f"goes with no other target, {given[0]}")
        if self.exclusive and not (self.time or self.lsn or self.xid):
            raise InvalidField(f"{above}.exclusive", "goes with a time, an LSN or an xid only")
        if self.lsn:
            try:
                Lsn.parse(self.lsn)
            except ValueError as error:
                raise InvalidField(f"{above}.lsn", str(error)) from None
        if self.xid and not (_is_number(self.xid) and 3 <= int(self.xid) <= _MOST_XID):
            raise InvalidField(f"{above}.xid", f"is no id of a transaction: {self.xid!r}")
        if len(self.name.encode()) > _MOST_NAME_BYTES or not self.name.isprintable():
            raise InvalidField(f"{above}.name", "is longer than 63 bytes, or has odd characters")
        _check_timeline(f"{above}.timeline", self.timeline)


@dataclass(frozen=True)
class RestoreBackupRequest(Request):
    """Restore the cluster to a moment, or a logical backup.

    `backup_id`: begin with this backup; empty: the best one for the target. `directory`: where on
    the worker's machine; empty: a new one in the state directory. `tablespace_mappings`: the new
    directory of each tablespace, by its old one. `dry_run`: only plan.
    """

    target: RecoveryTarget = field(default_factory=RecoveryTarget)
    backup_id: str = ""
    directory: str = ""
    tablespace_mappings: dict[str, str] = field(default_factory=dict)
    target_action: TargetAction = TargetAction.PROMOTE
    start: bool = False
    dbname: str = ""
    tables: tuple[str, ...] = ()
    dry_run: bool = False

    def check(self) -> None:
        self.target.check("target")
        check_backup("backup", self.backup_id)
        _check_directory("directory", self.directory)
        for old, new in self.tablespace_mappings.items():
            if not old or not new:
                raise InvalidField("tablespace_mappings", "needs both directories, OLD=NEW")
            _check_directory("tablespace_mappings", old)
            _check_directory("tablespace_mappings", new)
        _check_database(self.dbname)
        _check_tables(self.tables)


@dataclass(frozen=True)
class VerifyBackupsRequest(Request):
    """Verify these backups; without `backup_ids` every complete one. `all`: expired ones too."""

    backup_ids: tuple[str, ...] = ()
    all: bool = False
    depth: Depth = Depth.OBJECTS

    def check(self) -> None:
        if self.backup_ids and self.all:
            raise InvalidField("all", "goes with no list of backups")
        for number, id_ in enumerate(self.backup_ids):
            check_backup(f"backups[{number}]", id_)


@dataclass(frozen=True)
class DrillBackupRequest(Request):
    """Restore into a scratch server and check it. `check_sql`: statements; each yields true rows.

    `random`: a moment of the reachable ones, at random. `keep`: leave the server's directory.
    """

    target: RecoveryTarget = field(default_factory=RecoveryTarget)
    backup_id: str = ""
    random: bool = False
    check_sql: str = ""
    keep: bool = False

    def check(self) -> None:
        self.target.check("target")
        check_backup("backup", self.backup_id)
        target = self.target
        if self.random and any(
            (target.latest, target.immediate, target.time, target.lsn, target.xid, target.name)
        ):
            raise InvalidField("random", "goes with no other target")


@dataclass(frozen=True)
class DeleteBackupRequest(Request):
    """Delete a backup now. `with_children`: and those that rest on it."""

    backup_id: str
    with_children: bool = False
    dry_run: bool = False

    def check(self) -> None:
        check_backup("backup", self.backup_id)


@dataclass(frozen=True)
class ApplyRetentionRequest(Request):
    """Expire and delete what the rules of retention no longer want. `dry_run`: only say so."""

    dry_run: bool = False


@dataclass(frozen=True)
class RotateKeysRequest(Request):
    """Wrap every data key by the key `to`, and no longer by others."""

    to: str

    def check(self) -> None:
        if not self.to:
            raise InvalidField("to", "names no key")


def check_backup(name: str, id_: str) -> None:
    """Raise `InvalidField` unless `id_` could be a backup's, or is empty."""
    if id_ and not is_backup_id(id_):
        raise InvalidField(name, f"is no backup's name: {id_!r}")


def check_label(label: str) -> None:
    """Raise `InvalidField` for a label that is too long or does not print."""
    if len(label) > _MOST_LABEL_CHARS or not label.isprintable():
        raise InvalidField("label", f"is longer than {_MOST_LABEL_CHARS} characters, or odd")


def _check_timeline(name: str, timeline: str) -> None:
    if timeline in ("", "latest", "current"):
        return
    if not (_is_number(timeline) and 1 <= int(timeline) <= _MOST_TIMELINE):
        raise InvalidField(name, f"is no timeline, nor latest, nor current: {timeline!r}")


def _check_directory(name: str, directory: str) -> None:
    if directory and (not directory.startswith("/") or "\0" in directory or "\n" in directory):
        raise InvalidField(name, f"is no absolute path: {directory!r}")


def _check_database(dbname: str) -> None:
    if len(dbname.encode()) > _MOST_NAME_BYTES or "\0" in dbname:
        raise InvalidField("dbname", "is longer than 63 bytes, or has a zero byte")


def _check_tables(tables: tuple[str, ...]) -> None:
    for number, table in enumerate(tables):
        if not table or "\0" in table or "\n" in table:
            raise InvalidField(f"tables[{number}]", "is empty, or has a zero byte or a line break")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= len(str(_MOST_XID))
