"""The errors of the audit log."""

from dataclasses import dataclass
from typing import ClassVar

from dbopsd.errors import DbopsError, StatusCode


@dataclass(eq=False)
class AuditUnavailable(DbopsError):
    """The audit log cannot be written now, so calls that it must hold are refused."""

    reason: ClassVar[str] = "AUDIT_UNAVAILABLE"
    code: ClassVar[StatusCode] = StatusCode.UNAVAILABLE

    problem: str

    @property
    def message(self) -> str:
        return (
            f"the audit log cannot be written: {self.problem}; calls that change something are "
            "refused until it can, everything else goes on"
        )


@dataclass(eq=False)
class AuditLogInUse(DbopsError):
    """Another daemon writes this audit log; this one does not start (exit 2)."""

    reason: ClassVar[str] = "AUDIT_LOG_IN_USE"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    path: str
    holder_pid: int | None

    @property
    def message(self) -> str:
        holder = f"process {self.holder_pid}" if self.holder_pid else "another process"
        return (
            f"the audit log {self.path} is written by {holder}: "
            "stop that one, or give this daemon an [audit] path of its own"
        )


@dataclass(eq=False)
class AuditUnreadable(DbopsError):
    """The audit log cannot be read, so nothing is said about it."""

    reason: ClassVar[str] = "AUDIT_UNREADABLE"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    path: str
    problem: str

    @property
    def message(self) -> str:
        return f"the audit log {self.path} cannot be read: {self.problem}"
