"""Tells a trend from noise, a daily cycle, a single step and a restart.

Robust throughout: medians instead of means, so that a few odd hours change nothing.
"""

import itertools
from dataclasses import dataclass
from typing import Final

import numpy as np

from dbopsd.metrics.history.chunk import Samples, Times, Values
from dbopsd.metrics.history.resolution import DAY_MS, HOUR_MS

LEAST_WINDOW_MS: Final = 2 * DAY_MS
"""With less history a daily cycle looks like a trend."""

_LEAST_POINTS: Final = 24
_MOST_POINTS: Final = 60
_PARTS: Final = 4
# A part may fall by so much of the whole rise, and hold at most so much of it: else it is a step.
_MOST_FALL: Final = 0.05
_LARGEST_PART: Final = 0.7
# The rise must stand out from what is about the line.
_RISE_TO_NOISE: Final = 4.0
# The newest days must still go the same way, at a quarter of the speed or more.
_STILL: Final = 0.25

_LEAST_DAYS: Final = 7
_MOST_DAYS: Final = 28
# Of a normal distribution, the deviation that corresponds to the median absolute deviation.
_SIGMA: Final = 1.4826
_MOST_SIGMAS: Final = 6.0
# However even past days were, less than this is not unusual.
_LEAST_CHANGE: Final = 0.5


@dataclass(frozen=True, slots=True)
class Line:
    """A straight line through a series. `slope` is per day."""

    slope: float
    value: float
    """Its value at the end."""

    window_s: float


def line(samples: Samples) -> Line | None:
    """The trend of a series; None where there is none.

    It is the median of all slopes (Theil-Sen).
    """
    times, values = samples
    if len(times) < _LEAST_POINTS or times[-1] - times[0] < LEAST_WINDOW_MS:
        return None
    times, values = _thinned(times, values)
    days = (times - times[-1]) / DAY_MS
    later, earlier = np.triu_indices(len(days), 1)[::-1]
    slope = float(np.median((values[later] - values[earlier]) / (days[later] - days[earlier])))
    rise = slope * float(-days[0])
    if rise == 0 or not _is_even(days, values, rise):
        return None
    level = float(np.median(values - slope * days))
    noise = float(np.median(np.abs(values - slope * days - level))) * _SIGMA
    if abs(rise) < _RISE_TO_NOISE * noise:
        return None
    return Line(slope, level, float(times[-1] - times[0]) / 1000)


def _thinned(times: Times, values: Values) -> Samples:
    """As many points as a line needs: the medians of neighbours."""
    if len(times) <= _MOST_POINTS:
        return Samples(times, values)
    parts = np.array_split(np.arange(len(times)), _MOST_POINTS)
    return Samples(
        np.array([times[part[-1]] for part in parts]),
        np.array([np.median(values[part]) for part in parts]),
    )


def _is_even(days: Values, values: Values, rise: float) -> bool:
    """Whether it went the same way all the time, and not in one step."""
    edges = np.linspace(days[0], days[-1], _PARTS + 1)
    parts = [values[(days >= first) & (days <= last)] for first, last in itertools.pairwise(edges)]
    if not all(len(part) for part in parts):
        return False
    steps = np.diff([float(np.median(part)) for part in parts]) * np.sign(rise)
    whole = float(steps.sum())
    return bool(
        whole > 0
        and steps.min() >= -_MOST_FALL * whole
        and steps.max() <= _LARGEST_PART * whole
        and steps[-1] >= _STILL * whole / len(steps)
    )


@dataclass(frozen=True, slots=True)
class Unusual:
    """How the last hour is unlike the same hour of past days."""

    value: float
    usual: float
    sigmas: float
    days: int


def unusual(samples: Samples, *, floor: float) -> Unusual | None:
    """Whether the last of hourly samples is unlike those a whole number of days before it.

    It must differ by six deviations (by the median absolute deviation), by half of the usual
    value, and by `floor`, so that even and quiet series are not unusual for a trifle. None with
    less than seven past days.
    """
    times, values = samples
    if not len(times):
        return None
    ages = times[-1] - times
    same_hour = (ages % DAY_MS == 0) & (ages > 0) & (ages <= _MOST_DAYS * DAY_MS)
    past = values[same_hour]
    if len(past) < _LEAST_DAYS:
        return None
    usual = float(np.median(past))
    sigma = float(np.median(np.abs(past - usual))) * _SIGMA
    change = abs(float(values[-1]) - usual)
    if change <= max(_MOST_SIGMAS * sigma, _LEAST_CHANGE * abs(usual), floor):
        return None
    # It has been there before: a weekly job is not unusual.
    if past.min() <= values[-1] <= past.max():
        return None
    return Unusual(float(values[-1]), usual, change / max(sigma, floor / _MOST_SIGMAS), len(past))


def hourly_rates(samples: Samples) -> Samples:
    """The growth per second of a counter in each hour that follows another one.

    An hour in which the counter began anew is left out: how much it grew is not known.
    """
    spans = np.diff(samples.times)
    steps = np.diff(samples.values)
    known = (spans == HOUR_MS) & (steps >= 0)
    return Samples(samples.times[1:][known], steps[known] * 1000.0 / HOUR_MS)
