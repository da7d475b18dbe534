"""Every call that may change something is in the audit log before it is let through.

Those are the calls of methods that need the role OPERATOR or ADMIN. Two hooks make their records:
the outer one, around authorisation, sees each call and how it ended; the inner one, right before
the servicer and after all that may refuse the call, writes its first record and has the call wait
until that is on disk.
"""

import asyncio
import contextlib
import dataclasses
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from urllib.parse import unquote

import grpc
import grpc.aio
from google.longrunning import operations_pb2
from opentelemetry import trace

from dbopsd.errors import DbopsError
from dbopsd.rpc import status
from dbopsd.rpc.audit_fields import Quoted, compile_quoting
from dbopsd.rpc.auth_interceptor import address_of
from dbopsd.rpc.call_adapters import Send, StreamCall, UnaryCall
from dbopsd.rpc.methods import Method
from dbopsd.security.audit.errors import AuditUnavailable
from dbopsd.security.audit.journal import AuditJournal
from dbopsd.security.audit.record import Call, Refused, Result, now
from dbopsd.security.audit.refusal_rate_limit import RefusalRateLimit
from dbopsd.security.caller import Role, current_caller

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

_FINE: Final = (None, 0, grpc.StatusCode.OK)
_MAX_NAME: Final = 256


@dataclass(slots=True)
class _Underway:
    """A call that is being audited."""

    method: str
    peer: str
    quoted: Quoted
    id: str = dataclasses.field(default_factory=lambda: secrets.token_hex(16))
    admitted: bool = False
    """Whether its first record was handed in, so that its last one is a `result`."""

    def record(self) -> Call:
        """The call as of now: who calls is known only once that is proved."""
        caller = current_caller.get()
        trace_id = trace.get_current_span().get_span_context().trace_id
        return Call(
            time=now(),
            call=self.id,
            caller=caller.name[:_MAX_NAME],
            authenticated=caller.method,
            peer=self.peer,
            method=self.method,
            resource=self.quoted.resource,
            request_id=self.quoted.request_id,
            validate_only=self.quoted.validate_only,
            trace_id=trace.format_trace_id(trace_id) if trace_id else "",
        )

    def last_record(self, code: str, reason: str = "", operation: str = "") -> Result:
        """The outcome of the call, admitted or rejected."""
        kind = Result if self.admitted else Refused
        return kind.of(self.record(), status=code, reason=reason, operation=operation)


# Joins the two hooks of a call, which run in one task.
_underway: ContextVar[_Underway] = ContextVar("audited_call")


class CallAudit:
    """Wraps the calls of a server's methods; those that only read are left as they are.

    Without a journal all of them are. `unary` and `stream` go around what authorises the call,
    within what answers its errors; `admitting` goes around the servicer's own handler.
    """

    def __init__(self, journal: AuditJournal | None) -> None:
        self._journal = journal
        self._allowance = RefusalRateLimit()

    def unary(self, method: Method, call: UnaryCall) -> UnaryCall:
        """`call`, of which the log says how it ended, or why it was refused."""
        journal = self._journal
        if journal is None or not audited(method):
            return call
        begin = _begin(method)

        async def recorded(request: Any, context: Any) -> Any:
            underway = begin(request, context)
            try:
                response = await call(request, context)
            except BaseException as error:
                await self._end_failed(journal, underway, error, context)
                raise
            await _end(journal, underway, context, response)
            return response

        return recorded

    def stream(self, method: Method, call: StreamCall) -> StreamCall:
        """The same for a call that streams its responses; it ends with its stream."""
        journal = self._journal
        if journal is None or not audited(method):
            return call
        begin = _begin(method)

        async def recorded(request: Any, context: Any, send: Send) -> None:
            underway = begin(request, context)
            try:
                await call(request, context, send)
            except BaseException as error:
                await self._end_failed(journal, underway, error, context)
                raise
            await _end(journal, underway, context)

        return recorded

    def admitting(self, method: Method, handler: Handler) -> Handler:
        """`handler`, whose servicer is called once the log has the call's first record.

        It raises `AuditUnavailable` in the servicer's place where the log cannot be written.
        """
        journal = self._journal
        if journal is None or not audited(method):
            return handler
        decode, encode = handler.request_deserializer, handler.response_serializer
        if handler.response_streaming:
            streaming: Any = handler.unary_stream or handler.stream_stream

            async def respond(request: Any, context: Any) -> AsyncIterator[Any]:
                await _admit(journal)
                async with aclosing(streaming(request, context)) as responses:
                    async for response in responses:
                        yield response

            if handler.request_streaming:
                return grpc.stream_stream_rpc_method_handler(respond, decode, encode)
            return grpc.unary_stream_rpc_method_handler(respond, decode, encode)
        behaviour: Any = handler.unary_unary or handler.stream_unary

        async def answer(request: Any, context: Any) -> Any:
            await _admit(journal)
            return await behaviour(request, context)

        if handler.request_streaming:
            return grpc.stream_unary_rpc_method_handler(answer, decode, encode)
        return grpc.unary_unary_rpc_method_handler(answer, decode, encode)

    async def _end_failed(
        self, journal: AuditJournal, underway: _Underway, error: BaseException, context: Any
    ) -> None:
        """Record the end of a call by `error`, which is raised again afterwards."""
        record = underway.last_record(*_outcome(error, context))
        unknown = not underway.admitted and not record.authenticated
        if unknown and not self._allowance.take(address_of(context.peer())):
            # Anyone who can reach the port could fill the disk without a credential.
            journal.leave_out(record)
        elif isinstance(error, Exception):
            with contextlib.suppress(AuditUnavailable):
                await journal.append(record)
        else:
            # Cancelled, and it may be so again: nothing here may wait.
            journal.submit(record)


def audited(method: Method) -> bool:
    """Whether the calls of a method are in the audit log.

    Also those of one without a role, which is denied to everybody: it might change anything.
    """
    return method.role is None or method.role >= Role.OPERATOR


def _begin(method: Method) -> Callable[[Any, Any], _Underway]:
    quote = compile_quoting(method.request_type)
    full_name = method.full_name

    def begin(request: Any, context: Any) -> _Underway:
        underway = _Underway(full_name, _peer(context.peer()), quote(request))
        # Never reset: grpc.aio runs each call in a task, so a context, of its own.
        _underway.set(underway)
        return underway

    return begin


async def _admit(journal: AuditJournal) -> None:
    underway = _underway.get()
    underway.admitted = True
    try:
        await journal.append(underway.record())
    except AuditUnavailable:
        underway.admitted = False
        raise


async def _end(
    journal: AuditJournal, underway: _Underway, context: Any, response: Any = None
) -> None:
    """Record the end of a call that raised nothing."""
    code = context.code()
    name = "OK" if code in _FINE else _code_name(code)
    started = isinstance(response, operations_pb2.Operation)
    record = underway.last_record(name, operation=response.name[:_MAX_NAME] if started else "")
    # What was done is done: the caller gets to know it, and the log says later what it lacks.
    with contextlib.suppress(AuditUnavailable):
        await journal.append(record)


def _outcome(error: BaseException, context: Any) -> tuple[str, str]:
    """The name of the status code that the caller sees, and the error's reason."""
    if isinstance(error, DbopsError):
        code = status.code_of(error)
        return code.name, "INTERNAL" if code is grpc.StatusCode.INTERNAL else error.reason
    if isinstance(error, grpc.aio.AbortError):
        return _code_name(context.code()), ""
    if isinstance(error, asyncio.CancelledError):
        remaining = context.time_remaining()
        late = remaining is not None and remaining <= 0
        return ("DEADLINE_EXCEEDED" if late else "CANCELLED"), ""
    return "INTERNAL", "INTERNAL"


def _code_name(code: Any) -> str:
    if isinstance(code, grpc.StatusCode):
        return code.name
    return next((each.name for each in grpc.StatusCode if each.value[0] == code), "UNKNOWN")


def _peer(peer: str) -> str:
    """The peer that gRPC calls `ipv6:%5B::1%5D:50051` as people write it, with its port."""
    kind, _, address = peer.partition(":")
    return (unquote(address) if kind in ("ipv4", "ipv6") else peer)[:_MAX_NAME]
