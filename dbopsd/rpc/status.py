"""How an error of ours looks to a caller: its status code and its `google.rpc.Status`."""

from collections.abc import Mapping
from typing import Final

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from opentelemetry import trace

from dbopsd import errors
from dbopsd.db import errors as db_errors
from dbopsd.migrate.importer import errors as import_errors
from dbopsd.migrate.importer.planning import errors as planning_errors
from dbopsd.migrate.importer.processes import errors as process_errors
from dbopsd.migrate.importer.target import errors as target_errors
from dbopsd.operations import errors as operation_errors
from dbopsd.operations.record import Failure
from dbopsd.security import errors as security_errors
from dbopsd.security.audit.errors import AuditUnavailable

DOMAIN: Final = "dbops.v1"
DETAILS_KEY: Final = "grpc-status-details-bin"

# An error's text may quote the request, and clients refuse a response whose headers are above 8 KiB
# with RESOURCE_EXHAUSTED: the real error would be lost. The text is sent twice, percent-encoded
# (up to 3 bytes for one) and in base64.
_MAX_TEXT_BYTES: Final = 512
_MAX_VALUE_BYTES: Final = 256
_MAX_METADATA_ENTRIES: Final = 4

_CODES: Final[Mapping[type[errors.DbopsError], grpc.StatusCode]] = {
    errors.DbopsError: grpc.StatusCode.INTERNAL,
    errors.InvalidField: grpc.StatusCode.INVALID_ARGUMENT,
    errors.FieldNotSupported: grpc.StatusCode.UNIMPLEMENTED,
    errors.MalformedRequest: grpc.StatusCode.INVALID_ARGUMENT,
    errors.DatabaseNotFound: grpc.StatusCode.NOT_FOUND,
    errors.ServiceNotFound: grpc.StatusCode.NOT_FOUND,
    errors.MethodNotFound: grpc.StatusCode.UNIMPLEMENTED,
    errors.MethodWithoutRole: grpc.StatusCode.PERMISSION_DENIED,
    errors.ShuttingDown: grpc.StatusCode.UNAVAILABLE,
    security_errors.Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    security_errors.JwtKeysUnavailable: grpc.StatusCode.UNAVAILABLE,
    security_errors.RoleMissing: grpc.StatusCode.PERMISSION_DENIED,
    security_errors.TooManyCalls: grpc.StatusCode.RESOURCE_EXHAUSTED,
    security_errors.PathOutsideRoots: grpc.StatusCode.INVALID_ARGUMENT,
    db_errors.DatabaseError: grpc.StatusCode.UNAVAILABLE,
    db_errors.StatementFailed: grpc.StatusCode.FAILED_PRECONDITION,
    db_errors.SerializationFailure: grpc.StatusCode.ABORTED,
    db_errors.DeadlockDetected: grpc.StatusCode.ABORTED,
    db_errors.LockTimeout: grpc.StatusCode.ABORTED,
    db_errors.QueryCanceled: grpc.StatusCode.DEADLINE_EXCEEDED,
    db_errors.QueryTimeout: grpc.StatusCode.DEADLINE_EXCEEDED,
    db_errors.ConnectionLost: grpc.StatusCode.UNAVAILABLE,
    db_errors.ReadOnlyServer: grpc.StatusCode.UNAVAILABLE,
    db_errors.TransactionNotCommitted: grpc.StatusCode.ABORTED,
    db_errors.PoolExhausted: grpc.StatusCode.RESOURCE_EXHAUSTED,
    db_errors.ServerResourcesExhausted: grpc.StatusCode.RESOURCE_EXHAUSTED,
    operation_errors.OperationNotFound: grpc.StatusCode.NOT_FOUND,
    operation_errors.ScheduleNotFound: grpc.StatusCode.NOT_FOUND,
    operation_errors.OperationInTheWay: grpc.StatusCode.ABORTED,
    operation_errors.RequestIdReused: grpc.StatusCode.ALREADY_EXISTS,
    operation_errors.OperationDone: grpc.StatusCode.FAILED_PRECONDITION,
    operation_errors.OperationNotDone: grpc.StatusCode.FAILED_PRECONDITION,
    operation_errors.OperationCancelled: grpc.StatusCode.CANCELLED,
    operation_errors.OperationTimedOut: grpc.StatusCode.DEADLINE_EXCEEDED,
    # Asking for it again may well succeed, from the beginning.
    operation_errors.WorkersLost: grpc.StatusCode.ABORTED,
    operation_errors.UnknownKind: grpc.StatusCode.UNIMPLEMENTED,
    operation_errors.ChildNotStarted: grpc.StatusCode.FAILED_PRECONDITION,
    operation_errors.ChildOutputTooLarge: grpc.StatusCode.RESOURCE_EXHAUSTED,
    # Somebody has to remove what is left before it is worth trying again.
    import_errors.SourceError: grpc.StatusCode.FAILED_PRECONDITION,
    import_errors.ValuesRejected: grpc.StatusCode.FAILED_PRECONDITION,
    import_errors.RowTooLarge: grpc.StatusCode.FAILED_PRECONDITION,
    import_errors.RejectsUnwritable: grpc.StatusCode.FAILED_PRECONDITION,
    import_errors.RowsDiffer: grpc.StatusCode.DATA_LOSS,
    planning_errors.InvalidMapping: grpc.StatusCode.INVALID_ARGUMENT,
    planning_errors.SourceTableNotFound: grpc.StatusCode.NOT_FOUND,
    target_errors.ImportNotFound: grpc.StatusCode.NOT_FOUND,
    target_errors.ImportNotPublished: grpc.StatusCode.FAILED_PRECONDITION,
    target_errors.TableInUse: grpc.StatusCode.FAILED_PRECONDITION,
    target_errors.NameTaken: grpc.StatusCode.ALREADY_EXISTS,
    target_errors.TablesIncompatible: grpc.StatusCode.FAILED_PRECONDITION,
    target_errors.MergeIncomplete: grpc.StatusCode.DATA_LOSS,
    target_errors.RowsChangedSince: grpc.StatusCode.FAILED_PRECONDITION,
    target_errors.RowsReferredTo: grpc.StatusCode.FAILED_PRECONDITION,
    target_errors.RevertIncomplete: grpc.StatusCode.DATA_LOSS,
    process_errors.TaskFailed: grpc.StatusCode.FAILED_PRECONDITION,
    process_errors.ProcessDied: grpc.StatusCode.ABORTED,
    operation_errors.CleanUpFailed: grpc.StatusCode.FAILED_PRECONDITION,
    operation_errors.ControlStoreUnavailable: grpc.StatusCode.UNAVAILABLE,
    AuditUnavailable: grpc.StatusCode.UNAVAILABLE,
}


def code_of(error: errors.DbopsError) -> grpc.StatusCode:
    """The status code of the error's class, or of the nearest class above it in the table."""
    if isinstance(error, operation_errors.FailedWithResult):
        return code_of(error.cause)
    return next(_CODES[cls] for cls in type(error).__mro__ if cls in _CODES)


def clip(text: str, max_bytes: int = _MAX_TEXT_BYTES) -> str:
    """`text`, cut to `max_bytes` of UTF-8 with an ellipsis where it is longer."""
    encoded = text.encode("utf-8", errors="replace")
    if len(encoded) <= max_bytes:
        return encoded.decode()
    return encoded[: max_bytes - 3].decode(errors="ignore") + "…"


def details(error: errors.DbopsError) -> bytes:
    """The value of `grpc-status-details-bin` for an error of ours."""
    extra = []
    if isinstance(error, errors.InvalidField):
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=clip(error.field), description=clip(error.problem), reason=error.reason
        )
        extra.append(error_details_pb2.BadRequest(field_violations=[violation]))
    return encode(code_of(error), error.message, error.reason, error.metadata, extra)


def failure_of(error: BaseException) -> Failure:
    """Why an operation failed that ended with `error`, as its record keeps it.

    What nobody foresaw is kept without its text and its type: they stay in the worker's log, which
    has the same trace id.
    """
    if isinstance(error, errors.DbopsError):
        code = code_of(error)
        if code is not grpc.StatusCode.INTERNAL:
            return Failure(code.name, error.reason, clip(error.message), error.metadata)
    trace_id = trace.format_trace_id(trace.get_current_span().get_span_context().trace_id)
    return Failure(
        grpc.StatusCode.INTERNAL.name,
        "INTERNAL",
        f"internal error, trace id {trace_id}: the log of the worker that ran it has the cause",
        {"trace_id": trace_id},
    )


def encode(
    code: grpc.StatusCode,
    message: str,
    reason: str,
    metadata: Mapping[str, str] | None = None,
    extra: list[Message] | None = None,
) -> bytes:
    """A serialized `google.rpc.Status` with ErrorInfo first, and then the `extra` details."""
    serialized: bytes = make_status(code, message, reason, metadata, extra).SerializeToString()
    return serialized


def make_status(
    code: grpc.StatusCode,
    message: str,
    reason: str,
    metadata: Mapping[str, str] | None = None,
    extra: list[Message] | None = None,
) -> status_pb2.Status:
    """A `google.rpc.Status` with ErrorInfo first, and then the `extra` details."""
    entries = list((metadata or {}).items())[:_MAX_METADATA_ENTRIES]
    info = error_details_pb2.ErrorInfo(
        reason=reason,
        domain=DOMAIN,
        metadata={key: clip(value, _MAX_VALUE_BYTES) for key, value in entries},
    )
    status = status_pb2.Status(code=code.value[0], message=clip(message))
    for detail in (info, *(extra or ())):
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status
