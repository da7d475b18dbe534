"""The errors of logical backups."""

from dataclasses import dataclass
from typing import ClassVar

from dbopsd.errors import DbopsError, StatusCode


@dataclass(eq=False)
class DumpFailed(DbopsError):
    """`pg_dump` did not bring a whole dump. `cause` is what it says itself."""

    reason: ClassVar[str] = "DUMP_FAILED"
    code: ClassVar[StatusCode] = StatusCode.ABORTED

    database: str
    cause: str

    @property
    def message(self) -> str:
        return f"the dump of PostgreSQL database '{self.database}' failed: {self.cause}"


@dataclass(eq=False)
class DumpIncomplete(DbopsError):
    """What was stored of a dump is not what was in the database."""

    reason: ClassVar[str] = "DUMP_INCOMPLETE"
    code: ClassVar[StatusCode] = StatusCode.DATA_LOSS

    database: str
    problem: str

    @property
    def message(self) -> str:
        return (
            f"the dump of PostgreSQL database '{self.database}' is not whole, and is no backup: "
            f"{self.problem}"
        )


@dataclass(eq=False)
class DumpedTableNotFound(DbopsError):
    """A table is named that is not there: in the database, or in the dump."""

    reason: ClassVar[str] = "TABLE_NOT_FOUND"
    code: ClassVar[StatusCode] = StatusCode.NOT_FOUND

    table: str
    place: str

    @property
    def message(self) -> str:
        return f"{self.place} has no table '{self.table}': name it as SCHEMA.TABLE"


@dataclass(eq=False)
class ScratchFull(DbopsError):
    """The disk of the worker is about to be full."""

    reason: ClassVar[str] = "SCRATCH_FULL"
    code: ClassVar[StatusCode] = StatusCode.RESOURCE_EXHAUSTED

    directory: str

    @property
    def message(self) -> str:
        return (
            f"less than 256 MiB are free for '{self.directory}', through which the dump goes: make "
            "room on the worker's disk, or give it a faster store"
        )


@dataclass(eq=False)
class TablesExist(DbopsError):
    """What would be restored is there already, and nothing is overwritten."""

    reason: ClassVar[str] = "TABLES_EXIST"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    database: str
    tables: tuple[str, ...]

    @property
    def message(self) -> str:
        return (
            f"PostgreSQL database '{self.database}' has {', '.join(self.tables[:5])} already, and "
            "nothing was restored: rename or drop it, or name a new database by `--dbname`"
        )

    @property
    def metadata(self) -> dict[str, str]:
        return {"database": self.database, "tables": ",".join(self.tables)}


@dataclass(eq=False)
class LogicalRestoreFailed(DbopsError):
    """`pg_restore` did not restore a dump, of which nothing is left. `cause`: what it says."""

    reason: ClassVar[str] = "LOGICAL_RESTORE_FAILED"
    code: ClassVar[StatusCode] = StatusCode.ABORTED

    database: str
    cause: str

    @property
    def message(self) -> str:
        return f"nothing was restored into PostgreSQL database '{self.database}': {self.cause}"
