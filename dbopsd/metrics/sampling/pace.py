"""How often a collector runs: as it asks for, unless it costs too much or fails."""

from dataclasses import dataclass
from typing import Final

MOST_BUSY: Final = 0.02
"""The part of the time that a collector may run: a costly one has a longer interval."""

_LONGEST_S: Final = 3600.0
# After a failure it waits twice as long each time, up to this or its own interval.
_LONGEST_BACKOFF_S: Final = 600.0
# So that others have their turn between the parts of one.
_BETWEEN_PARTS_S: Final = 0.2
# A cost that was measured once on a busy server weighs as much as those before it.
_WEIGHT: Final = 0.5


@dataclass
class Pace:
    """The interval of one collector, which follows the cost that was measured."""

    every_s: float
    due_at: float = 0.0
    """By a monotonic clock."""

    cost_s: float = 0.0
    failures: int = 0
    _parts_s: float = 0.0
    _began_at: float | None = None

    @property
    def paid_s(self) -> float:
        """The interval that its cost allows, without any waiting after failures."""
        return min(max(self.every_s, self.cost_s / MOST_BUSY), max(_LONGEST_S, self.every_s))

    @property
    def interval_s(self) -> float:
        """The time between the starts of two runs."""
        if not self.failures:
            return self.paid_s
        backed_off_s = self.every_s * 2.0 ** min(self.failures, 20)
        return max(self.paid_s, min(backed_off_s, _LONGEST_BACKOFF_S))

    def continues(self, now: float, cost_s: float) -> None:
        """A part of a run began at `now` and took `cost_s`: the next part is due soon."""
        self.failures = 0
        if self._began_at is None:
            self._began_at = now
        self._parts_s += cost_s
        self.due_at = now + max(cost_s / MOST_BUSY, _BETWEEN_PARTS_S)

    def succeeded(self, now: float, cost_s: float) -> None:
        """A run, or the last part of one, began at `now` and took `cost_s`."""
        self.failures = 0
        if self._began_at is not None:
            now, cost_s = self._began_at, cost_s + self._parts_s
            self.due_at = now
            self._began_at, self._parts_s = None, 0.0
        self.cost_s = cost_s if not self.cost_s else self._smoothed(cost_s)
        self._next(now)

    def failed(self, now: float, cost_s: float) -> None:
        """A run that began at `now` failed after `cost_s`."""
        self.failures += 1
        self.cost_s = max(self.cost_s, cost_s)
        self._next(now)

    def lost(self) -> None:
        """A run ended with its connection, which says nothing of its cost: it is due at once."""
        self.due_at = 0.0

    def _smoothed(self, cost_s: float) -> float:
        return self.cost_s + _WEIGHT * (cost_s - self.cost_s)

    def _next(self, now: float) -> None:
        # On a grid of its own, so that samples are as far apart as they say.
        interval_s = self.interval_s
        planned = self.due_at + interval_s
        self.due_at = planned if planned > now else now + interval_s
