"""Encode an error as a status code and a `google.rpc.Status`."""

from collections.abc import Mapping
from typing import Final

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from opentelemetry import trace

from dbopsd.errors import DbopsError, InvalidField
from dbopsd.operations.record import Failure

DOMAIN: Final = "dbops.v1"
DETAILS_KEY: Final = "grpc-status-details-bin"

# An error's text may quote the request, and clients refuse a response whose headers are above 8 KiB
# with RESOURCE_EXHAUSTED: the real error would be lost. The text is sent twice, percent-encoded
# (up to 3 bytes for one) and in base64.
_MAX_TEXT_BYTES: Final = 512
_MAX_VALUE_BYTES: Final = 256
_MAX_METADATA_ENTRIES: Final = 4


def code_of(error: DbopsError) -> grpc.StatusCode:
    """The status code of an error, as gRPC has it."""
    return grpc.StatusCode[error.code.name]


def clip(text: str, max_bytes: int = _MAX_TEXT_BYTES) -> str:
    """`text`, cut to `max_bytes` of UTF-8 with an ellipsis where it is longer."""
    encoded = text.encode("utf-8", errors="replace")
    if len(encoded) <= max_bytes:
        return encoded.decode()
    return encoded[: max_bytes - 3].decode(errors="ignore") + "…"


def details(error: DbopsError) -> bytes:
    """The value of `grpc-status-details-bin` for an error of ours."""
    extra = []
    if isinstance(error, InvalidField):
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
    if isinstance(error, DbopsError):
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
