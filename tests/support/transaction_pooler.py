"""A connection pooler in transaction mode: clients share real server connections by transaction.

https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

import asyncio
import contextlib
import os
import socket
import struct
from dataclasses import dataclass, field
from typing import Self

import psycopg

from tests.support.loopthread import LoopThread

_WITHOUT_ENCRYPTION = b"N"
_ENCRYPTION_REQUESTS = (80877103, 80877104)
_AUTHENTICATED = b"R" + struct.pack("!ii", 8, 0)
_KEY = b"K" + struct.pack("!iii", 12, 4711, 4711)
_READY = b"Z" + struct.pack("!ic", 5, b"I")
_REPORTED = ("server_version", "server_encoding", "client_encoding", "DateStyle", "TimeZone")


@dataclass
class _Backend:
    """A server connection, and the way to read and write it."""

    login: psycopg.Connection[tuple[object, ...]]
    reader: asyncio.StreamReader = field(init=False)
    writer: asyncio.StreamWriter = field(init=False)

    async def open(self) -> None:
        """Take over the socket that the driver has logged in on."""
        end = socket.socket(fileno=os.dup(self.login.fileno()))
        self.reader, self.writer = await asyncio.open_connection(sock=end)

    async def close(self) -> None:
        await _abort(self.writer)
        self.login.close()


class TransactionPooler:
    """Listens on 127.0.0.1:`port` for any user, with `size` connections to `dsn`.

    With `oldest_first` it hands out the connection that has rested longest, otherwise the one that
    was used last.
    """

    def __init__(self, dsn: str, *, size: int, oldest_first: bool = False) -> None:
        self._idle: asyncio.Queue[_Backend] = (
            asyncio.Queue() if oldest_first else asyncio.LifoQueue()
        )
        self._backends = [
            _Backend(psycopg.connect(dsn, sslmode="disable", autocommit=True)) for _ in range(size)
        ]
        info = self._backends[0].login.info
        self._greeting = b"".join(
            [
                _AUTHENTICATED,
                *(_parameter(name, info.parameter_status(name) or "") for name in _REPORTED),
                _KEY,
                _READY,
            ]
        )
        self._clients: set[asyncio.Task[None]] = set()
        self._thread = LoopThread("transaction pooler")
        self.port = self._thread.run(self._listen())

    def close(self) -> None:
        self._thread.run(self._end())
        self._thread.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _listen(self) -> int:
        for backend in self._backends:
            await backend.open()
            self._idle.put_nowait(backend)
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def _end(self) -> None:
        self._server.close()
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        for backend in self._backends:
            await backend.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            while await _asks_for_encryption(reader):
                writer.write(_WITHOUT_ENCRYPTION)
            writer.write(self._greeting)
            await self._serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client is gone
        finally:
            await _abort(writer)
            self._clients.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        backend: _Backend | None = None
        while (message := await _message(reader))[:1] != b"X":
            backend = backend or await self._idle.get()
            backend.writer.write(message)
            # Until then the server answers nothing, or not to its end.
            if message[:1] in (b"Q", b"S") and await _answer(backend.reader, writer) == b"I":
                self._idle.put_nowait(backend)
                backend = None


async def _abort(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def _asks_for_encryption(reader: asyncio.StreamReader) -> bool:
    (length,) = struct.unpack("!i", await reader.readexactly(4))
    request = await reader.readexactly(length - 4)
    return struct.unpack("!i", request[:4])[0] in _ENCRYPTION_REQUESTS


async def _message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(5)
    return head + await reader.readexactly(struct.unpack("!i", head[1:])[0] - 4)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Pass on the server's answer; the state of the transaction after it."""
    while (message := await _message(reader))[:1] != b"Z":
        writer.write(message)
    writer.write(message)
    await writer.drain()
    return message[5:]


def _parameter(name: str, value: str) -> bytes:
    body = name.encode() + b"\0" + value.encode() + b"\0"
    return b"S" + struct.pack("!i", len(body) + 4) + body
