"""Limit the refusals of unauthenticated callers in the log, which could fill the disk."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from dbopsd.security.addresses import network_of

_MOST: Final = 10.0
_PER_SECOND: Final = 1.0
_MOST_ADDRESSES: Final = 1024


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
        # The one that was used last is last.
        self._left: OrderedDict[str, _Left] = OrderedDict()
        self._left_to_others = _Left(_MOST, clock())

    def take(self, address: str) -> bool:
        """Whether there is a line left for a call from `address`, which is then used up."""
        now = self._clock()
        left = self._of(network_of(address), now)
        left.lines = min(_MOST, left.lines + (now - left.at) * _PER_SECOND)
        left.at = now
        if left.lines < 1:
            return False
        left.lines -= 1
        return True

    def _of(self, network: str, now: float) -> _Left:
        left = self._left.get(network)
        if left is not None:
            self._left.move_to_end(network)
            return left
        if len(self._left) >= _MOST_ADDRESSES:
            oldest = next(iter(self._left))
            if now - self._left[oldest].at < _MOST / _PER_SECOND:
                return self._left_to_others
            # It has all its lines again, as a new one has.
            del self._left[oldest]
        left = self._left[network] = _Left(_MOST, now)
        return left
