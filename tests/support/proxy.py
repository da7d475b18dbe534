"""A TCP proxy that fails on command, between a client and a real server."""

import asyncio
import contextlib
import socket
from typing import Self

from tests.support.loopthread import LoopThread

_CHUNK_BYTES = 64 * 1024


class Proxy:
    """Forwards 127.0.0.1:`port` to a target until told otherwise.

    It runs in a thread of its own, so it goes on whatever a test's event loop does; its methods
    may be called from anywhere and take effect before they return.
    """

    def __init__(self, target_host: str, target_port: int) -> None:
        self._target = (target_host, target_port)
        self._delay_s = 0.0
        self._opened = 0
        self._links: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        # Bound, never listening: it keeps the port ours while nothing listens on it, and the
        # kernel refuses connections then.
        self._reservation = _bound_socket(0)
        self.host = "127.0.0.1"
        self.port = int(self._reservation.getsockname()[1])
        self._thread = LoopThread(f"proxy {self.port}")
        self._flowing = asyncio.Event()
        self._thread.run(self._heal())

    @property
    def opened(self) -> int:
        """How many connections clients have opened so far."""
        return self._opened

    @property
    def open(self) -> int:
        """How many connections are open now."""
        return len(self._tasks)

    def cut(self) -> None:
        """Reset every connection and refuse new ones."""
        self._thread.run(self._cut())

    def refuse_new(self) -> None:
        """Refuse new connections; those that there are go on."""
        self._thread.run(self._refuse_new())

    def freeze(self) -> None:
        """A black hole: connections stay and are taken, and nothing passes either way."""
        self._thread.run(self._freeze())

    def heal(self) -> None:
        """Forward again, without delay: also what was held up while frozen."""
        self._thread.run(self._heal())

    def point_to(self, host: str, port: int) -> None:
        """Forward new connections to another target."""
        self._target = (host, port)

    def delay(self, seconds: float) -> None:
        """Hold back each piece of data for so long, in either direction, until `heal()`."""
        self._delay_s = seconds

    def close(self) -> None:
        self._thread.run(self._end())
        self._reservation.close()
        self._thread.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _freeze(self) -> None:
        self._flowing.clear()

    async def _heal(self) -> None:
        self._delay_s = 0.0
        self._flowing.set()
        if self._server is None:
            listener = _bound_socket(self.port)
            self._server = await asyncio.start_server(self._accept, sock=listener)

    async def _refuse_new(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _cut(self) -> None:
        await self._refuse_new()
        tasks = list(self._tasks)
        for writer in list(self._links):
            _reset(writer)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # A frozen proxy that is cut is not frozen when it heals.
        self._flowing.set()

    async def _end(self) -> None:
        await self._cut()
        # A connection that was being accepted meanwhile comes to light only now.
        await _rounds_of_the_loop()
        await self._cut()
        # An aborted one closes its socket in a later round.
        await _rounds_of_the_loop()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._opened += 1
        self._links.add(writer)
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        try:
            await self._flowing.wait()
            target_reader, target_writer = await asyncio.open_connection(*self._target)
            self._links.add(target_writer)
            writers.append(target_writer)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, target_writer))
                group.create_task(self._pump(target_reader, writer))
        except (OSError, ExceptionGroup):
            # One side is gone: the other learns it as it would without us.
            for each in writers:
                _reset(each)
        finally:
            for each in writers:
                self._links.discard(each)
                each.close()
                with contextlib.suppress(OSError):
                    await each.wait_closed()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward until the end of the stream, each piece `delay` after it came."""
        loop = asyncio.get_running_loop()
        # Bounded: a reader far ahead of its delayed writer would hold a table in memory.
        held: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(maxsize=256)

        async def forward() -> None:
            while True:
                due, piece = await held.get()
                await asyncio.sleep(max(0.0, due - loop.time()))
                await self._flowing.wait()
                if not piece:
                    break
                writer.write(piece)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()

        async with asyncio.TaskGroup() as group:
            group.create_task(forward())
            while True:
                piece = await reader.read(_CHUNK_BYTES)
                await held.put((loop.time() + self._delay_s, piece))
                if not piece:
                    break


async def _rounds_of_the_loop() -> None:
    """Some more than a connection needs to begin or to end, however slow the machine is."""
    for _ in range(10):
        await asyncio.sleep(0)


def _bound_socket(port: int) -> socket.socket:
    result = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    result.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    result.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    result.bind(("127.0.0.1", port))
    return result


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN, as a firewall or a dying host would."""
    raw = writer.get_extra_info("socket")
    if raw is not None:
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()
