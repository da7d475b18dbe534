"""Accepts the HTTP server's connections: so many at once, and none that sends no request.

asyncio's own accepting has no limit, and logs a traceback for each connection that it has no
descriptor for, some hundred at a time.
"""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Final

from dbopsd.security.connections import Connections, Peer
from dbopsd.security.full_listener_log import FullListenerLog

_log = logging.getLogger(__name__)

FIRST_REQUEST_S: Final = 10.0
"""How long a connection may take for its TLS handshake and its first request's headers."""

_BACKLOG: Final = 1024
# Others get their turn between two rounds.
_ACCEPTED_AT_ONCE: Final = 16
_PAUSE_S: Final = 1.0
# Of a client that does not read what it asked for.
_UNREAD_MS: Final = 60_000

ProtocolFactory = Callable[[], asyncio.Protocol]


class Listener:
    """The listening sockets of one address. `protocol` makes what serves a connection."""

    def __init__(
        self,
        protocol: ProtocolFactory,
        connections: Connections,
        tls: ssl.SSLContext | None,
        *,
        first_request_s: float = FIRST_REQUEST_S,
    ) -> None:
        self._protocol = protocol
        self._connections = connections
        self._tls = tls
        self._first_request_s = first_request_s
        self._listening: list[socket.socket] = []
        self._sockets: dict[Peer, socket.socket] = {}
        self._deadlines: dict[Peer, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._full = FullListenerLog("HTTP", connections.most)
        self._out_of_resources = False

    async def open(self, host: str, port: int) -> int:
        """Listen; returns the port. Raises OSError, and leaves nothing open then."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        try:
            for family, kind, protocol, _, address in dict.fromkeys(found):
                listening = socket.socket(family, kind, protocol)
                self._listening.append(listening)
                listening.setblocking(False)
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                listening.bind(address)
                listening.listen(_BACKLOG)
        except OSError:
            self.close()
            raise
        for listening in self._listening:
            loop.add_reader(listening, self._accept, listening)
        bound: int = self._listening[0].getsockname()[1]
        return bound

    def close(self) -> None:
        """Accept no more; connections that are open stay."""
        loop = asyncio.get_running_loop()
        for listening in self._listening:
            loop.remove_reader(listening)
            listening.close()
        self._listening.clear()

    async def end(self) -> None:
        """End the connections that are still open."""
        for deadline in self._deadlines.values():
            deadline.cancel()
        self._deadlines.clear()
        for accepted in self._sockets.values():
            _hang_up(accepted)
        self._sockets.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def request_begun(self, peer: Peer) -> None:
        """The connection has sent a request's headers."""
        deadline = self._deadlines.pop(peer, None)
        if deadline is not None:
            deadline.cancel()

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                accepted, address = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as exc:
                self._pause(listening, exc)
                return
            self._take(accepted, (address[0], address[1]))

    def _pause(self, listening: socket.socket, cause: OSError) -> None:
        """Out of descriptors or memory: the system would say so again at once."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(listening)
        loop.call_later(_PAUSE_S, self._go_on, listening)
        if not self._out_of_resources:
            self._out_of_resources = True
            _log.error("the HTTP listener cannot accept connections: %s", cause.strerror)

    def _go_on(self, listening: socket.socket) -> None:
        if listening in self._listening:
            asyncio.get_running_loop().add_reader(listening, self._accept, listening)

    def _take(self, accepted: socket.socket, peer: Peer) -> None:
        self._out_of_resources = False
        accepted.setblocking(False)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD_MS)
        self._sockets[peer] = accepted
        self._connections.opened(peer)
        loop = asyncio.get_running_loop()
        self._deadlines[peer] = loop.call_later(
            self._first_request_s, self._end_silent, accepted, peer
        )
        if len(self._connections) > self._connections.most:
            self._make_room()
        task = loop.create_task(self._serve(accepted))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _make_room(self) -> None:
        self._sockets = {peer: each for peer, each in self._sockets.items() if each.fileno() != -1}
        self._connections.sync(self._sockets)
        surplus = self._connections.surplus()
        for peer in surplus:
            _hang_up(self._sockets.pop(peer))
        for peer in self._deadlines.keys() - self._sockets.keys():
            self._deadlines.pop(peer).cancel()
        self._full.closed(len(surplus))

    async def _serve(self, accepted: socket.socket) -> None:
        # A handshake that fails, or that is not done in time, is nobody's mistake here.
        with contextlib.suppress(OSError, TimeoutError):
            await asyncio.get_running_loop().connect_accepted_socket(
                self._protocol,
                accepted,
                ssl=self._tls,
                ssl_handshake_timeout=None if self._tls is None else self._first_request_s,
            )

    def _end_silent(self, accepted: socket.socket, peer: Peer) -> None:
        # Another may have come from the same port since.
        if self._sockets.get(peer) is accepted:
            del self._deadlines[peer]
        _hang_up(accepted)


def _hang_up(connection: socket.socket) -> None:
    """Close the connection, so that its handler sees the end."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
