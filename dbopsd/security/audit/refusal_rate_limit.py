"""Limit the refusals of unauthenticated callers in the log, which could fill the disk."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from dbopsd.security.network_table import NetworkTable

_MOST: Final = 10.0
_PER_SECOND: Final = 1.0


@dataclass(slots=True)
class _Left:
    lines: float
    at: float


class RefusalRateLimit:
    """Ten lines for each address, and one more a second. `clock` gives seconds, from any moment on.

    Where more than a thousand addresses call at once, the others share what one has.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # One that has all its lines again is as a new one.
        self._left = NetworkTable(
            lambda: _Left(_MOST, clock()),
            lambda left: clock() - left.at >= _MOST / _PER_SECOND,
        )

    def take(self, address: str) -> bool:
        """Whether there is a line left for a call from `address`, which is then used up."""
        now = self._clock()
        left = self._left.of(address)
        left.lines = min(_MOST, left.lines + (now - left.at) * _PER_SECOND)
        left.at = now
        if left.lines < 1:
            return False
        left.lines -= 1
        return True
