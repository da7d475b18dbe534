"""Seeded campaigns in a short form for every run and a long one for `--soak`."""

import random
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Soak:
    """`long` says which form to run; `seed` makes it the same again (`--seed`)."""

    long: bool
    seed: int

    def scale(self, short: T, long: T) -> T:
        """Rounds, rows or seconds: what this form takes."""
        return long if self.long else short

    def random(self) -> random.Random:
        """A fresh generator from the seed; each call gives the same sequence."""
        return random.Random(self.seed)
