"""Keeps the gRPC server's connections at a number, from outside its core.

The core accepts in threads of its own, and all it can do when there are too many is to refuse new
ones: whoever opened the others would have shut everybody out. So its limit stands a quarter above
ours, and here those that are used least are ended as soon as there are more than ours.
"""

import asyncio
import contextlib
import os
import socket
import stat
from typing import Final

from dbopsd.security.connections import Connections, Peer
from dbopsd.security.full_listener_log import FullListenerLog

CORE_LIMIT: Final = 1.25
"""The core's limit, as a multiple of ours."""

_LOOK_EVERY_S: Final = 0.1
# While the listener fills up.
_LOOK_AGAIN_S: Final = 0.02
_DESCRIPTORS: Final = "/proc/self/fd"
_MAPPED: Final = "::ffff:"


def core_limit(most: int) -> int:
    """How many connections the core is to accept where `most` are kept."""
    return int(most * CORE_LIMIT)


class ConnectionLimit:
    """Ends what is too much of the `connections` that were accepted on `port`."""

    def __init__(self, connections: Connections, port: int) -> None:
        self._connections = connections
        self._port = port
        self._full = FullListenerLog("gRPC", connections.most)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look after them in the background, until `close`."""
        self._task = asyncio.create_task(self._look_after(), name="grpc-connections")

    async def close(self) -> None:
        """Look after them no longer."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _look_after(self) -> None:
        while True:
            closed = self.trim()
            self._full.closed(closed)
            await asyncio.sleep(_LOOK_AGAIN_S if closed else _LOOK_EVERY_S)

    def trim(self) -> int:
        """Look once, and end what is too much; returns how many that were."""
        most = self._connections.most
        try:
            with os.scandir(_DESCRIPTORS) as entries:
                descriptors = [int(entry.name) for entry in entries]
        except OSError:
            # No descriptor is left to look with: the core's limit holds meanwhile.
            return 0
        # There are no more connections than descriptors. What is known of connections that are
        # gone is let go of now and then.
        if len(descriptors) <= most and len(self._connections) <= most:
            return 0
        found = {}
        for descriptor in descriptors:
            peer = self._peer(descriptor)
            if peer is not None:
                found[peer] = descriptor
        self._connections.sync(found)
        surplus = self._connections.surplus()
        for peer in surplus:
            self._end(found[peer], peer)
        return len(surplus)

    def _peer(self, descriptor: int) -> Peer | None:
        """Who is at the other end, if it is a connection that was accepted on our port."""
        with contextlib.suppress(OSError):
            if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                return None
            # A copy: the descriptor is the core's, which may close it at any time.
            with socket.socket(fileno=os.dup(descriptor)) as copied:
                return self._peer_of(copied)
        return None

    def _peer_of(self, connection: socket.socket) -> Peer | None:
        if connection.family not in (socket.AF_INET, socket.AF_INET6):
            return None
        if connection.getsockname()[1] != self._port:
            return None
        address, port = connection.getpeername()[:2]
        return address.removeprefix(_MAPPED), port

    def _end(self, descriptor: int, peer: Peer) -> None:
        """Have the core see the connection's end, upon which it closes it."""
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as copied:
            # The number may stand for another file by now.
            if self._peer_of(copied) == peer:
                copied.shutdown(socket.SHUT_RDWR)
