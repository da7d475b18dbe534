"""Every error leaves with its status, its reason and its details.

One that nobody foresaw leaves without its text and its type: they stay in the log.
"""

import logging
from typing import Any, Final, NoReturn

import grpc
import grpc.aio
from opentelemetry import trace

from dbopsd.errors import DbopsError
from dbopsd.rpc import status
from dbopsd.rpc.call_adapters import Send, StreamCall, UnaryCall

_log = logging.getLogger(__name__)

# What servicers that are not ours may leave in the context, in place of raising.
_FINE: Final = (None, 0, grpc.StatusCode.OK)


def answering_unary(full_name: str, call: UnaryCall, *, foreign: bool = False) -> UnaryCall:
    """`call`, whose errors end the RPC as the contract says.

    A `foreign` servicer may set a code in the context in place of raising.
    """

    async def answered(request: Any, context: Any) -> Any:
        try:
            response = await call(request, context)
        except grpc.aio.AbortError:
            raise
        except Exception as error:  # noqa: BLE001 - logged, and answered INTERNAL
            await _abort(full_name, error, context)
        if foreign and context.code() not in _FINE:
            await _explain(context)
        return response

    return answered


def answering_stream(full_name: str, call: StreamCall, *, foreign: bool = False) -> StreamCall:
    """The same for a call that streams its responses."""

    async def answered(request: Any, context: Any, send: Send) -> None:
        try:
            await call(request, context, send)
        except grpc.aio.AbortError:
            raise
        except Exception as error:  # noqa: BLE001 - logged, and answered INTERNAL
            await _abort(full_name, error, context)
        if foreign and context.code() not in _FINE:
            await _explain(context)

    return answered


async def _abort(full_name: str, error: Exception, context: Any) -> NoReturn:
    if isinstance(error, DbopsError) and status.code_of(error) is not grpc.StatusCode.INTERNAL:
        code, message, details = status.code_of(error), error.message, status.details(error)
    else:
        trace_id = trace.format_trace_id(trace.get_current_span().get_span_context().trace_id)
        _log.error("%s failed, trace id %s", full_name, trace_id, exc_info=error)
        code = grpc.StatusCode.INTERNAL
        message = f"internal error, trace id {trace_id}: the daemon's log has the cause"
        details = status.encode(code, message, "INTERNAL", {"trace_id": trace_id})
    await context.abort(code, status.clip(message), ((status.DETAILS_KEY, details),))
    raise AssertionError  # abort() never returns


async def _explain(context: Any) -> NoReturn:
    """End the RPC with the code that a foreign servicer set, and the details that it did not."""
    code = context.code()
    if not isinstance(code, grpc.StatusCode):
        code = next(member for member in grpc.StatusCode if member.value[0] == code)
    text = context.details()
    message = text.decode(errors="replace") if isinstance(text, bytes) else str(text or code.name)
    details = status.encode(code, message, code.name)
    await context.abort(code, status.clip(message), ((status.DETAILS_KEY, details),))
    raise AssertionError  # abort() never returns
