"""The errors of a restore. Those of planning come before a byte is written."""

from dataclasses import dataclass
from typing import ClassVar

from dbopsd.errors import DbopsError, StatusCode


def _nearest(before: str, after: str) -> str:
    known = [
        f"the nearest moment {side} it is {moment}"
        for side, moment in (("before", before), ("after", after))
        if moment
    ]
    return f"; {' and '.join(known)}" if known else ""


@dataclass(eq=False)
class TargetUnreachable(DbopsError):
    """No backup and its WAL lead to the moment. `before`, `after`: the nearest that are reachable.

    Moments are written as `TIME (LSN on timeline N)`.
    """

    reason: ClassVar[str] = "TARGET_UNREACHABLE"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    database: str
    target: str
    problem: str
    before: str = ""
    after: str = ""

    @property
    def message(self) -> str:
        return (
            f"database '{self.database}' cannot be restored to {self.target}: {self.problem}"
            f"{_nearest(self.before, self.after)}; `dbops backup windows --database "
            f"{self.database}` lists what can be reached"
        )


@dataclass(eq=False)
class TargetAmbiguous(DbopsError):
    """The moment is reached in more than one way, with different data."""

    reason: ClassVar[str] = "TARGET_AMBIGUOUS"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    database: str
    target: str
    problem: str
    timelines: str = ""

    @property
    def message(self) -> str:
        return (
            f"{self.target} is not one moment of database '{self.database}': {self.problem}; "
            "choose with --timeline, or by --target-lsn"
        )


@dataclass(eq=False)
class WalGapInTheWay(DbopsError):
    """WAL that the restore needs is not in the archive. Nothing was written."""

    reason: ClassVar[str] = "WAL_GAP"
    code: ClassVar[StatusCode] = StatusCode.DATA_LOSS

    database: str
    target: str
    timeline: int
    start: str
    end: str
    before: str = ""
    after: str = ""

    @property
    def message(self) -> str:
        return (
            f"database '{self.database}' cannot be restored to {self.target}: the WAL of timeline "
            f"{self.timeline} from {self.start} to {self.end} is missing in the archive"
            f"{_nearest(self.before, self.after)}"
        )


@dataclass(eq=False)
class DirectoryNotEmpty(DbopsError):
    """A directory to restore into has something in it."""

    reason: ClassVar[str] = "DIRECTORY_NOT_EMPTY"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    directory: str

    @property
    def message(self) -> str:
        return (
            f"'{self.directory}' is not empty, and nothing in it was touched: name another "
            "directory, or empty this one"
        )


@dataclass(eq=False)
class DirectoryUnusable(DbopsError):
    """A directory cannot be restored into."""

    reason: ClassVar[str] = "RESTORE_DIRECTORY_UNUSABLE"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    directory: str
    problem: str

    @property
    def message(self) -> str:
        return f"nothing can be restored into '{self.directory}': {self.problem}; name another one"


@dataclass(eq=False)
class TablespaceUnmapped(DbopsError):
    """A tablespace has no new directory. `location`: where it was."""

    reason: ClassVar[str] = "TABLESPACE_UNMAPPED"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    location: str

    @property
    def message(self) -> str:
        return (
            f"the backup has a tablespace in '{self.location}', which is not written to: say where "
            f"it goes, --tablespace-mapping {self.location}=NEW"
        )


@dataclass(eq=False)
class RestoreFailed(DbopsError):
    """A program of the restore failed. What it had written was removed."""

    reason: ClassVar[str] = "RESTORE_FAILED"
    code: ClassVar[StatusCode] = StatusCode.ABORTED

    program: str
    cause: str

    @property
    def message(self) -> str:
        return f"the restore failed in {self.program}, and nothing is left of it: {self.cause}"


@dataclass(eq=False)
class RecoveryFailed(DbopsError):
    """The restored server did not start, or recovery ended elsewhere than it was to."""

    reason: ClassVar[str] = "RECOVERY_FAILED"
    code: ClassVar[StatusCode] = StatusCode.DATA_LOSS

    directory: str
    target: str
    cause: str

    @property
    def message(self) -> str:
        return (
            f"the server restored into '{self.directory}' did not recover to {self.target}: "
            f"{self.cause}"
        )
