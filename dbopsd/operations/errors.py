"""The errors of long-running operations."""

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
            f"operation '{self.operation}' is not known, or is kept no longer: "
            "`dbops operations list` names those that are"
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
            f"{self.kind} cannot start on database '{self.database}' while operations/"
            f"{self.operation} is not done: wait for it, or cancel it"
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
    operation: str

    @property
    def message(self) -> str:
        return (
            f"request_id '{self.request_id}' was used before, with another request, for "
            f"operations/{self.operation}: take a new id for a new request"
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
            f"operations/{self.operation} did not end within its {self.timeout_s:g} s: "
            "see what held it up, or allow it more"
        )


@dataclass(eq=False)
class WorkersLost(DbopsError):
    """What an operation ends with that too many workers died of."""

    reason: ClassVar[str] = "WORKERS_LOST"
    # Asking for it again may well succeed, from the beginning.
    code: ClassVar[StatusCode] = StatusCode.ABORTED

    operation: str
    attempts: int

    @property
    def message(self) -> str:
        return (
            f"operations/{self.operation} was given up: {self.attempts} workers in a row vanished "
            "while they ran it; their logs, and the kernel's for memory, have the cause"
        )


@dataclass(eq=False)
class UnknownKind(DbopsError):
    """No feature of this daemon brings that kind of operation."""

    reason: ClassVar[str] = "UNKNOWN_KIND"
    code: ClassVar[StatusCode] = StatusCode.UNIMPLEMENTED

    kind: str

    @property
    def message(self) -> str:
        return (
            f"kind of operation '{self.kind}' is not known here: "
            "another version of dbopsd may have it"
        )


@dataclass(eq=False)
class ScheduleNotFound(DbopsError):
    """The configuration has no schedule of that name."""

    reason: ClassVar[str] = "SCHEDULE_NOT_FOUND"
    code: ClassVar[StatusCode] = StatusCode.NOT_FOUND

    schedule: str

    @property
    def message(self) -> str:
        return (
            f"schedule '{self.schedule}' is not configured: "
            "`dbops schedules list` names those that are"
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
        return (
            f"{self.program} was ended: it wrote more than {self.limit_bytes} bytes, "
            "which is more than is kept of a program's output"
        )


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
            f"the control store {self.store} cannot be used now: {self.problem}; "
            "operations wait, everything else goes on"
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
            f"operations/{self.operation} ended ({self.failure}), and what it left could not be "
            f"removed: {self.problem}"
        )
