"""When a client reconnects after an error, and when it gives up: the decision alone, no I/O."""

import random
import time
from collections.abc import Callable

from dbops_client._errors import DbopsError, DeadlineExceededError, UnavailableError

_FIRST_BACKOFF_S = 0.2
_MAX_BACKOFF_S = 5.0


class Reconnect:
    """Jittered exponential backoff, bounded by the length of the outage.

    An outage lasts from the first failure to the next message. After `give_up_after_s` seconds the
    caller gets the error; 0 gives up at once.
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
        """How long the present outage has lasted, in seconds; 0 if there is none."""
        start_s = self._outage_start_s
        return 0.0 if start_s is None else self._clock() - start_s

    def connected(self) -> None:
        """Note that a message came, which ends an outage."""
        self._established = True
        self._failures = 0
        self._outage_start_s = None

    def delay_s(self, error: DbopsError) -> float | None:
        """Return how long to wait before the next attempt, in seconds, or None to give up."""
        if not self._is_temporary(error):
            return None
        now_s = self._clock()
        if self._outage_start_s is None:
            self._outage_start_s = now_s
        backoff_s = min(_FIRST_BACKOFF_S * 2.0**self._failures, _MAX_BACKOFF_S)
        # Half of it is random, so that the clients of a restarted daemon do not come back at once.
        delay_s = self._jitter(backoff_s / 2, backoff_s)
        self._failures += 1
        if now_s + delay_s - self._outage_start_s > self._give_up_after_s:
            return None
        return delay_s

    def _is_temporary(self, error: DbopsError) -> bool:
        if isinstance(error, UnavailableError):
            return True
        # A server that answered before and is now silent may be restarting: a host that starts
        # drops packets. One that never answered is reported at once.
        return self._established and isinstance(error, DeadlineExceededError)
