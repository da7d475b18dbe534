"""Whose turn it is on the second connection of a sampler."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """The slow collectors have the connection, until users' collectors want it for a run."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._wanted = False

    @property
    def wanted(self) -> bool:
        """Whether who has it is to log out soon."""
        return self._wanted

    @asynccontextmanager
    async def keep(self) -> AsyncIterator[None]:
        """Have it until it is wanted."""
        async with self._lock:
            yield

    @asynccontextmanager
    async def borrow(self) -> AsyncIterator[None]:
        """Have it for a short time."""
        self._wanted = True
        try:
            async with self._lock:
                yield
        finally:
            self._wanted = False
