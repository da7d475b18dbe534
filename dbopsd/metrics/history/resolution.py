"""How fine the history is: samples as they come, then minutes, then hours."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from dbopsd.metrics.history.chunk import Rows, Samples, Times, Values, encode

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS


@dataclass(frozen=True, slots=True)
class Resolution:
    """`number` is part of the key of its chunks, each of which spans `span_ms`."""

    number: int
    step_ms: int
    span_ms: int
    kept_ms: int

    def key(self, span: int, series: int) -> int:
        """The key of a chunk. 3 bits, 28 bits, 32 bits."""
        return self.number << 60 | span << 32 | series

    def span(self, at_ms: int) -> int:
        """The span that a time belongs to: as that of a step, its end is part of it."""
        return (at_ms - 1) // self.span_ms

    @staticmethod
    def span_of_key(key: int) -> int:
        """The span in a key."""
        return (key >> 32) & 0xFFFFFFF


RAW: Final = Resolution(0, 0, HOUR_MS, DAY_MS)
MINUTES: Final = Resolution(1, 60_000, HOUR_MS, 7 * DAY_MS)
HOURS: Final = Resolution(2, HOUR_MS, 30 * DAY_MS, 366 * DAY_MS)
RESOLUTIONS: Final = (RAW, MINUTES, HOURS)


@dataclass(frozen=True, slots=True)
class Summary:
    """What is left of the samples of each step: their mean, least and most; of counters, the last.

    `times` are the ends of steps that have samples, in ms since 1970.
    """

    times: Times
    mean: Values
    least: Values
    most: Values

    @classmethod
    def plain(cls, samples: Samples) -> "Summary":
        """Samples as they are: each its own mean, least and most."""
        return cls(samples.times, samples.values, samples.values, samples.values)

    @classmethod
    def of_rows(cls, rows: Rows) -> "Summary":
        """What `encoded` wrote: three rows, or one where all three are the same."""
        return cls(rows.times, rows.rows[0], rows.rows[len(rows.rows) // 2], rows.rows[-1])

    @classmethod
    def joined(cls, parts: "list[Summary]") -> "Summary":
        """All of them, by time; of two at one time, the later part's."""
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return cls.plain(Samples(np.empty(0, np.int64), np.empty(0)))
        times = np.concatenate([each.times for each in parts])
        places: Times | slice = slice(None)
        if not bool((times[1:] > times[:-1]).all()):
            # The last of equal ones: unique() finds the first in the reversed order.
            places = len(times) - 1 - np.unique(times[::-1], return_index=True)[1]
        mean = np.concatenate([each.mean for each in parts])[places]
        if all(each.is_plain for each in parts):
            return cls(times[places], mean, mean, mean)
        return cls(
            times[places],
            mean,
            np.concatenate([each.least for each in parts])[places],
            np.concatenate([each.most for each in parts])[places],
        )

    @property
    def is_plain(self) -> bool:
        """Whether mean, least and most are one."""
        return self.mean is self.least is self.most

    def between(self, start_ms: int, end_ms: int) -> "Summary":
        """The part in (`start_ms`, `end_ms`]."""
        first, last = np.searchsorted(self.times, (start_ms, end_ms), side="right")
        if first == 0 and last == len(self.times):
            return self
        inside = slice(first, last)
        mean = self.mean[inside]
        if self.is_plain:
            return Summary(self.times[inside], mean, mean, mean)
        return Summary(self.times[inside], mean, self.least[inside], self.most[inside])

    def coarser(self, step_ms: int, *, counter: bool) -> "Summary":
        """The summary of longer steps."""
        if not len(self.times):
            return self
        steps = -(-self.times // step_ms)  # a sample at the end of a step belongs to it
        firsts = np.flatnonzero(np.diff(steps, prepend=steps[0] - 1))
        ends = steps[firsts] * step_ms
        lasts = np.append(firsts[1:], len(steps)) - 1
        if counter:
            last = self.mean[lasts]
            return Summary(ends, last, last, last)
        return Summary(
            ends,
            np.add.reduceat(self.mean, firsts) / (lasts - firsts + 1),
            np.minimum.reduceat(self.least, firsts),
            np.maximum.reduceat(self.most, firsts),
        )

    def encoded(self, *, counter: bool) -> bytes:
        """A chunk: three rows, or one where all three are the same."""
        rows = (self.mean,) if counter else (self.mean, self.least, self.most)
        return encode(Rows(self.times, rows))
