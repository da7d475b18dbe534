"""Why a check stops an apply."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from dbopsd.errors import DbopsError, StatusCode
from dbopsd.migrate.versions.model.errors import located
from dbopsd.migrate.versions.model.migration import MigrationProblem
from dbopsd.migrate.versions.model.reports import Finding


@dataclass(eq=False)
class FindingsBlock(DbopsError):
    """A check found errors. It has the first one."""

    reason: ClassVar[str] = "FINDINGS"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    database: str
    finding: Finding
    findings: int
    """How many there are."""

    @classmethod
    def of(cls, database: str, findings: Sequence[Finding]) -> "FindingsBlock":
        """The error for these, of which there is one at least."""
        return cls(database, findings[0], len(findings))

    @property
    def message(self) -> str:
        found = self.finding
        place = MigrationProblem(
            found.rule,
            f"{found.message} ({found.rule})",
            path=found.path,
            line=found.line,
            column=found.column,
        )
        more = f", and {self.findings - 1} more" if self.findings > 1 else ""
        return (
            f"{located(place)}{more}: `dbops migrate check {self.database}` lists all with advice; "
            f"`-- dbops: allow={found.rule}: REASON` in the file's header allows it, and an ADMIN "
            "may override them"
        )

    @property
    def metadata(self) -> dict[str, str]:
        return {
            "database": self.database,
            "set": self.finding.set,
            "rule": self.finding.rule,
            "path": self.finding.path,
            "line": str(self.finding.line),
            "column": str(self.finding.column),
            "findings": str(self.findings),
        }


@dataclass(eq=False)
class ContractBlocked(DbopsError):
    """Sessions of an older application version are connected, which a contract would break."""

    reason: ClassVar[str] = "CONTRACT_BLOCKED"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    database: str
    sessions: str
    """The first of them: pid, application and user of each."""
    count: int

    @property
    def message(self) -> str:
        return (
            f"{self.count} sessions of older application versions are connected to database "
            f"'{self.database}', which migrations of the phase contract would break: "
            f"{self.sessions}; end them, and apply again"
        )
