"""When a broken watch is taken up again, and when it is given up: the decision alone, no I/O."""

import random
import time
from collections.abc import Callable

from dbops_client._errors import DbopsError, DeadlineExceededError, UnavailableError

_FIRST_BACKOFF_S = 0.2
_MAX_BACKOFF_S = 5.0


class Reconnect:
    """Jittered exponential backoff, bounded by the length of the outage.

    An outage lasts from the first failure to the next message. After `give_up_after_s` of it the
    error is the caller's; 0 gives up at once.
    """

    def __init__(
        self,
        give_up_after_s: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._give_up_after_s = give_up_after_s
        self._clock = clock
        self._jitter = jitter
        self._established = False
        self._failures = 0
        self._outage_start_s: float | None = None

    @property
    def outage_s(self) -> float:
        """How long the present outage has lasted, in seconds; 0 when there is none."""
        start_s = self._outage_start_s
        return 0.0 if start_s is None else self._clock() - start_s

    def connected(self) -> None:
        """Note that a message came: the outage, if there was one, is over."""
        self._established = True
        self._failures = 0
        self._outage_start_s = None

    def delay_s(self, error: DbopsError) -> float | None:
        """Return how long to wait before the next attempt, in seconds, or None to give up."""
        if not self._is_passing(error):
            return None
        now_s = self._clock()
        if self._outage_start_s is None:
            self._outage_start_s = now_s
        backoff_s = min(_FIRST_BACKOFF_S * 2.0**self._failures, _MAX_BACKOFF_S)
        # Half of it is left to chance, so that the subscribers of a restarted daemon do not all
        # come back at once.
        delay_s = self._jitter(backoff_s / 2, backoff_s)
        self._failures += 1
        if now_s + delay_s - self._outage_start_s > self._give_up_after_s:
            return None
        return delay_s

    def _is_passing(self, error: DbopsError) -> bool:
        if isinstance(error, UnavailableError):
            return True
        # A server that once answered and is now silent is on its way down or up (a host that
        # restarts swallows packets). One that never answered is reported at once: nothing says that
        # waiting would help.
        return self._established and isinstance(error, DeadlineExceededError)
