"""Log that a listener is full, at a limited rate."""

import logging
import time
from collections.abc import Callable
from typing import Final

_log = logging.getLogger(__name__)

_EVERY_S: Final = 10.0


class FullListenerLog:
    """At most one line every ten seconds. `clock`: seconds from any moment on."""

    def __init__(
        self, listener: str, most: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._listener = listener
        self._most = most
        self._clock = clock
        self._closed = 0
        self._said_at: float | None = None

    def closed(self, count: int) -> None:
        """Count connections that were closed to make room."""
        if not count:
            return
        self._closed += count
        now = self._clock()
        if self._said_at is not None and now - self._said_at < _EVERY_S:
            return
        _log.warning(
            "the %s listener is full with %d connections: %d that were not in use were closed "
            "since the last such line; server.max_connections allows more",
            self._listener,
            self._most,
            self._closed,
        )
        self._closed, self._said_at = 0, now
