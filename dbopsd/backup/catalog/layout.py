"""Where things are in the store.

    _store.json                                 which store it is
    DATABASE/keys/DATA_KEY/KEY.json             a data key, wrapped
    DATABASE/SYSTEM/backups/ID/COMMIT.json      a backup's commit record, written last
    DATABASE/SYSTEM/backups/ID/STREAM.00000     what was backed up, in parts
    DATABASE/SYSTEM/notes/ID/TIME-KIND.json     what became of a backup later: held, verified, …
    DATABASE/SYSTEM/wal/TIMELINE/SEGMENT        a complete WAL segment
    DATABASE/SYSTEM/wal/TIMELINE/SEGMENT.partial.BYTES   the beginning of one
    DATABASE/SYSTEM/wal/TIMELINE/marks/LSN-TIME[-DATA_KEY-SEAL]   that all until then is stored; no
                                                content
    DATABASE/SYSTEM/wal/history/TIMELINE.history
    DATABASE/SYSTEM/wal/days/DAY-DATA_KEY       which data key a day's WAL has; no content
    DATABASE/SYSTEM/wal/events/TIME-KIND.json   gaps and other events of the archive
    DATABASE/SYSTEM/leases/HOLDER/EXPIRES.json  who reads what until when

SYSTEM is the cluster's system identifier. A backup without a commit record does not exist.
"""

import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

COMMIT: Final = "COMMIT.json"

_BACKUP_ID: Final = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Layout:
    """The part of a store that holds the backups of one cluster, under a database's name."""

    database: str
    system_identifier: str

    @property
    def database_folder(self) -> str:
        """The folder of the database, whatever clusters it had."""
        return f"{self.database}/"

    @property
    def folder(self) -> str:
        """The folder of the cluster."""
        return f"{self.database}/{self.system_identifier}/"

    @property
    def backups(self) -> str:
        """The folder of the backups."""
        return f"{self.folder}backups/"

    @property
    def wal(self) -> str:
        """The folder of the WAL archive."""
        return f"{self.folder}wal/"

    @property
    def leases(self) -> str:
        """The folder of the leases."""
        return f"{self.folder}leases/"

    def backup(self, id_: str) -> str:
        """The folder of a backup."""
        return f"{self.backups}{id_}/"

    def commit(self, id_: str) -> str:
        """The key of a backup's commit record."""
        return f"{self.backup(id_)}{COMMIT}"

    def notes(self, id_: str = "") -> str:
        """The folder of the notes about a backup; without `id_`, of all."""
        return f"{self.folder}notes/{id_}/" if id_ else f"{self.folder}notes/"


SCHEMA_ONLY_ID: Final = "schema"
"""What ids of dumps of a schema alone begin with: whoever reads one is to expect no rows."""


def new_backup_id(kind: str, at: datetime) -> str:
    """A new id that sorts by time within its kind: `full-20261130t020000z-3f9a1c`."""
    return f"{kind.lower()}-{at:%Y%m%dt%H%M%Sz}-{secrets.token_hex(3)}"


def is_backup_id(text: str) -> bool:
    """Whether `text` could be a backup's id."""
    return _BACKUP_ID.fullmatch(text) is not None


def time_name(at: datetime) -> str:
    """A time in names: microseconds since 1970, in 16 digits, which sort."""
    # Not by `timestamp()`: a float loses a microsecond here and there.
    return f"{(at - _EPOCH) // _MICROSECOND:016}"


def parse_time(text: str) -> datetime:
    """The time in a name. Raises ValueError if it is none."""
    try:
        return _EPOCH + int(text) * _MICROSECOND
    except OverflowError:
        raise ValueError(f"is no time in microseconds since 1970: {text!r}") from None
