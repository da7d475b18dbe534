"""How many calls one caller may have running at once."""

from collections.abc import Iterator
from contextlib import contextmanager

from dbopsd.security.errors import TooManyCalls


class CallLimit:
    """Counts the running calls by who makes them."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._running: dict[str, int] = {}

    def enter(self, who: str) -> None:
        """Count one more. Raises `TooManyCalls`; else `leave` must follow."""
        running = self._running.get(who, 0)
        if running >= self.most:
            raise TooManyCalls(self.most)
        self._running[who] = running + 1

    def leave(self, who: str) -> None:
        """Count one less."""
        running = self._running[who] - 1
        if running:
            self._running[who] = running
        else:
            del self._running[who]

    @contextmanager
    def running(self, who: str) -> Iterator[None]:
        """Count one for the time of the context. Raises `TooManyCalls`."""
        self.enter(who)
        try:
            yield
        finally:
            self.leave(who)
