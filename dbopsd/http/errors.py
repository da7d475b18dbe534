"""Errors as JSON, `{"error": {"reason": …, "message": …}}`; an unexpected one has no details."""

import logging
from typing import Final

from aiohttp import web
from opentelemetry import trace

from dbopsd.errors import DbopsError, StatusCode
from dbopsd.http.tracing import Handler
from dbopsd.security.errors import CredentialMissing, Unauthenticated

_log = logging.getLogger(__name__)

# As grpc-gateway maps them, and googleapis' `code.proto`. Any other is answered 500.
_STATUSES: Final = {
    StatusCode.INVALID_ARGUMENT: 400,
    StatusCode.FAILED_PRECONDITION: 400,
    StatusCode.UNAUTHENTICATED: 401,
    StatusCode.PERMISSION_DENIED: 403,
    StatusCode.NOT_FOUND: 404,
    StatusCode.ALREADY_EXISTS: 409,
    StatusCode.ABORTED: 409,
    StatusCode.RESOURCE_EXHAUSTED: 429,
    StatusCode.UNIMPLEMENTED: 501,
    StatusCode.UNAVAILABLE: 503,
    StatusCode.DEADLINE_EXCEEDED: 504,
}


def error_response(status: int, reason: str, message: str) -> web.Response:
    """An error as JSON."""
    body = {"error": {"reason": reason, "message": message}}
    return web.json_response(body, status=status)


@web.middleware
async def answering_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer what a handler, or the routing, raises; and let nothing be cached."""
    try:
        response = await handler(request)
    except Unauthenticated as error:
        response = error_response(401, error.reason, error.message)
        # RFC 6750: what was shown is no good, or nothing was.
        wrong = "" if isinstance(error, CredentialMissing) else ', error="invalid_token"'
        response.headers["WWW-Authenticate"] = f'Bearer realm="dbopsd"{wrong}'
    except DbopsError as error:
        status = _STATUSES.get(error.code)
        if status is None:
            response = _internal(request, error)
        else:
            response = error_response(status, error.reason, error.message)
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        response = error_response(405, "METHOD_NOT_ALLOWED", f"this path takes {allowed}")
        response.headers["Allow"] = allowed
    except web.HTTPNotFound:
        response = error_response(404, "PATH_NOT_FOUND", "nothing is served at this path")
    except web.HTTPException as error:
        reason = error.reason.upper().replace(" ", "_")
        response = error_response(error.status, reason, error.reason)
    except Exception as error:  # noqa: BLE001 - logged, and answered 500
        response = _internal(request, error)
    response.headers["Cache-Control"] = "no-store"
    # In place of the versions of Python and aiohttp.
    response.headers["Server"] = "dbopsd"
    return response


def _internal(request: web.Request, error: Exception) -> web.Response:
    trace_id = trace.format_trace_id(trace.get_current_span().get_span_context().trace_id)
    _log.error("%s %s failed, trace id %s", request.method, request.path, trace_id, exc_info=error)
    message = f"internal error, trace id {trace_id}: the daemon's log has the cause"
    reason = error.reason if isinstance(error, DbopsError) else "INTERNAL"
    return error_response(500, reason, message)
