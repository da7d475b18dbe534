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
    """The server is another cluster than the one in the store."""

    reason: ClassVar[str] = "SYSTEM_IDENTIFIER_CHANGED"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    database: str
    expected: str
    found: str

    @property
    def message(self) -> str:
        return (
            f"the server of database '{self.database}' is cluster {self.found}, and this backup is "
            f"of cluster {self.expected}: name a backup of {self.found}, or none"
        )
