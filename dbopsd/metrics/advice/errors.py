"""What can be wrong with advice."""

from dataclasses import dataclass
from typing import ClassVar

from dbopsd.errors import DbopsError, StatusCode


@dataclass(eq=False)
class RuleInvalid(DbopsError):
    """A file does not declare what it judges as it must."""

    reason: ClassVar[str] = "ADVICE_RULE_INVALID"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    file: str
    why: str

    @property
    def message(self) -> str:
        return f"the rule of advice {self.file} {self.why}"


@dataclass(eq=False)
class AdviceNotFound(DbopsError):
    """There is no such advice: it does not hold any more, or never did."""

    reason: ClassVar[str] = "ADVICE_NOT_FOUND"
    code: ClassVar[StatusCode] = StatusCode.NOT_FOUND

    database: str
    advice: str

    @property
    def message(self) -> str:
        return (
            f"databases/{self.database} has no advice '{self.advice}' (any more): "
            f"'dbops advice list {self.database}' has what holds now"
        )
