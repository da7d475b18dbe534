"""Why migrations cannot be applied or rolled back: folder and ledger do not go together."""

from dataclasses import dataclass
from typing import ClassVar

from dbopsd.errors import DbopsError, StatusCode


@dataclass(eq=False)
class MigrationInTheWay(DbopsError):
    """A migration because of which nothing is done; the base of all that say how.

    `migration`: what people know it by, its file or its version.
    """

    reason: ClassVar[str] = "MIGRATION_IN_THE_WAY"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    database: str
    set: str
    version: str
    migration: str


@dataclass(eq=False)
class MigrationChanged(MigrationInTheWay):
    """The file of an applied migration is not what was applied."""

    reason: ClassVar[str] = "MIGRATION_CHANGED"

    checksum: str
    applied_checksum: str

    @property
    def message(self) -> str:
        return (
            f"{self.migration} was changed after it was applied to database '{self.database}' "
            f"(SHA-256 {self.checksum[:12]}…, applied {_short(self.applied_checksum)}): restore "
            "the file and put the change into a new migration; if the database has the change "
            f"already, `dbops migrate resolve {self.database} {self.version} --applied --reason …`"
        )


@dataclass(eq=False)
class MigrationMissing(MigrationInTheWay):
    """The folder no longer has the file of an applied migration."""

    reason: ClassVar[str] = "MIGRATION_MISSING"

    rollback: str = ""
    """The file of its rollback, which is there; empty: it is not."""

    @property
    def message(self) -> str:
        but = f" but for its rollback {self.rollback}" if self.rollback else ""
        return (
            f"migration {self.migration} of set '{self.set}' was applied to database "
            f"'{self.database}', and its file is missing{but}: restore the file, or deploy the "
            "folder that has it"
        )


@dataclass(eq=False)
class MigrationOutOfOrder(MigrationInTheWay):
    """A migration that is older than an applied one was not applied."""

    reason: ClassVar[str] = "MIGRATION_OUT_OF_ORDER"

    newest: str
    """The newest version that is applied, or begun."""

    @property
    def message(self) -> str:
        return (
            f"{self.migration} was not applied to database '{self.database}' before version "
            f"{self.newest}: give it a version above {self.newest}, or apply it all the same with "
            "--out-of-order"
        )


@dataclass(eq=False)
class MigrationInterrupted(MigrationInTheWay):
    """The end of a migration that is not in a transaction is not known."""

    reason: ClassVar[str] = "MIGRATION_INTERRUPTED"

    statements_done: int
    statements: int
    changed: bool = False
    """Whether its file is not the one any more that ran."""
    doubt: str = ""
    """The statement because of which nobody can go on, and why; empty: it is not known."""

    @property
    def message(self) -> str:
        changed = ", and its file was changed since" if self.changed else ""
        doubt = f", and {self.doubt}" if self.doubt else ""
        return (
            f"{self.migration} was interrupted on database '{self.database}' after "
            f"{self.statements_done} of {self.statements} statements{changed}{doubt}: complete it "
            f"by hand and `dbops migrate resolve {self.database} {self.version} --applied --reason "
            "…`, or undo what was done and resolve it with --not-applied"
        )


@dataclass(eq=False)
class MigrationRunning(MigrationInTheWay):
    """A backend still runs the migration."""

    reason: ClassVar[str] = "MIGRATION_RUNNING"
    code: ClassVar[StatusCode] = StatusCode.ABORTED

    pid: int

    @property
    def message(self) -> str:
        return (
            f"{self.migration} is still being run on database '{self.database}' by process "
            f"{self.pid}: wait for it, or end it with "
            f"`dbops sessions terminate {self.database} {self.pid}`"
        )


@dataclass(eq=False)
class RollbackMissing(DbopsError):
    """Migrations that are to be rolled back have no rollback."""

    reason: ClassVar[str] = "ROLLBACK_MISSING"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    database: str
    set: str
    versions: str
    """All of them."""

    @property
    def message(self) -> str:
        return (
            f"set '{self.set}' has no rollback, or an empty one, for {self.versions}: nothing was "
            f"rolled back on database '{self.database}'; write the rollback, or a new migration "
            "that undoes the change"
        )


@dataclass(eq=False)
class RollbackBeyondBaseline(DbopsError):
    """A migration that is to be rolled back was never run: it was baselined."""

    reason: ClassVar[str] = "ROLLBACK_BEYOND_BASELINE"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    database: str
    set: str
    version: str

    @property
    def message(self) -> str:
        return (
            f"version {self.version} of set '{self.set}' is the baseline of database "
            f"'{self.database}': what was there before it is not rolled back"
        )


def _short(checksum: str) -> str:
    """The beginning of a SHA-256; another tool's checksum whole."""
    return checksum if ":" in checksum else f"{checksum[:12]}…"
