"""Check whether an address can be listened on."""

import asyncio
import errno
import os
import socket

from dbopsd.config import split_listen_address
from dbopsd.errors import ListenerUnavailable


async def require_bindable(address: str) -> int:
    """Raise `ListenerUnavailable` with the cause unless `address` (`host:port`) can be bound now.

    Returns how many addresses the host has here.

    gRPC says no more than "failed to bind", and writes a line of its own to standard error.
    """
    host, port = split_listen_address(address)
    try:
        resolved = await asyncio.get_running_loop().getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as exc:
        raise ListenerUnavailable(address, f"the host does not resolve ({exc.strerror})") from exc
    failures = []
    for family, kind, protocol, _, target in resolved:
        failure = _try(family, kind, protocol, target)
        # In use counts even where another address of the host is free: half a listener is a trap.
        if failure == errno.EADDRINUSE:
            raise ListenerUnavailable(address, "the port is in use by another process")
        if failure is not None:
            failures.append(failure)
    if len(failures) == len(resolved):
        raise ListenerUnavailable(address, os.strerror(failures[0]).lower())
    return len(resolved) - len(failures)


def _try(family: int, kind: int, protocol: int, target: object) -> int | None:
    """Bind once and let go; the error number where that fails."""
    try:
        with socket.socket(family, kind, protocol) as probe:
            # As the listener itself will: connections of the process before us do not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(target)  # type: ignore[arg-type]
    except OSError as exc:
        return exc.errno
    return None
