"""Why migrations cannot be listed, checked, applied or rolled back."""

from dataclasses import dataclass
from typing import ClassVar

from dbopsd.errors import DbopsError, StatusCode
from dbopsd.migrate.versions.model.migration import MigrationProblem


@dataclass(eq=False)
class MigrationsNotConfigured(DbopsError):
    """The database has no folder of migrations."""

    reason: ClassVar[str] = "MIGRATIONS_NOT_CONFIGURED"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    database: str

    @property
    def message(self) -> str:
        return (
            f"database '{self.database}' has no migrations: "
            f"set databases.{self.database}.migrations_dir to the directory of its files"
        )


@dataclass(eq=False)
class SetUnknown(DbopsError):
    """No set of that name is configured."""

    reason: ClassVar[str] = "SET_UNKNOWN"
    code: ClassVar[StatusCode] = StatusCode.INVALID_ARGUMENT

    database: str
    set: str
    sets: str

    @property
    def message(self) -> str:
        return (
            f"database '{self.database}' has no set '{self.set}' of migrations; it has {self.sets}"
        )


@dataclass(eq=False)
class SetRequired(DbopsError):
    """There are several sets, and the request names none."""

    reason: ClassVar[str] = "SET_REQUIRED"
    code: ClassVar[StatusCode] = StatusCode.INVALID_ARGUMENT

    database: str
    sets: str

    @property
    def message(self) -> str:
        return f"database '{self.database}' has several sets of migrations: name one of {self.sets}"


@dataclass(eq=False)
class VersionNotFound(DbopsError):
    """Neither the folder nor the ledger has that version. `hint`: what else may be meant."""

    reason: ClassVar[str] = "VERSION_NOT_FOUND"
    code: ClassVar[StatusCode] = StatusCode.NOT_FOUND

    database: str
    set: str
    version: str
    hint: str = ""

    @property
    def message(self) -> str:
        return (
            f"set '{self.set}' of database '{self.database}' has no migration '{self.version}': "
            f"`dbops migrate list {self.database}` shows what it has{self.hint and '; '}{self.hint}"
        )


@dataclass(eq=False)
class MigrationFilesInvalid(DbopsError):
    """Files of a set cannot be run as they are. It has the first problem."""

    reason: ClassVar[str] = "MIGRATION_FILES_INVALID"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    database: str
    problem: MigrationProblem
    problems: int
    """How many there are."""

    @property
    def message(self) -> str:
        more = f", and {self.problems - 1} more: `dbops migrate check {self.database}`"
        return f"{located(self.problem)}{more if self.problems > 1 else ''}"

    @property
    def metadata(self) -> dict[str, str]:
        return {
            "database": self.database,
            "set": self.problem.set,
            "problem": self.problem.reason,
            "path": self.problem.path,
            "line": str(self.problem.line),
            "column": str(self.problem.column),
            "problems": str(self.problems),
        }


@dataclass(eq=False)
class TooManyReaders(DbopsError):
    """Others ask about the migrations of the same database already, and get no answer."""

    reason: ClassVar[str] = "TOO_MANY_READERS"
    code: ClassVar[StatusCode] = StatusCode.RESOURCE_EXHAUSTED

    database: str
    at_once: int

    @property
    def message(self) -> str:
        return (
            f"{self.at_once} callers ask about the migrations of database '{self.database}' "
            "already, which is as many as are served at once: try again in a few seconds"
        )


def located(problem: MigrationProblem) -> str:
    """The problem with its place before it, as compilers write it: `path:line:column: message`."""
    place = problem.path
    if problem.line:
        place += f":{problem.line}"
        if problem.column:
            place += f":{problem.column}"
    return f"{place}: {problem.message}" if place else problem.message


@dataclass(eq=False)
class BackupBeforeFailed(DbopsError):
    """The backup that `backup_before` asks for was not taken, so nothing was rolled back.

    To callers it is `cause`, with a message that says so.
    """

    reason: ClassVar[str] = "BACKUP_BEFORE_FAILED"

    cause: DbopsError

    def __post_init__(self) -> None:
        # Callers look for what went wrong.
        self.reason = self.cause.reason  # type: ignore[misc]
        self.code = self.cause.code  # type: ignore[misc]

    @property
    def message(self) -> str:
        return f"nothing was rolled back, as the backup before it failed: {self.cause.message}"

    @property
    def metadata(self) -> dict[str, str]:
        return self.cause.metadata
