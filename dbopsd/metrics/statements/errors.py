"""What can be wrong with statements."""

from dataclasses import dataclass
from typing import ClassVar

from dbopsd.errors import DbopsError, StatusCode


@dataclass(eq=False)
class StatementsUnavailable(DbopsError):
    """The server keeps no statistics of statements, or they cannot be read."""

    reason: ClassVar[str] = "STATEMENTS_UNAVAILABLE"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    database: str
    why: str

    @property
    def message(self) -> str:
        return (
            f"databases/{self.database} has no statistics of statements (pg_stat_statements): "
            f"{self.why}. 'dbops statements list {self.database} --running' has what runs now, "
            "without it"
        )


@dataclass(eq=False)
class StatementNotFound(DbopsError):
    """pg_stat_statements has no statement of that identifier in that database."""

    reason: ClassVar[str] = "STATEMENT_NOT_FOUND"
    code: ClassVar[StatusCode] = StatusCode.NOT_FOUND

    database: str
    query_id: str
    why: str

    @property
    def message(self) -> str:
        return f"statement {self.query_id} of databases/{self.database}: {self.why}"


@dataclass(eq=False)
class StatementNotExplainable(DbopsError):
    """A statement has no plan, or none that can be had from what is known of it."""

    reason: ClassVar[str] = "STATEMENT_NOT_EXPLAINABLE"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    database: str
    query_id: str
    why: str

    @property
    def message(self) -> str:
        return (
            f"statement {self.query_id} of databases/{self.database} cannot be explained: "
            f"{self.why}"
        )
