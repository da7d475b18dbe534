"""After which migrations of a plan there is time for a fingerprint of the schema."""

import math
from typing import Final

# Of the time of a plan. With thousands of objects and small migrations it would be most of it.
_SHARE: Final = 0.05
# Whatever the share: a usual deployment has one after each migration.
_ALLOWANCE_S: Final = 0.5
_SHORT_PLAN: Final = 50


class FingerprintBudget:
    """How long the fingerprints of a plan may take in all, but for the one at its end.

    A twentieth of its time; a short plan half a second, if that is enough for every migration.
    """

    def __init__(self, migrations: int) -> None:
        """`migrations`: how many the plan has."""
        self._left = migrations - 1
        self._can_be_complete = migrations <= _SHORT_PLAN
        self._spent_s = 0.0
        self._shortest_s = math.inf

    def allows(self, plan_s: float) -> bool:
        """Whether there is time for one after the next migration; the plan has taken `plan_s`."""
        left, self._left = self._left, self._left - 1
        if self._spent_s <= _SHARE * plan_s:
            return True
        if self._spent_s + self._shortest_s * left > _ALLOWANCE_S:
            self._can_be_complete = False
        return self._can_be_complete

    def spend(self, took_s: float) -> None:
        """One was taken."""
        self._spent_s += took_s
        self._shortest_s = min(self._shortest_s, took_s)
