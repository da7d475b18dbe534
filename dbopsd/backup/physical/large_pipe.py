"""A pipe for a program that writes gigabytes, read without a copy more than needed."""

import asyncio
import contextlib
import fcntl
import os
from typing import Final, Self

PIPE_BYTES: Final = 2**20
"""What an unprivileged process may have on Linux unless somebody changed it."""


class LargePipe:
    """A pipe: `write_fd` is the program's, to be closed here by `close_write` once it runs.

    A context manager that closes both ends.
    """

    def __init__(self) -> None:
        self._read_fd, self.write_fd = os.pipe()
        os.set_blocking(self._read_fd, False)
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._read_fd, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._buffer = memoryview(bytearray(PIPE_BYTES))
        self._write_open = True

    def close_write(self) -> None:
        """Close our copy of the writing end: the reader then sees the end of what is written."""
        if self._write_open:
            self._write_open = False
            os.close(self.write_fd)

    async def read(self, timeout_s: float) -> memoryview:
        """The next bytes, valid until the next call; empty at the end.

        Raises TimeoutError where nothing comes in time.
        """
        while True:
            try:
                return self._buffer[: os.readv(self._read_fd, [self._buffer])]
            except BlockingIOError:
                async with asyncio.timeout(timeout_s):
                    await self._readable()

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        readable: asyncio.Future[None] = loop.create_future()

        def wake() -> None:
            if not readable.done():
                readable.set_result(None)

        loop.add_reader(self._read_fd, wake)
        try:
            await readable
        finally:
            loop.remove_reader(self._read_fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close_write()
        os.close(self._read_fd)
