"""The errors of planning an import."""

from dataclasses import dataclass
from typing import ClassVar

from dbopsd.errors import DbopsError, StatusCode


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
