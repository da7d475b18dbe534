"""The errors of the catalog."""

from dataclasses import dataclass
from typing import ClassVar

from dbopsd.errors import DbopsError, StatusCode


@dataclass(eq=False)
class BackupNotFound(DbopsError):
    """There is no backup of that name."""

    reason: ClassVar[str] = "BACKUP_NOT_FOUND"
    code: ClassVar[StatusCode] = StatusCode.NOT_FOUND

    database: str
    backup: str

    @property
    def message(self) -> str:
        return (
            f"database '{self.database}' has no backup '{self.backup}': `dbops backup list "
            "--database "
            f"{self.database}` lists them"
        )


@dataclass(eq=False)
class BackupsNotConfigured(DbopsError):
    """The database has no store for backups."""

    reason: ClassVar[str] = "BACKUP_NOT_CONFIGURED"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    database: str

    @property
    def message(self) -> str:
        return (
            f"database '{self.database}' has no place for backups: set `store` in "
            f'[databases.{self.database}.backup], such as "file:///var/backups/pg"'
        )


@dataclass(eq=False)
class SystemIdentifierChanged(DbopsError):
    """The server is another cluster than the one in the store. `backup`: the newest of that one."""

    reason: ClassVar[str] = "SYSTEM_IDENTIFIER_CHANGED"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    database: str
    expected: str
    found: str
    backup: str

    @property
    def message(self) -> str:
        return (
            f"the server of database '{self.database}' is now cluster {self.found}, and the newest "
            f"backup is of cluster {self.expected}: back up the server, or name the backup to "
            f"restore with --backup, such as {self.backup}"
        )


@dataclass(eq=False)
class CommitRecordTooLarge(DbopsError):
    """A backup has so many objects that no reader would take its commit record."""

    reason: ClassVar[str] = "COMMIT_RECORD_TOO_LARGE"
    code: ClassVar[StatusCode] = StatusCode.RESOURCE_EXHAUSTED

    backup: str
    record_bytes: int
    most_bytes: int

    @property
    def message(self) -> str:
        return (
            f"backup '{self.backup}' was not committed: its commit record would have "
            f"{self.record_bytes} bytes, and at most {self.most_bytes} are read; choose a codec "
            "that compresses more, or back databases up one by one with --kind logical"
        )
