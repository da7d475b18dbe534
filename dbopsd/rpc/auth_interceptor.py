"""Authenticate, authorise and limit every gRPC call before its servicer."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import Any, Final
from urllib.parse import unquote

from opentelemetry import trace

from dbopsd.rpc.call_adapters import Send, StreamCall, UnaryCall
from dbopsd.rpc.credential_watch import send_while
from dbopsd.rpc.database_names import compile_naming
from dbopsd.rpc.grpc_health import asks_for_databases
from dbopsd.rpc.methods import Method
from dbopsd.security.access import Access
from dbopsd.security.authorisation import require
from dbopsd.security.caller import NOBODY, Caller, current_caller
from dbopsd.security.connections import Connections, Peer, Standing
from dbopsd.security.errors import (
    CredentialChanged,
    CredentialMissing,
    RoleMissing,
    Unauthenticated,
)
from dbopsd.telemetry import names

_AUTHORIZATION: Final = "authorization"
# In the order in which a name is looked for; e-mail and IP addresses are none of ours.
_CERTIFICATE_NAMES: Final = ("peer_dns", "peer_uri", "x509_common_name")

Permit = Callable[[Caller, Any], None]
Identify = Callable[[Any, Any], Awaitable[Caller]]


class CallAuthorisation:
    """Wraps the calls of a server's methods, within what answers their errors.

    Within a call that is let in, and around it from then on, `current_caller` says who called.
    """

    def __init__(self, access: Access, connections: Connections) -> None:
        self._authenticator = access.authenticator
        self._open_services = access.open_services
        self._limit = access.limit
        self._failed_credentials = access.failed_credentials
        self._connections = connections

    def unary(self, method: Method, call: UnaryCall) -> UnaryCall:
        """Wrap `call` with authentication and authorisation; raises errors of both."""
        identify, permit = self._identify(method), self._permit(method)
        running = self._running(method)
        streams_requests = method.streams_requests

        async def authorised(request: Any, context: Any) -> Any:
            caller = await identify(request, context)
            if streams_requests:
                request = _each_permitted(request, caller, permit)
            else:
                permit(caller, request)
            with running(caller, context):
                return await call(request, context)

        return authorised

    def stream(self, method: Method, call: StreamCall) -> StreamCall:
        """The same for a call that streams its responses, for as long as they may."""
        identify, permit = self._identify(method), self._permit(method)
        still = self._still(method, permit)
        running = self._running(method)
        streams_requests = method.streams_requests

        async def authorised(request: Any, context: Any, send: Send) -> None:
            caller = await identify(request, context)
            if streams_requests:
                request = _each_permitted(request, caller, permit)
            else:
                permit(caller, request)
            with running(caller, context):
                if not caller.method:
                    await call(request, context, send)
                    return
                await send_while(
                    lambda: still(caller, request, context),
                    lambda send: call(request, context, send),
                    send,
                )

        return authorised

    def _still(
        self, method: Method, permit: Permit
    ) -> Callable[[Caller, Any, Any], Awaitable[None]]:
        """Raises for a caller who would not be let in as the one that they were."""

        async def still(caller: Caller, request: Any, context: Any) -> None:
            found = await self._authenticate(context)
            if found == caller:
                return
            if not method.streams_requests:
                permit(found, request)
            raise CredentialChanged

        return still

    def _open(self, method: Method) -> bool:
        return method.standard in self._open_services

    def _identify(self, method: Method) -> Identify:
        """Finds out who calls, and says so in `current_caller` and the span."""
        if self._authenticator.lets_everybody_do_everything:
            # What `current_caller` says by itself.
            async def everybody(_: Any, __: Any) -> Caller:
                return current_caller.get()

            return everybody

        if self._open(method):

            async def nobody(request: Any, context: Any) -> Caller:
                current_caller.set(NOBODY)
                if not asks_for_databases(request):
                    return NOBODY
                # Open services reveal database names only to callers who may read them.
                try:
                    caller = await self._prove(context)
                except CredentialMissing:
                    return NOBODY
                current_caller.set(caller)
                return caller

            return nobody

        async def identify(_: Any, context: Any) -> Caller:
            # Never reset: grpc.aio runs each call in a task, so a context, of its own.
            current_caller.set(NOBODY)
            caller = await self._prove(context)
            current_caller.set(caller)
            span = trace.get_current_span()
            if span.is_recording():
                span.set_attribute(names.ENDUSER_ID, caller.name)
            return caller

        return identify

    async def _prove(self, context: Any) -> Caller:
        """Who calls, counted while that is found out, and noted where it is nobody that is known.

        Apart from the calls that run: who has shown nothing yet must not take their places.
        """
        address = address_of(context.peer())
        try:
            with self._limit.running(f"unknown {address}"):
                return await self._authenticate(context)
        except Unauthenticated as error:
            await self._failed_credentials.refused(address, error)
            raise

    async def _authenticate(self, context: Any) -> Caller:
        headers = [value for key, value in context.invocation_metadata() if key == _AUTHORIZATION]
        return await self._authenticator.authenticate(headers, lambda: _certificate_names(context))

    def _permit(self, method: Method) -> Permit:
        """Raise `RoleMissing` if the caller may not call the method with this request."""
        role = method.role
        if role is None or self._open(method):
            # Denied to everybody where the request is checked, or to nobody.
            return lambda caller, request: None
        needed = role
        if method.by_operation:

            def permit_somewhere(caller: Caller, request: Any) -> None:
                if not caller.may_somewhere(needed):
                    raise RoleMissing(caller.name, needed.name)

            return permit_somewhere
        databases_of = compile_naming(method.request_type)

        def permit(caller: Caller, request: Any) -> None:
            # What could not be decoded names nothing; its turn comes after this.
            decoded = hasattr(request, "DESCRIPTOR")
            named = databases_of(request) if databases_of is not None and decoded else ()
            for database in named or (None,):
                require(caller, needed, database)

        return permit

    def _running(
        self, method: Method
    ) -> Callable[[Caller, Any], contextlib.AbstractContextManager[None]]:
        """Counts a call while it runs: by its caller, and for its connection.

        A caller is known by name where it is proved, else by address. Probes of an open service
        are counted apart: those of a load balancer get through when the callers behind it have
        used up what they may. Raises `TooManyCalls`.
        """
        prefix = f"{method.standard} " if self._open(method) else ""
        limit, connections = self._limit, self._connections

        @contextlib.contextmanager
        def running(caller: Caller, context: Any) -> Iterator[None]:
            peer = peer_of(context.peer())
            if caller.method:
                who, standing = f"{caller.method} {caller.name}", Standing.AUTHENTICATED
            else:
                who, standing = prefix + peer[0], Standing.ANONYMOUS
            with limit.running(who), connections.call(peer, standing):
                yield

        return running


def peer_of(peer: str) -> Peer:
    """The address and port in gRPC's `ipv4:127.0.0.1:50051` or `ipv6:%5B::1%5D:50051`."""
    address = unquote(peer.partition(":")[2] or peer)
    host, _, port = address.rpartition(":")
    return (host.strip("[]"), int(port)) if host and port.isdigit() else (address, 0)


def address_of(peer: str) -> str:
    """The address alone."""
    return peer_of(peer)[0]


async def _each_permitted(
    requests: AsyncIterator[Any], caller: Caller, permit: Permit
) -> AsyncIterator[Any]:
    async for request in requests:
        permit(caller, request)
        yield request


def _certificate_names(context: Any) -> Iterable[str]:
    found = context.auth_context()
    for key in _CERTIFICATE_NAMES:
        for value in found.get(key, ()):
            yield value.decode("utf-8", errors="replace")
