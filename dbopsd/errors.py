"""The errors that dbopsd's own code raises, whatever the cause below was.

An error is a dataclass: its fields say which object it is about, `code` and `reason` say what
happened to programs, and `str()` says what happened, to what, why and what to do, in one line for
people. Nothing in a field may be a secret: errors reach logs, spans and callers.
"""

from dataclasses import dataclass, fields
from enum import Enum
from typing import ClassVar


class StatusCode(Enum):
    """gRPC's status codes, with their numbers: how a caller sees an error (`google.rpc.Code`)."""

    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


@dataclass(eq=False)
class DbopsError(Exception):
    """The base of every error that dbopsd raises on purpose. A class below it has its own `code`.

    The text of one whose code is INTERNAL stays in the log.
    """

    reason: ClassVar[str] = "INTERNAL"
    code: ClassVar[StatusCode] = StatusCode.INTERNAL

    def __str__(self) -> str:
        return self.message

    @property
    def message(self) -> str:
        """One line for people: what happened, to which object, why, and what to do."""
        raise NotImplementedError

    @property
    def metadata(self) -> dict[str, str]:
        """The fields as text, for `google.rpc.ErrorInfo.metadata`."""
        return {field.name: str(getattr(self, field.name)) for field in fields(self)}


@dataclass(eq=False)
class ConfigurationError(DbopsError):
    """The configuration cannot be used; the daemon does not start (exit 2)."""

    reason: ClassVar[str] = "INVALID_CONFIGURATION"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    where: str
    problem: str

    @property
    def message(self) -> str:
        return " ".join(f"{self.where}: {self.problem}".split())


@dataclass(eq=False)
class InvalidField(DbopsError):
    """A request's field is missing or malformed."""

    reason: ClassVar[str] = "INVALID_FIELD"
    code: ClassVar[StatusCode] = StatusCode.INVALID_ARGUMENT

    field: str
    problem: str

    @property
    def message(self) -> str:
        return f"field '{self.field}' {self.problem}"


@dataclass(eq=False)
class FieldNotSupported(InvalidField):
    """A request sets a field of somebody else's contract that is not supported here."""

    reason: ClassVar[str] = "FIELD_NOT_SUPPORTED"
    code: ClassVar[StatusCode] = StatusCode.UNIMPLEMENTED

    problem: str = "is not supported here: leave it unset"


@dataclass(eq=False)
class MalformedRequest(DbopsError):
    """A request's bytes are not a message of the method's type."""

    reason: ClassVar[str] = "MALFORMED_REQUEST"
    code: ClassVar[StatusCode] = StatusCode.INVALID_ARGUMENT

    method: str

    @property
    def message(self) -> str:
        return (
            f"the request of {self.method} is not a message of its type: regenerate the client "
            "from the protos, or use server reflection"
        )


@dataclass(eq=False)
class DatabaseNotFound(DbopsError):
    """No database of that name is configured."""

    reason: ClassVar[str] = "DATABASE_NOT_FOUND"
    code: ClassVar[StatusCode] = StatusCode.NOT_FOUND

    database: str

    @property
    def message(self) -> str:
        return (
            f"database '{self.database}' is not configured: `dbops databases list` lists the "
            "databases"
        )


@dataclass(eq=False)
class ShuttingDown(DbopsError):
    """The daemon is stopping and takes no new work."""

    reason: ClassVar[str] = "SHUTTING_DOWN"
    code: ClassVar[StatusCode] = StatusCode.UNAVAILABLE

    @property
    def message(self) -> str:
        return "the daemon is stopping: retry elsewhere, or when it is back"


@dataclass(eq=False)
class ListenerUnavailable(DbopsError):
    """The daemon cannot listen on an address of its configuration; it does not start (exit 2)."""

    reason: ClassVar[str] = "LISTENER_UNAVAILABLE"
    code: ClassVar[StatusCode] = StatusCode.UNAVAILABLE

    address: str
    problem: str

    @property
    def message(self) -> str:
        return (
            f"cannot listen on {self.address}: {self.problem}; choose other addresses with "
            "[server] grpc_listen and http_listen"
        )


@dataclass(eq=False)
class MethodNotFound(DbopsError):
    """No method of that name is served here."""

    reason: ClassVar[str] = "METHOD_NOT_FOUND"
    code: ClassVar[StatusCode] = StatusCode.UNIMPLEMENTED

    method: str

    @property
    def message(self) -> str:
        return f"method '{self.method}' is not served here: see server reflection for all methods"


@dataclass(eq=False)
class MethodWithoutRole(DbopsError):
    """A method that declares no role is denied to everybody."""

    reason: ClassVar[str] = "METHOD_WITHOUT_ROLE"
    code: ClassVar[StatusCode] = StatusCode.PERMISSION_DENIED

    method: str

    @property
    def message(self) -> str:
        return f"method '{self.method}' declares no role in its proto and is denied to everybody"


@dataclass(eq=False)
class ServiceNotFound(DbopsError):
    """`grpc.health.v1` was asked about a name that it does not know."""

    reason: ClassVar[str] = "SERVICE_NOT_FOUND"
    code: ClassVar[StatusCode] = StatusCode.NOT_FOUND

    service: str

    @property
    def message(self) -> str:
        return f"service '{self.service}' is unknown: Health.List lists the services"
