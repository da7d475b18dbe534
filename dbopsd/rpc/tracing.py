"""A SERVER span and a measurement for every call, joined to the caller's trace.

Everything that does not change between two calls of a method is made once, when the server starts:
a call pays for its span, its measurement and little else.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Final

import grpc
import grpc.aio
from opentelemetry.context import Context, attach
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from dbopsd.rpc.call_adapters import StreamCall, UnaryCall
from dbopsd.rpc.status import clip
from dbopsd.telemetry import names
from dbopsd.telemetry.setup import Telemetry

# The codes that say the server failed, not that the caller erred (semantic conventions for gRPC).
SERVER_FAULTS: Final = frozenset(
    {
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
STREAM_MESSAGES: Final = "dbops.rpc.stream.messages"
STREAM_DURATION_S: Final = "dbops.rpc.stream.duration_s"

_HEALTH_CHECKS: Final = "grpc.health.v1.Health/"
_PROPAGATOR: Final = TraceContextTextMapPropagator()
_W3C_HEADERS: Final = ("traceparent", "tracestate")
_OK: Final = grpc.StatusCode.OK
_EMPTY: Final = Context()


class CallTracing:
    """Wraps the calls of a server's methods. `full_name` is `dbops.v1.HealthService/GetHealth`."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._tracer = telemetry.tracer
        self._trace_health_checks = telemetry.trace_health_checks
        self._duration = telemetry.meter.create_histogram(
            names.RPC_SERVER_CALL_DURATION,
            unit="s",
            description="The duration of a call to the gRPC server, a stream's until its end.",
            explicit_bucket_boundaries_advisory=names.RPC_SERVER_CALL_DURATION_BUCKETS_S,
        )
        self._measured_other = _measured(names.OTHER_METHOD)

    def unary(self, full_name: str, call: UnaryCall) -> UnaryCall:
        """`call` with its span, which is the current one within it, and its measurement."""
        attributes = _attributes(full_name)
        measured = _measured(full_name)
        measured_ok = measured[_OK]
        start_span, record, clock = (
            self._tracer.start_span,
            self._duration.record,
            time.perf_counter,
        )

        # A probe that nobody's trace asks for.
        quiet = full_name.startswith(_HEALTH_CHECKS) and not self._trace_health_checks

        async def traced(request: Any, context: Any) -> Any:
            started = clock()
            parent = _callers_context(context)
            if quiet and parent is _EMPTY:
                return await probed(request, context, started)
            span = start_span(full_name, parent, SpanKind.SERVER, attributes)
            # Never detached: grpc.aio runs each call in a task, so a context, of its own.
            attach(set_span_in_context(span, parent))
            try:
                response = await call(request, context)
            except BaseException as error:
                code = _code_of(error, context)
                _end(span, code)
                record(clock() - started, measured[code])
                raise
            if span.is_recording():
                span.set_attribute(names.RPC_STATUS_CODE, _OK.name)
                span.end()
            record(clock() - started, measured_ok)
            return response

        async def probed(request: Any, context: Any, started: float) -> Any:
            started_ns = time.time_ns()
            try:
                response = await call(request, context)
            except BaseException as error:
                code = _code_of(error, context)
                span = start_span(
                    full_name, _EMPTY, SpanKind.SERVER, attributes, start_time=started_ns
                )
                _end(span, code)
                record(clock() - started, measured[code])
                raise
            record(clock() - started, measured_ok)
            return response

        return traced

    def stream(self, full_name: str, call: StreamCall, *, served: bool = True) -> UnaryCall:
        """`call` with a span up to its first response, and one at its end where it came later.

        A stream lasts for days; a span of days is lost with the process, and holds its trace open.
        So the first span says how long the caller waited for its first answer, and the second, a
        trace of its own that links to the first, says how the stream ended, after how many messages
        and seconds.

        What is not `served` is measured and named alike whatever its name is, or anybody could make
        any number of time series.
        """
        if served:
            name = full_name
            measured = _measured(full_name)
            attributes = _attributes(full_name)
        else:
            name = names.GRPC
            measured = self._measured_other
            attributes = _attributes(names.OTHER_METHOD)
            attributes[names.RPC_METHOD_ORIGINAL] = clip(full_name)

        async def traced(request: Any, context: Any) -> None:
            started = time.perf_counter()
            parent = _callers_context(context)
            span = self._tracer.start_span(name, parent, SpanKind.SERVER, attributes)
            attach(set_span_in_context(span, parent))
            sent = 0

            async def send(response: Any) -> None:
                nonlocal sent
                await context.write(response)
                sent += 1
                if sent == 1:
                    # Without a status code: the call has none yet.
                    span.end()

            code = _OK
            try:
                await call(request, context, send)
            except BaseException as error:
                code = _code_of(error, context)
                raise
            finally:
                seconds = time.perf_counter() - started
                self._duration.record(seconds, measured[code])
                if sent == 0:
                    _end(span, code)
                else:
                    self._say_how_it_ended(name, attributes, span, code, sent, seconds)

        return traced

    def _say_how_it_ended(
        self,
        name: str,
        attributes: Mapping[str, str],
        first: Span,
        code: grpc.StatusCode,
        messages: int,
        seconds: float,
    ) -> None:
        # INTERNAL: a second SERVER span would count as a second call.
        span = self._tracer.start_span(
            f"{name} end",
            _EMPTY,
            SpanKind.INTERNAL,
            {**attributes, STREAM_MESSAGES: messages, STREAM_DURATION_S: seconds},
            [Link(first.get_span_context())],
        )
        _end(span, code)


def _attributes(full_name: str) -> dict[str, str]:
    return {names.RPC_SYSTEM_NAME: names.GRPC, names.RPC_METHOD: full_name}


def _measured(full_name: str) -> dict[grpc.StatusCode, dict[str, str]]:
    """The attributes of a measurement for each code that a call may end with."""
    table = {}
    for code in grpc.StatusCode:
        table[code] = {**_attributes(full_name), names.RPC_STATUS_CODE: code.name}
        if code in SERVER_FAULTS:
            table[code][names.ERROR_TYPE] = code.name
    return table


def _callers_context(context: Any) -> Context:
    """The context that the call's W3C headers carry; a new trace where there are none."""
    carrier = {key: value for key, value in context.invocation_metadata() if key in _W3C_HEADERS}
    if not carrier:
        return _EMPTY
    return _PROPAGATOR.extract(carrier, _EMPTY)


def _code_of(error: BaseException, context: Any) -> grpc.StatusCode:
    """The code that the caller sees of a call that ended with `error`."""
    if isinstance(error, grpc.aio.AbortError):
        code = context.code()
        return code if isinstance(code, grpc.StatusCode) else grpc.StatusCode.UNKNOWN
    if isinstance(error, asyncio.CancelledError):
        remaining = context.time_remaining()
        if remaining is not None and remaining <= 0:
            return grpc.StatusCode.DEADLINE_EXCEEDED
        return grpc.StatusCode.CANCELLED
    return grpc.StatusCode.UNKNOWN


def _end(span: Span, code: grpc.StatusCode) -> None:
    if span.is_recording():
        span.set_attribute(names.RPC_STATUS_CODE, code.name)
        if code in SERVER_FAULTS:
            span.set_attribute(names.ERROR_TYPE, code.name)
            span.set_status(Status(StatusCode.ERROR))
        span.end()
