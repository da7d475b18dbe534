"""The errors of an import."""

from dataclasses import dataclass
from typing import ClassVar

from dbopsd.errors import DbopsError, StatusCode


@dataclass(eq=False)
class SourceError(DbopsError):
    """The SQLite file cannot be imported as it is. The base of those that say why."""

    reason: ClassVar[str] = "SOURCE_UNUSABLE"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    source: str
    """The file's path."""


@dataclass(eq=False)
class SourceNotFound(SourceError):
    """There is no such file."""

    reason: ClassVar[str] = "SOURCE_NOT_FOUND"

    @property
    def message(self) -> str:
        return f"{self.source} does not exist on the worker's machine: check the path"


@dataclass(eq=False)
class SourceUnreadable(SourceError):
    """The file is there and cannot be read: permissions, not a regular file, a failing disk."""

    reason: ClassVar[str] = "SOURCE_UNREADABLE"

    problem: str

    @property
    def message(self) -> str:
        return (
            f"cannot read {self.source}: {self.problem}; it must be a regular file that the "
            "worker's user can read"
        )


@dataclass(eq=False)
class SqliteNotRestricted(DbopsError):
    """This machine's SQLite cannot be set up so that files from outside may be opened with it."""

    reason: ClassVar[str] = "SQLITE_NOT_RESTRICTED"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    problem: str

    @property
    def message(self) -> str:
        return (
            f"Python's SQLite cannot be restricted: {self.problem}; run the worker with a Python "
            "that is linked to SQLite 3.35 or newer as a shared library"
        )


@dataclass(eq=False)
class NotSqlite(SourceError):
    """The file is no SQLite database, or an encrypted one."""

    reason: ClassVar[str] = "SOURCE_NOT_SQLITE"

    found: str
    """A description of the file's content."""

    @property
    def message(self) -> str:
        return f"{self.source} is not a SQLite 3 database: {self.found}"


@dataclass(eq=False)
class SourceCorrupt(SourceError):
    """SQLite finds the file damaged."""

    reason: ClassVar[str] = "SOURCE_CORRUPT"

    problems: tuple[str, ...]
    """The first few, in SQLite's words."""

    @property
    def message(self) -> str:
        return (
            f"{self.source} is damaged: {'; '.join(self.problems)}; take a backup of it, or save "
            "what is left with `sqlite3 FILE .recover | sqlite3 NEW` and import that"
        )

    @property
    def metadata(self) -> dict[str, str]:
        return {"source": self.source, "problems": "; ".join(self.problems)}


@dataclass(eq=False)
class SourceLocked(SourceError):
    """Another process kept the file locked for all the time that was waited."""

    reason: ClassVar[str] = "SOURCE_LOCKED"

    waited_s: float
    holder: int | None
    """Its process id; None: not known, it may run elsewhere."""

    @property
    def message(self) -> str:
        who = "another process" if self.holder is None else f"process {self.holder}"
        return (
            f"{self.source} is locked: {who} held the lock for {self.waited_s:g} s; import again "
            "after its transaction has ended"
        )


@dataclass(eq=False)
class SourceUnstable(SourceError):
    """The file changed under its read lock, each time that it was copied."""

    reason: ClassVar[str] = "SOURCE_UNSTABLE"

    attempts: int

    @property
    def message(self) -> str:
        return (
            f"{self.source} changed {self.attempts} times while it was copied, so its writer "
            "ignores SQLite's locks: stop the writer, or import a copy"
        )


@dataclass(eq=False)
class HotJournal(SourceError):
    """A killed writer left a rollback journal, and it cannot be played back."""

    reason: ClassVar[str] = "HOT_JOURNAL"

    problem: str

    @property
    def message(self) -> str:
        return (
            f"a writer of {self.source} died in a transaction, and its journal cannot be rolled "
            f"back in a copy: {self.problem}; open the file once with the program that writes it, "
            "then import again"
        )


@dataclass(eq=False)
class SnapshotNoSpace(SourceError):
    """The private copy of the file does not fit where operations keep what they work with."""

    reason: ClassVar[str] = "SNAPSHOT_NO_SPACE"

    directory: str
    needed_bytes: int
    free_bytes: int

    @property
    def message(self) -> str:
        return (
            f"the copy of {self.source} needs {self.needed_bytes} bytes in {self.directory}, but "
            f"only {self.free_bytes} are free: free up space, or move the daemon's state directory"
        )


@dataclass(eq=False)
class SnapshotFailed(SourceError):
    """The private copy of the file cannot be written."""

    reason: ClassVar[str] = "SNAPSHOT_FAILED"

    directory: str
    problem: str

    @property
    def message(self) -> str:
        return f"cannot copy {self.source} into {self.directory}: {self.problem}"


@dataclass(eq=False)
class SnapshotCancelled(SourceError):
    """The copy was cancelled."""

    reason: ClassVar[str] = "SNAPSHOT_CANCELLED"

    @property
    def message(self) -> str:
        return f"the copying of {self.source} was cancelled"


@dataclass(eq=False)
class SnapshotLost(SourceError):
    """The private copy that an earlier attempt made is on this machine no more."""

    reason: ClassVar[str] = "SNAPSHOT_LOST"

    @property
    def message(self) -> str:
        return (
            f"this import's copy of {self.source} is not on this machine: a worker on another "
            "machine made it, or it was removed; start the import again"
        )


@dataclass(eq=False)
class ValuesRejected(DbopsError):
    """The file has values that their columns in PostgreSQL cannot hold."""

    reason: ClassVar[str] = "VALUES_REJECTED"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    rows: int
    where: str
    """The column with most of them, `users.age`, and why."""

    @property
    def message(self) -> str:
        rows = "1 row has a value" if self.rows == 1 else f"{self.rows:,} rows have values"
        return (
            f"{rows} that PostgreSQL cannot hold, most in {self.where}; nothing was published: "
            "handle them in the mapping, or use --on-bad-rows quarantine"
        )


@dataclass(eq=False)
class RowTooLarge(DbopsError):
    """PostgreSQL takes each value of a row, and not the row."""

    reason: ClassVar[str] = "ROW_TOO_LARGE"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    table: str
    key: str
    problem: str
    """What is too large, and the limit, in PostgreSQL's words."""

    @property
    def message(self) -> str:
        return (
            f"the row {self.key} of table '{self.table}' does not fit into PostgreSQL: "
            f"{self.problem}; nothing was published: in the mapping, skip columns of the table "
            "(`skip`), combine several into one (`expression`), or exclude such rows (`where`)"
        )


@dataclass(eq=False)
class RejectsUnwritable(DbopsError):
    """The file of the values that did not arrive cannot be written, or not be read back."""

    reason: ClassVar[str] = "REJECTS_UNWRITABLE"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    path: str
    problem: str

    @property
    def message(self) -> str:
        return (
            f"cannot write the rejected values to {self.path}: {self.problem}; nothing was "
            "published: free up space, or give the daemon's user write permission, and import "
            "again"
        )


@dataclass(eq=False)
class RowsDiffer(DbopsError):
    """What was read back from PostgreSQL is not what was sent."""

    reason: ClassVar[str] = "ROWS_DIFFER"
    code: ClassVar[StatusCode] = StatusCode.DATA_LOSS

    rows: int
    tables: str

    @property
    def message(self) -> str:
        return (
            f"{self.rows:,} rows that were read back differ from those that were sent, in "
            f"{self.tables}; nothing was published: see the report"
        )


@dataclass(eq=False)
class InvalidMapping(DbopsError):
    """A mapping that a request gave cannot be used."""

    reason: ClassVar[str] = "INVALID_MAPPING"
    code: ClassVar[StatusCode] = StatusCode.INVALID_ARGUMENT

    key: str
    """Where in it, `tables.users.columns.age.type`; empty: the whole."""
    problem: str

    @property
    def message(self) -> str:
        where = f"mapping: {self.key}" if self.key else "mapping"
        return " ".join(f"{where} {self.problem}".split())


@dataclass(eq=False)
class SourceTableNotFound(DbopsError):
    """A request names a table that the file does not have."""

    reason: ClassVar[str] = "SOURCE_TABLE_NOT_FOUND"
    code: ClassVar[StatusCode] = StatusCode.NOT_FOUND

    table: str
    known: str
    """The tables that there are, comma-separated."""

    @property
    def message(self) -> str:
        return f"the file has no table '{self.table}'; it has: {self.known or 'none'}"
