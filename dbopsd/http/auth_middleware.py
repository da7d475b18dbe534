"""Authenticate, authorise and limit every HTTP request before its handler.

Every path here reads, so each takes the role VIEWER; what a path tells of one database its handler
looks at.
"""

import ssl
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware
from opentelemetry import trace

from dbopsd.http.tracing import Handler
from dbopsd.security.access import Access
from dbopsd.security.authorisation import require
from dbopsd.security.caller import ANONYMOUS, NOBODY, Caller, Role, current_caller
from dbopsd.security.certificates import names_of
from dbopsd.security.connections import Connections, Peer, Standing
from dbopsd.security.errors import Unauthenticated
from dbopsd.telemetry import names

# By what `auth.open_services` calls them.
_OPEN_PATHS: Final = {"/livez": "health", "/readyz": "health"}


def authorise_requests(access: Access, connections: Connections) -> Middleware:
    """The middleware within what answers errors."""
    authenticator, limit = access.authenticator, access.limit

    async def identify(request: web.Request) -> Caller:
        if authenticator.lets_everybody_do_everything:
            return ANONYMOUS
        if _OPEN_PATHS.get(request.path) in access.open_services:
            return NOBODY
        headers = request.headers.getall("Authorization", ())
        # Apart from the calls that run: who has shown nothing yet must not take their places.
        try:
            with limit.running(f"unknown {request.remote}"):
                caller = await authenticator.authenticate(
                    headers, lambda: _certificate_names(request)
                )
        except Unauthenticated as error:
            await access.failed_credentials.refused(peer_of(request)[0], error)
            raise
        trace.get_current_span().set_attribute(names.ENDUSER_ID, caller.name)
        require(caller, Role.VIEWER, None)
        return caller

    @web.middleware
    async def authorised(request: web.Request, handler: Handler) -> web.StreamResponse:
        caller = await identify(request)
        if caller.method:
            who = f"{caller.method} {caller.name}"
        else:
            # Probes are counted apart from the callers behind the same load balancer.
            open_service = _OPEN_PATHS.get(request.path, "") if caller is NOBODY else ""
            who = f"{open_service} {request.remote}".lstrip()
        token = current_caller.set(caller)
        try:
            standing = Standing.AUTHENTICATED if caller.method else Standing.ANONYMOUS
            with limit.running(who), connections.call(peer_of(request), standing):
                return await handler(request)
        finally:
            # One task serves every request of a connection.
            current_caller.reset(token)

    return authorised


def peer_of(request: web.Request) -> Peer:
    """The other side of the request's connection; no address where that is gone."""
    transport = request.transport
    name = None if transport is None else transport.get_extra_info("peername")
    return ("", 0) if name is None else (name[0], name[1])


def _certificate_names(request: web.Request) -> tuple[str, ...]:
    transport = request.transport
    handshake = None if transport is None else transport.get_extra_info("ssl_object")
    if not isinstance(handshake, ssl.SSLObject):
        return ()
    # Empty for a client that showed none; verified in the handshake where it did.
    return names_of(handshake.getpeercert() or {})
