"""How fine the history is: samples as they come, then minutes, then hours."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from dbopsd.metrics.history.chunk import Samples, Times, Values, decode, encode

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
    def joined(cls, parts: "list[Summary]") -> "Summary":
        """All of them, by time; of two at one time, the later part's."""
        times = np.concatenate([each.times for each in parts]) if parts else np.empty(0, np.int64)
        # The last of equal ones: unique() finds the first in the reversed order.
        places = len(times) - 1 - np.unique(times[::-1], return_index=True)[1]
        return cls(
            times[places],
            *(
                np.concatenate([getattr(each, name) for each in parts])[places]
                if parts
                else np.empty(0)
                for name in ("mean", "least", "most")
            ),
        )

    def between(self, start_ms: int, end_ms: int) -> "Summary":
        """The part in (`start_ms`, `end_ms`]."""
        inside = slice(*np.searchsorted(self.times, (start_ms, end_ms), side="right"))
        return Summary(self.times[inside], self.mean[inside], self.least[inside], self.most[inside])

    def coarser(self, step_ms: int, *, counter: bool) -> "Summary":
        """The summary of longer steps."""
        if not len(self.times):
            return self
        steps = -(-self.times // step_ms)  # a sample at the end of a step belongs to it
        found, firsts, counts = np.unique(steps, return_index=True, return_counts=True)
        ends = found * step_ms
        if counter:
            last = self.mean[firsts + counts - 1]
            return Summary(ends, last, last, last)
        return Summary(
            ends,
            np.add.reduceat(self.mean, firsts) / counts,
            np.minimum.reduceat(self.least, firsts),
            np.maximum.reduceat(self.most, firsts),
        )

    def encoded(self, *, counter: bool) -> bytes:
        """A chunk: three of them, or one where all three are the same."""
        rows = (self.mean,) if counter else (self.mean, self.least, self.most)
        return b"".join(
            len(part).to_bytes(4, "little") + part
            for part in (encode(Samples(self.times, values)) for values in rows)
        )

    @classmethod
    def decoded(cls, chunk: bytes) -> "Summary":
        """What `encoded` wrote. Raises `HistoryDamaged`."""
        parts: list[Samples] = []
        place = 0
        while place < len(chunk):
            end = place + 4 + int.from_bytes(chunk[place : place + 4], "little")
            parts.append(decode(chunk[place + 4 : end]))
            place = end
        values = [each.values for each in parts]
        return cls(parts[0].times, values[0], values[-2 if len(values) > 1 else 0], values[-1])
