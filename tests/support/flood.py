"""Connections that a stranger opens and does nothing useful with."""

import contextlib
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Final, Self

_SETTINGS: Final = 4
PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FIRST_BYTES: Final = {
    "nothing": b"",
    "half of an HTTP request": b"GET /livez HTTP/1.1\r\nHost: loc",
    "an HTTP request": b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "half of a TLS handshake": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


def frame(kind: int, flags: int, payload: bytes = b"", stream: int = 0) -> bytes:
    """An HTTP/2 frame."""
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big")
    return head + payload


def headers(stream: int, path: str) -> bytes:
    """The HEADERS of a gRPC call, whose request may follow."""
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "localhost",
        "te": "trailers",
        "content-type": "application/grpc",
    }
    # HPACK's literal without indexing, with a new name.
    block = b"".join(
        bytes([0, len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
        for name, value in fields.items()
    )
    return frame(1, 4, block, stream)


FIRST_BYTES["an HTTP/2 connection"] = PREFACE + frame(_SETTINGS, 0)


class Flood(AbstractContextManager["Flood"]):
    """`count` connections to a port, each with the same first bytes; closed with the context."""

    def __init__(self, port: int, count: int, first_bytes: bytes = b"") -> None:
        self.refused = 0
        self._connections: list[socket.socket] = []
        try:
            for _ in range(count):
                self._open(port, first_bytes)
        except BaseException:
            self.__exit__()
            raise

    def _open(self, port: int, first_bytes: bytes) -> None:
        try:
            connection = socket.create_connection(("127.0.0.1", port), timeout=10)
        except OSError:
            self.refused += 1
            return
        self._connections.append(connection)
        with contextlib.suppress(OSError):
            connection.sendall(first_bytes)
        connection.setblocking(False)

    @property
    def open(self) -> int:
        """How many the other side has not closed."""
        return sum(not _is_closed(connection) for connection in self._connections)

    def close(self) -> None:
        for connection in self._connections:
            connection.close()
        self._connections.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _is_closed(connection: socket.socket) -> bool:
    try:
        while connection.recv(65536):
            pass
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


@contextlib.contextmanager
def floods(*opened: Flood) -> Iterator[None]:
    """Close all of them in the end."""
    with contextlib.ExitStack() as stack:
        for each in opened:
            stack.enter_context(each)
        yield
