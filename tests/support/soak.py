"""Seeded campaigns in a short form for every run and a long one for `--soak`."""

import math
import random
import time
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Soak:
    """`long` says which form to run; `seed` makes it the same again (`--seed`).

    `ends_at`: when a campaign that may end anywhere should, by time.monotonic() (`--minutes`).
    """

    long: bool
    seed: int
    ends_at: float = math.inf

    @property
    def over(self) -> bool:
        """Whether its time is over."""
        return time.monotonic() >= self.ends_at

    def scale(self, short: T, long: T) -> T:
        """Rounds, rows or seconds: what this form takes."""
        return long if self.long else short

    def random(self) -> random.Random:
        """A fresh generator from the seed; each call gives the same sequence."""
        return random.Random(self.seed)
