"""Which workers have been silent for too long, by the clock of who listens.

No clock is compared with another: a heartbeat that changes is a sign of life, whatever it says. So
a clock that is set, a machine that was suspended or a control store that was away makes nobody look
dead, as long as the listener starts anew when it could not listen.
"""

import time
from collections.abc import Callable, Mapping


class HeartbeatMonitor:
    """`clock` gives seconds that only grow."""

    def __init__(self, after_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._after_s = after_s
        self._clock = clock
        self._heard: dict[str, tuple[int, float]] = {}

    def listen(self, heartbeats: Mapping[str, int]) -> dict[str, int]:
        """Those of the workers, with their last heartbeats, that have been silent for too long."""
        now = self._clock()
        heard = {}
        for worker, heartbeat in heartbeats.items():
            before = self._heard.get(worker)
            unchanged = before is not None and before[0] == heartbeat
            heard[worker] = before if unchanged and before is not None else (heartbeat, now)
        self._heard = heard
        return {
            worker: heartbeat
            for worker, (heartbeat, since) in heard.items()
            if now - since >= self._after_s
        }

    def next_in_s(self) -> float:
        """In how many seconds the next one will have been silent for too long; inf: none."""
        now = self._clock()
        left_s = (since + self._after_s - now for _, since in self._heard.values())
        return min((each for each in left_s if each > 0), default=float("inf"))

    def reset(self) -> None:
        """Forget what was heard: there was a time in which nothing could be."""
        self._heard.clear()
