"""The HTTP server: how it starts and how it stops."""

import errno
import socket
import time
from collections.abc import Callable, Sequence
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware

from dbopsd.config import AuthConfig, ServerConfig, split_listen_address
from dbopsd.errors import ListenerUnavailable
from dbopsd.health.board import HealthBoard
from dbopsd.http.auth_middleware import authorise_requests, peer_of
from dbopsd.http.errors import answering_errors
from dbopsd.http.health import HealthPaths
from dbopsd.http.hosts import Hosts, refuse_unknown_hosts
from dbopsd.http.listener import Listener
from dbopsd.http.tracing import Handler, request_tracing
from dbopsd.security.access import Access
from dbopsd.security.connections import Connections
from dbopsd.telemetry.setup import Telemetry

# Between two requests of a connection: above the time between two scrapes of Prometheus.
_KEEPALIVE_S: Final = 75.0


class HttpServer:
    """Serves the health paths, and `routes` besides. `clock`: seconds since 1970.

    `access` says who may ask; without it everybody may.
    """

    def __init__(
        self,
        config: ServerConfig,
        board: HealthBoard,
        telemetry: Telemetry,
        *,
        access: Access | None = None,
        routes: Sequence[web.RouteDef] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._board = board
        self._telemetry = telemetry
        self._access = access or Access.load(config, AuthConfig())
        self._routes = routes
        self._clock = clock
        self._connections = Connections(config.max_connections)
        self._listener: Listener | None = None
        self._runner: web.AppRunner | None = None

    async def start(self) -> int:
        """Listen and serve; returns the port. Raises `ListenerUnavailable`."""
        application = web.Application(
            middlewares=[
                self._counting(),
                request_tracing(self._telemetry),
                answering_errors,
                refuse_unknown_hosts(Hosts.of(self._config)),
                authorise_requests(self._access, self._connections),
            ]
        )
        application.add_routes([*HealthPaths(self._board, self._clock).routes(), *self._routes])
        # Signals are the daemon's, and the spans say more than an access log.
        runner = web.AppRunner(
            application,
            handle_signals=False,
            access_log=None,
            keepalive_timeout=_KEEPALIVE_S,
        )
        await runner.setup()
        server = runner.server
        assert server is not None  # noqa: S101 - made by `setup`
        tls = self._access.tls
        context = None if tls is None else tls.server_context()
        listener = self._listener = Listener(server, self._connections, context)
        host, port = split_listen_address(self._config.http_listen)
        try:
            bound = await listener.open(host, port)
        except OSError as exc:
            await runner.cleanup()
            raise ListenerUnavailable(self._config.http_listen, _cause(exc)) from exc
        self._runner = runner
        return bound

    async def stop(self, grace_s: float) -> None:
        """Take no new requests, let running ones end for `grace_s` seconds, then cancel them."""
        if self._runner is None or self._listener is None:
            return
        runner, self._runner = self._runner, None
        self._listener.close()
        server = runner.server
        if server is not None:
            # Here, for `cleanup` would wait for the time that was set when the runner was made.
            server.pre_shutdown()
            await server.shutdown(grace_s)
        await self._listener.end()
        await runner.cleanup()

    def _counting(self) -> Middleware:
        @web.middleware
        async def counted(request: web.Request, handler: Handler) -> web.StreamResponse:
            if self._listener is not None:
                self._listener.request_begun(peer_of(request))
            return await handler(request)

        return counted


def _cause(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return f"the host does not resolve ({error.strerror})"
    if error.errno == errno.EADDRINUSE:
        return "the port is in use by another process"
    return str(error.strerror).lower()
