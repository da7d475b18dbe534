"""A SERVER span and a measurement for every HTTP request, joined to the caller's trace."""

import time
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware
from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from dbopsd.telemetry import names
from dbopsd.telemetry.setup import Telemetry

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_PROPAGATOR: Final = TraceContextTextMapPropagator()
_KNOWN_METHODS: Final = frozenset(
    ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE")
)


def request_tracing(telemetry: Telemetry) -> Middleware:
    """The outermost middleware; what it calls must answer, not raise."""
    duration = telemetry.meter.create_histogram(
        names.HTTP_SERVER_REQUEST_DURATION,
        unit="s",
        description="The duration of a request to the HTTP server.",
        explicit_bucket_boundaries_advisory=names.HTTP_SERVER_REQUEST_DURATION_BUCKETS_S,
    )

    @web.middleware
    async def traced(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.perf_counter()
        method = request.method if request.method in _KNOWN_METHODS else names.OTHER_METHOD
        measured: dict[str, str | int] = {
            names.HTTP_REQUEST_METHOD: method,
            names.URL_SCHEME: request.scheme,
        }
        resource = request.match_info.route.resource
        if resource is not None:
            measured[names.HTTP_ROUTE] = resource.canonical
        attributes = {**measured, names.URL_PATH: request.path}
        if method == names.OTHER_METHOD:
            attributes[names.HTTP_REQUEST_METHOD_ORIGINAL] = request.method
        # The conventions' span name: no path in it, which anybody could make up.
        verb = "HTTP" if method == names.OTHER_METHOD else method
        span_name = f"{verb} {resource.canonical}" if resource is not None else verb
        parent = _PROPAGATOR.extract(request.headers, Context())
        span = telemetry.tracer.start_span(span_name, parent, SpanKind.SERVER, attributes)
        # Detached at the end: one task serves every request of a connection.
        token = attach(set_span_in_context(span, parent))
        try:
            response = await handler(request)
            measured[names.HTTP_RESPONSE_STATUS_CODE] = response.status
            span.set_attribute(names.HTTP_RESPONSE_STATUS_CODE, response.status)
            if response.status >= 500:
                measured[names.ERROR_TYPE] = str(response.status)
                span.set_attribute(names.ERROR_TYPE, str(response.status))
                span.set_status(Status(StatusCode.ERROR))
            return response
        finally:
            duration.record(time.perf_counter() - started, measured)
            span.end()
            detach(token)

    return traced
