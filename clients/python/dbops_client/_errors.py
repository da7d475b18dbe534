"""The exceptions: one class for each gRPC status code, decoded in one place."""

from collections.abc import Iterable, Mapping
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

# The metadata key of google.rpc.Status, the same in all languages.
_STATUS_DETAILS_KEY = "grpc-status-details-bin"

# A `reason` has a meaning in its own domain only: an ErrorInfo of a proxy is ignored.
_DOMAIN = "dbops.v1"


class ConfigurationError(ValueError):
    """An argument is wrong, or contradicts another.

    Raised before anything is sent. The text never holds a credential.
    """


class DbopsError(Exception):
    """A call failed. The server or gRPC reported why.

    `code` is gRPC's status code and `message` a line for people. `reason` is the UPPER_SNAKE_CASE
    text for programs that the contract lists; it is empty if the error did not come from dbopsd
    itself, such as a refused connection. `metadata` belongs to the reason, such as `{"database":
    "main"}`. The gRPC error is the `__cause__`.
    """

    def __init__(
        self,
        code: grpc.StatusCode,
        message: str,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        self.code = code
        self.message = message
        self.reason = reason
        self.metadata: Mapping[str, str] = dict(metadata or {})
        # Exception gets all of it, so that an error can be pickled between processes.
        super().__init__(code, message, reason, self.metadata)

    def __str__(self) -> str:
        name = f"{self.code.name}, {self.reason}" if self.reason else self.code.name
        return f"{self.message} ({name})"


class CallCancelledError(DbopsError):
    """CANCELLED: the server ended the call, or the client was closed under it."""


class UnknownError(DbopsError):
    """UNKNOWN: something between the client and dbopsd failed without a status."""


class InvalidArgumentError(DbopsError):
    """INVALID_ARGUMENT: a field is missing or malformed; `metadata["field"]` names it."""


class DeadlineExceededError(DbopsError):
    """DEADLINE_EXCEEDED: no answer came within the time given."""


class NotFoundError(DbopsError):
    """NOT_FOUND: the server has nothing of that name."""


class AlreadyExistsError(DbopsError):
    """ALREADY_EXISTS: the server has something of that name."""


class PermissionDeniedError(DbopsError):
    """PERMISSION_DENIED: the caller is known, and its role does not allow the call."""


class ResourceExhaustedError(DbopsError):
    """RESOURCE_EXHAUSTED: a limit is reached, or a message is too large."""


class FailedPreconditionError(DbopsError):
    """FAILED_PRECONDITION: the state of the server does not allow the call."""


class AbortedError(DbopsError):
    """ABORTED: another call is in the way."""


class OutOfRangeError(DbopsError):
    """OUT_OF_RANGE: the call goes past the end of the data, or a limit is reached."""


class UnimplementedError(DbopsError):
    """UNIMPLEMENTED: the server does not have this method."""


class InternalError(DbopsError):
    """INTERNAL: the server has a bug."""


class UnavailableError(DbopsError):
    """UNAVAILABLE: the server cannot be reached, or is stopping (`SHUTTING_DOWN`)."""


class DataLossError(DbopsError):
    """DATA_LOSS: something is lost or corrupted for good."""


class UnauthenticatedError(DbopsError):
    """UNAUTHENTICATED: the server does not know the caller."""


_CLASSES: Mapping[grpc.StatusCode, type[DbopsError]] = {
    grpc.StatusCode.CANCELLED: CallCancelledError,
    grpc.StatusCode.UNKNOWN: UnknownError,
    grpc.StatusCode.INVALID_ARGUMENT: InvalidArgumentError,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceededError,
    grpc.StatusCode.NOT_FOUND: NotFoundError,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExistsError,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDeniedError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ResourceExhaustedError,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPreconditionError,
    grpc.StatusCode.ABORTED: AbortedError,
    grpc.StatusCode.OUT_OF_RANGE: OutOfRangeError,
    grpc.StatusCode.UNIMPLEMENTED: UnimplementedError,
    grpc.StatusCode.INTERNAL: InternalError,
    grpc.StatusCode.UNAVAILABLE: UnavailableError,
    grpc.StatusCode.DATA_LOSS: DataLossError,
    grpc.StatusCode.UNAUTHENTICATED: UnauthenticatedError,
}


_CODES = {code.value[0]: code for code in _CLASSES}


def error_from_rpc(error: grpc.RpcError) -> DbopsError:
    """Translate a gRPC error, the synchronous or the asyncio kind, into the class of its code."""
    code = error.code()
    info = _error_info(error.trailing_metadata())
    message = error.details() or f"the server answered {code.name}, without a message"
    return _CLASSES[code](code, message, info.reason, info.metadata)


def error_from_status(status: status_pb2.Status) -> DbopsError:
    """Translate the `google.rpc.Status` that an operation ended with into the class of its code."""
    code = _CODES.get(status.code, grpc.StatusCode.UNKNOWN)
    info = _own_info(status) or error_details_pb2.ErrorInfo()
    message = status.message or f"it ended with {code.name}, without a message"
    return _CLASSES[code](code, message, info.reason, info.metadata)


def operation_not_done(name: str) -> FailedPreconditionError:
    """Return the error of a result that is not there yet."""
    return FailedPreconditionError(
        grpc.StatusCode.FAILED_PRECONDITION,
        f"{name} has not ended yet",
        "OPERATION_NOT_DONE",
        {"operation": name},
    )


def first_message_late(timeout_s: float) -> DeadlineExceededError:
    """Return the error of a stream that was opened and stayed silent."""
    return DeadlineExceededError(
        grpc.StatusCode.DEADLINE_EXCEEDED, f"no first message within {timeout_s:g} s"
    )


def stream_ended() -> UnavailableError:
    """Return the error of an endless stream that ended: the server is stopping."""
    return UnavailableError(grpc.StatusCode.UNAVAILABLE, "the server ended the stream")


def _error_info(trailing_metadata: Iterable[Any] | None) -> error_details_pb2.ErrorInfo:
    """Return dbopsd's own ErrorInfo, or an empty one if there is none that can be read."""
    for key, value in trailing_metadata or ():
        if key != _STATUS_DETAILS_KEY:
            continue
        try:
            status = status_pb2.Status.FromString(value)
        except DecodeError:
            # A detail that cannot be read must not hide the code and the message.
            break
        if info := _own_info(status):
            return info
    return error_details_pb2.ErrorInfo()


def _own_info(status: status_pb2.Status) -> error_details_pb2.ErrorInfo | None:
    info = error_details_pb2.ErrorInfo()
    try:
        for detail in status.details:
            if detail.Unpack(info) and info.domain == _DOMAIN:
                return info
    except DecodeError:
        # As above.
        pass
    return None
