"""Why a migration did not end well."""

from dataclasses import dataclass
from typing import ClassVar

from dbopsd.errors import DbopsError, StatusCode
from dbopsd.migrate.versions.model.errors import located
from dbopsd.migrate.versions.model.migration import MigrationProblem


@dataclass(eq=False)
class MigrationFailed(DbopsError):
    """A statement of a migration failed. `statement` counts from 1; 0: it is not known which.

    `excerpt`: its first words. `detail`: what the server says besides, where that may quote rows;
    it is for whoever may see them, and in neither message nor metadata.
    """

    reason: ClassVar[str] = "MIGRATION_FAILED"
    code: ClassVar[StatusCode] = StatusCode.ABORTED

    database: str
    problem: MigrationProblem
    statement: int
    statements: int
    sqlstate: str = ""
    excerpt: str = ""
    detail: str = ""

    @property
    def message(self) -> str:
        which = f"statement {self.statement} of {self.statements}" if self.statement else ""
        named = ": ".join(part for part in (which, self.excerpt) if part)
        return f"{located(self.problem)}{named and f' ({named})'}"

    @property
    def metadata(self) -> dict[str, str]:
        return {
            "database": self.database,
            "set": self.problem.set,
            "version": self.problem.version,
            "path": self.problem.path,
            "line": str(self.problem.line),
            "column": str(self.problem.column),
            "statement": str(self.statement),
            "statements": str(self.statements),
            "sqlstate": self.sqlstate,
        }


@dataclass(eq=False)
class TransactionEnded(DbopsError):
    """A migration ended the transaction that it was to run in, and part of it may be committed."""

    reason: ClassVar[str] = "TRANSACTION_ENDED"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    database: str
    set: str
    version: str
    path: str

    @property
    def message(self) -> str:
        return (
            f"{self.path}: the migration ended its own transaction, and what came before that may "
            f"stay: look at the database, then `dbops migrate resolve {self.database} "
            f"{self.version} --applied --reason …` or `--not-applied`"
        )


@dataclass(eq=False)
class CommitUnknown(DbopsError):
    """The connection was lost while a migration committed. The ledger has it if it did."""

    reason: ClassVar[str] = "COMMIT_UNKNOWN"
    code: ClassVar[StatusCode] = StatusCode.UNAVAILABLE

    database: str
    set: str
    key: str
    cause: str

    @property
    def message(self) -> str:
        return (
            f"the connection to database '{self.database}' was lost while migration '{self.key}' "
            f"of set '{self.set}' committed, and the ledger cannot be asked: {self.cause}"
        )


@dataclass(eq=False)
class CommitLost(DbopsError):
    """The connection was lost while a migration committed, and the ledger does not have it."""

    reason: ClassVar[str] = "COMMIT_LOST"
    code: ClassVar[StatusCode] = StatusCode.UNAVAILABLE

    database: str
    set: str
    key: str
    cause: str

    @property
    def message(self) -> str:
        return (
            f"the connection to database '{self.database}' was lost while migration '{self.key}' "
            f"of set '{self.set}' committed, and it is not applied: {self.cause}"
        )


@dataclass(eq=False)
class LockLost(DbopsError):
    """A migration gave the lock of migrations back, and somebody else has it."""

    reason: ClassVar[str] = "LOCK_LOST"
    code: ClassVar[StatusCode] = StatusCode.ABORTED

    database: str

    @property
    def message(self) -> str:
        return f"a migration gave back the lock of migrations of database '{self.database}'"
