"""Rejected credentials: logged, and answered with a growing delay.

A token cannot be guessed, however fast one tries. But whoever tries should be seen, and cost
little. Only calls that failed wait, so that nobody is kept out by others behind the same address.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from dbopsd.security.errors import CredentialMissing, TooManyCalls, Unauthenticated
from dbopsd.security.network_table import NetworkTable

_log = logging.getLogger(__name__)

_FIRST_DELAY_S: Final = 0.1
_LONGEST_DELAY_S: Final = 2.0
_FORGOTTEN_AFTER_S: Final = 60.0
_LINE_EVERY_S: Final = 10.0
# Of all networks together, in that time.
_MOST_LINES: Final = 20


@dataclass(slots=True)
class _Failures:
    count: int = 0
    waiting: int = 0
    failed_at: float = 0.0
    said_at: float | None = None


class FailedCredentials:
    """Counts them by network; where more than a thousand fail at once, the others share a count.

    `most_waiting` calls of one network wait at once. `clock`: seconds from any moment on.
    """

    def __init__(
        self,
        most_waiting: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._most_waiting = most_waiting
        self._clock = clock
        self._sleep = sleep
        self._failures = NetworkTable(
            lambda: _Failures(failed_at=clock()),
            lambda failures: clock() - failures.failed_at > _FORGOTTEN_AFTER_S,
        )
        self._lines = 0
        self._lines_since = clock()
        self._unsaid = 0

    async def refused(self, address: str, error: Unauthenticated) -> None:
        """Note a call from `address` that was refused with `error`, and wait before it is answered.

        The first failure in a minute is answered at once, and so is a call that shows no
        credential at all. Raises `TooManyCalls`, at once, where too many wait already.
        """
        if isinstance(error, CredentialMissing):
            return
        now = self._clock()
        failures = self._failures.of(address)
        if now - failures.failed_at > _FORGOTTEN_AFTER_S:
            failures.count = 0
        failures.count += 1
        failures.failed_at = now
        self._say(address, error.reason, failures, now)
        if failures.count == 1:
            return
        if failures.waiting >= self._most_waiting:
            raise TooManyCalls(self._most_waiting)
        failures.waiting += 1
        try:
            # A power of a large number would take its time to compute.
            doublings = min(failures.count - 2, 10)
            await self._sleep(min(_FIRST_DELAY_S * 2**doublings, _LONGEST_DELAY_S))
        finally:
            failures.waiting -= 1

    def _say(self, address: str, reason: str, failures: _Failures, now: float) -> None:
        if now - self._lines_since >= _LINE_EVERY_S:
            self._lines, self._lines_since = 0, now
        said_lately = failures.said_at is not None and now - failures.said_at < _LINE_EVERY_S
        if said_lately or self._lines >= _MOST_LINES:
            self._unsaid += 1
            return
        failures.said_at = now
        self._lines += 1
        more = f"; {self._unsaid} more were refused since the last such line" * bool(self._unsaid)
        self._unsaid = 0
        _log.warning("a credential from %s was refused: %s%s", address, reason, more)
