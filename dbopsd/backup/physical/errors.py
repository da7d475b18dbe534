"""The errors of physical backups."""

from dataclasses import dataclass
from typing import ClassVar

from dbopsd.errors import DbopsError, StatusCode


@dataclass(eq=False)
class BaseBackupFailed(DbopsError):
    """`pg_basebackup` did not bring a whole backup. `cause` is what it says itself."""

    reason: ClassVar[str] = "BASE_BACKUP_FAILED"
    code: ClassVar[StatusCode] = StatusCode.ABORTED

    database: str
    cause: str

    @property
    def message(self) -> str:
        return (
            f"the backup of database '{self.database}' failed, and earlier ones are as they were: "
            f"{self.cause}"
        )


@dataclass(eq=False)
class PageChecksumsFailed(BaseBackupFailed):
    """Pages on the server do not have their checksums: its disk or memory has damaged them."""

    reason: ClassVar[str] = "PAGE_CHECKSUMS_FAILED"
    code: ClassVar[StatusCode] = StatusCode.DATA_LOSS

    @property
    def message(self) -> str:
        return (
            f"database '{self.database}' has damaged pages, and no backup was made of them: "
            f"{self.cause}; look at the server's log, and restore an earlier backup"
        )


@dataclass(eq=False)
class WalNotStored(DbopsError):
    """The WAL that a backup needs did not come to the store in time, so it is none."""

    reason: ClassVar[str] = "WAL_NOT_STORED"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    database: str
    timeline: int
    start_lsn: str
    stop_lsn: str
    problem: str

    @property
    def message(self) -> str:
        return (
            f"the backup of database '{self.database}' needs the WAL of timeline {self.timeline} "
            f"from {self.start_lsn} to {self.stop_lsn}, and {self.problem}: `dbops backup wal "
            f"status --database {self.database}` shows how the archive does"
        )


@dataclass(eq=False)
class NoSuchSource(DbopsError):
    """No host of the DSN is what a backup was to be taken from."""

    reason: ClassVar[str] = "BACKUP_SOURCE_MISSING"
    code: ClassVar[StatusCode] = StatusCode.UNAVAILABLE

    database: str
    wanted: str
    problem: str

    @property
    def message(self) -> str:
        return (
            f"database '{self.database}' has no {self.wanted} to take a backup from "
            f"({self.problem}): name its host in the dsn, or choose another source"
        )


@dataclass(eq=False)
class BaseBackupRefused(BaseBackupFailed):
    """The server refused a base backup before it sent any of it."""

    reason: ClassVar[str] = "BASE_BACKUP_REFUSED"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION


@dataclass(eq=False)
class IncrementalUnsupported(DbopsError):
    """PostgreSQL has incremental backups from version 17 on."""

    reason: ClassVar[str] = "INCREMENTAL_UNSUPPORTED"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    database: str
    version: str

    @property
    def message(self) -> str:
        return (
            f"database '{self.database}' is PostgreSQL {self.version}, which has no incremental "
            "backups (17 has): there the WAL archive is the incremental step; take a full backup"
        )


@dataclass(eq=False)
class SpoolUnsuitable(DbopsError):
    """The worker's file system cannot hold the spool of a backup with tablespaces."""

    reason: ClassVar[str] = "BACKUP_SPOOL_UNSUITABLE"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    directory: str
    problem: str

    @property
    def message(self) -> str:
        return (
            f"the file system of '{self.directory}' cannot give back a part of a file "
            f"({self.problem}), which the backup of a cluster with tablespaces needs: put the "
            "worker's state directory on ext4, XFS, btrfs or tmpfs"
        )
