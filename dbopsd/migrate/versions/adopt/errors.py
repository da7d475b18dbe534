"""Why a history cannot be taken over."""

from dataclasses import dataclass
from typing import ClassVar

from dbopsd.errors import DbopsError, StatusCode


@dataclass(eq=False)
class HistoryNotFound(DbopsError):
    """There is no history of that tool where it was looked for."""

    reason: ClassVar[str] = "HISTORY_NOT_FOUND"
    code: ClassVar[StatusCode] = StatusCode.NOT_FOUND

    database: str
    tool: str
    looked: str
    """The tables that would be it, separated by commas."""
    found: str
    """What was found instead, for people; empty: nothing."""

    @property
    def message(self) -> str:
        instead = f": {self.found}" if self.found else ": there is no such table"
        return f"database '{self.database}' has no history of {self.tool} in {self.looked}{instead}"


@dataclass(eq=False)
class HistoryUnclear(DbopsError):
    """The table has the tool's columns, and holds what that tool never writes."""

    reason: ClassVar[str] = "HISTORY_UNCLEAR"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    tool: str
    problem: str

    @property
    def message(self) -> str:
        return f"this is not a history of {self.tool}: {self.problem}"


@dataclass(eq=False)
class HistoryContradicts(DbopsError):
    """The ledger has runs of its own that say something else than the tool's table."""

    reason: ClassVar[str] = "HISTORY_CONTRADICTS"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    database: str
    set: str
    version: str
    theirs: str
    """What the other tool says of it."""
    ledger: str
    """What the ledger says of it."""
    versions: int
    """How many contradict."""

    @property
    def message(self) -> str:
        more = f" (and {self.versions - 1} more)" if self.versions > 1 else ""
        return (
            f"set '{self.set}' of database '{self.database}': the other tool has '{self.version}' "
            f"as {self.theirs}, and the ledger has it as {self.ledger}, by a run of dbopsd's "
            f"own{more}; nothing was adopted: mend the other tool's table, or leave it: dbopsd "
            "goes by its ledger"
        )
