"""Which operations of a worker may run side by side, and which one alone.

Alone runs one that several workers vanished with, each with other operations beside it: so that
it is seen whether this one is the cause.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class SoloGate:
    """Lets in any number, or one alone."""

    def __init__(self) -> None:
        self._inside: set[str] = set()
        self._solo = ""
        self._left = asyncio.Event()

    async def until_open(self) -> None:
        """Return once none runs alone, or wants to; whoever comes in next must not wait first."""
        while self._solo:
            await self._until_one_leaves()

    @contextmanager
    def enter(self, operation: str, *, solo: bool) -> Iterator[None]:
        """Be inside for the time of the context. `solo`: nobody comes in meanwhile.

        Whoever is inside already is waited for by `until_alone`.
        """
        if solo:
            self._solo = operation
        self._inside.add(operation)
        try:
            yield
        finally:
            self._inside.discard(operation)
            if solo:
                self._solo = ""
            self._left.set()

    async def until_alone(self) -> None:
        """Return once nobody is inside but the one that runs alone."""
        while self._inside - {self._solo}:
            await self._until_one_leaves()

    async def _until_one_leaves(self) -> None:
        self._left.clear()
        await self._left.wait()
