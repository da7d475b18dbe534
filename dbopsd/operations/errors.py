"""The errors of long-running operations."""

import asyncio
from dataclasses import dataclass
from typing import ClassVar

from dbopsd.errors import DbopsError, StatusCode


@dataclass(eq=False)
class OperationNotFound(DbopsError):
    """No operation of that name, or it is kept no longer."""

    reason: ClassVar[str] = "OPERATION_NOT_FOUND"
    code: ClassVar[StatusCode] = StatusCode.NOT_FOUND

    operation: str

    @property
    def message(self) -> str:
        return (
            f"operation '{self.operation}' does not exist or is no longer kept; `dbops operations "
            "list` lists all operations"
        )


@dataclass(eq=False)
class OperationInTheWay(DbopsError):
    """Another operation excludes this one while it is queued or running."""

    reason: ClassVar[str] = "OPERATION_IN_THE_WAY"
    code: ClassVar[StatusCode] = StatusCode.ABORTED

    kind: str
    database: str
    operation: str

    @property
    def message(self) -> str:
        return (
            f"{self.kind} cannot start on database '{self.database}' while "
            f"operations/{self.operation} is running or queued: wait for it, or cancel it"
        )

    @property
    def metadata(self) -> dict[str, str]:
        return {
            "operation": f"operations/{self.operation}",
            "kind": self.kind,
            "database": f"databases/{self.database}",
        }


@dataclass(eq=False)
class RequestIdReused(DbopsError):
    """A `request_id` came before with another request."""

    reason: ClassVar[str] = "REQUEST_ID_REUSED"
    code: ClassVar[StatusCode] = StatusCode.ALREADY_EXISTS

    request_id: str
    used_for: str
    """What came of the earlier request, such as `operations/{operation}`."""

    @property
    def message(self) -> str:
        return (
            f"request_id '{self.request_id}' was already used with a different request, for "
            f"{self.used_for}: use a new id"
        )


@dataclass(eq=False)
class OperationDone(DbopsError):
    """It has ended and cannot be cancelled any more."""

    reason: ClassVar[str] = "OPERATION_DONE"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    operation: str
    state: str

    @property
    def message(self) -> str:
        return f"operations/{self.operation} has ended as {self.state} and cannot be cancelled"


@dataclass(eq=False)
class OperationNotDone(DbopsError):
    """It has not ended and cannot be deleted yet."""

    reason: ClassVar[str] = "OPERATION_NOT_DONE"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    operation: str
    state: str

    @property
    def message(self) -> str:
        return (
            f"operations/{self.operation} is {self.state} and cannot be deleted: "
            "cancel it, or wait for its end"
        )


@dataclass(eq=False)
class OperationCancelled(DbopsError):
    """What a cancelled operation ends with."""

    reason: ClassVar[str] = "OPERATION_CANCELLED"
    code: ClassVar[StatusCode] = StatusCode.CANCELLED

    operation: str

    @property
    def message(self) -> str:
        return f"operations/{self.operation} was cancelled"


@dataclass(eq=False)
class OperationTimedOut(DbopsError):
    """What an operation ends with whose deadline has passed."""

    reason: ClassVar[str] = "OPERATION_TIMED_OUT"
    code: ClassVar[StatusCode] = StatusCode.DEADLINE_EXCEEDED

    operation: str
    timeout_s: float

    @property
    def message(self) -> str:
        return (
            f"operations/{self.operation} exceeded its timeout of {self.timeout_s:g} s: find out "
            "what delayed it, or raise the timeout"
        )


@dataclass(eq=False)
class WorkersLost(DbopsError):
    """What an operation ends with that too many workers died of."""

    reason: ClassVar[str] = "WORKERS_LOST"
    # Asking for it again may well succeed, from the beginning.
    code: ClassVar[StatusCode] = StatusCode.ABORTED

    operation: str
    workers: int
    stage: str

    @property
    def message(self) -> str:
        stage = f" in stage '{self.stage}'" if self.stage else ""
        return (
            f"operations/{self.operation} lost {self.workers} workers{stage}, the last of them "
            "while it ran nothing else, and was given up: see their logs, and the kernel log for "
            "out-of-memory kills"
        )


@dataclass(eq=False)
class UnknownKind(DbopsError):
    """No feature of this daemon brings that kind of operation."""

    reason: ClassVar[str] = "UNKNOWN_KIND"
    code: ClassVar[StatusCode] = StatusCode.UNIMPLEMENTED

    kind: str

    @property
    def message(self) -> str:
        return f"this dbopsd has no kind of operation '{self.kind}': another version may have it"


@dataclass(eq=False)
class ScheduleNotFound(DbopsError):
    """The configuration has no schedule of that name."""

    reason: ClassVar[str] = "SCHEDULE_NOT_FOUND"
    code: ClassVar[StatusCode] = StatusCode.NOT_FOUND

    schedule: str

    @property
    def message(self) -> str:
        return (
            f"schedule '{self.schedule}' is not configured: `dbops schedules list` lists the "
            "schedules"
        )


@dataclass(eq=False)
class ChildNotStarted(DbopsError):
    """A program that an operation needs cannot be started."""

    reason: ClassVar[str] = "CHILD_NOT_STARTED"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    program: str
    problem: str

    @property
    def message(self) -> str:
        return f"cannot start {self.program}: {self.problem}"


@dataclass(eq=False)
class ChildOutputTooLarge(DbopsError):
    """A program wrote more than is kept of it."""

    reason: ClassVar[str] = "CHILD_OUTPUT_TOO_LARGE"
    code: ClassVar[StatusCode] = StatusCode.RESOURCE_EXHAUSTED

    program: str
    limit_bytes: int

    @property
    def message(self) -> str:
        return f"{self.program} was ended because its output exceeded {self.limit_bytes} bytes"


@dataclass(eq=False)
class FailedWithResult(DbopsError):
    """An operation failed, and what its kind has to tell of that is more than a line.

    To callers it is `cause`, with `result`, which is of the kind's result type, among its details.
    """

    reason: ClassVar[str] = "OPERATION_FAILED"

    cause: DbopsError
    result: object

    def __post_init__(self) -> None:
        # Callers look for what went wrong.
        self.reason = self.cause.reason  # type: ignore[misc]
        self.code = self.cause.code  # type: ignore[misc]

    @property
    def message(self) -> str:
        return self.cause.message

    @property
    def metadata(self) -> dict[str, str]:
        return self.cause.metadata


class CancelledWithResult(asyncio.CancelledError):
    """The work of an operation was cancelled, and its kind has something to tell of it.

    Where the operation ends by that, `result` is as of `FailedWithResult`.
    """

    def __init__(self, result: object) -> None:
        super().__init__()
        self.result = result


@dataclass(eq=False)
class ControlStoreUnavailable(DbopsError):
    """The control store cannot be read or written now."""

    reason: ClassVar[str] = "CONTROL_STORE_UNAVAILABLE"
    code: ClassVar[StatusCode] = StatusCode.UNAVAILABLE

    store: str
    problem: str

    @property
    def message(self) -> str:
        return (
            f"the control store {self.store} is unavailable: {self.problem}; operations wait, "
            "everything else continues"
        )


@dataclass(eq=False)
class ControlStoreNewer(ControlStoreUnavailable):
    """The control store was written by a newer dbopsd."""

    reason: ClassVar[str] = "CONTROL_STORE_NEWER"


@dataclass(eq=False)
class CleanUpFailed(DbopsError):
    """What an operation ends with that failed, and whose leavings could not be removed."""

    reason: ClassVar[str] = "CLEAN_UP_FAILED"
    # Somebody has to remove what is left before it is worth trying again.
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    operation: str
    failure: str
    problem: str

    @property
    def message(self) -> str:
        return (
            f"operations/{self.operation} ended ({self.failure}), and its clean-up failed: "
            f"{self.problem}"
        )


@dataclass(eq=False)
class DutyLost(DbopsError):
    """A duty may be another process's by now."""

    reason: ClassVar[str] = "DUTY_LOST"
    code: ClassVar[StatusCode] = StatusCode.ABORTED

    duty: str

    @property
    def message(self) -> str:
        return f"{self.duty} may be held by another process by now: its work ends here"
