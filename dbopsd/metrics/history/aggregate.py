"""Samples within steps as one point each."""

from enum import Enum

import numpy as np

from dbopsd.metrics.history.chunk import Samples, Times, Values


class Aggregation(Enum):
    """How the samples within a step become one point."""

    LAST = "last"
    MEAN = "mean"
    MIN = "min"
    MAX = "max"
    RATE = "rate"
    INCREASE = "increase"
    QUANTILE = "quantile"


def reset_times(samples: Samples) -> Times:
    """When a counter began anew: the times of samples below the one before."""
    return samples.times[1:][np.diff(samples.values) < 0]


def grown(samples: Samples) -> Values:
    """How much a counter grew at each sample since the one before, never less than 0.

    A sample below the one before is a reset: what it counts since then is its value, as
    Prometheus has it.
    """
    steps = np.diff(samples.values)
    return np.where(steps < 0, samples.values[1:], steps)


def aggregate(
    samples: Samples,
    *,
    start_ms: int,
    end_ms: int,
    step_ms: int,
    how: Aggregation,
    quantile: float = 0.5,
) -> Samples:
    """A point at the end of each step in (`start_ms`, `end_ms`] that has samples.

    RATE and INCREASE take in the sample before `start_ms`, if it is there. A growth is given to
    the step of its later sample.
    """
    times, values = samples
    if how in (Aggregation.RATE, Aggregation.INCREASE):
        spans_s = np.diff(times) / 1000.0
        times, values = times[1:], grown(samples)
    first, last = np.searchsorted(times, (start_ms, end_ms), side="right")
    times, values = times[first:last], values[first:last]
    if not len(times):
        return Samples(times, values)
    # A sample at the very end of a step belongs to it.
    places = (times - start_ms - 1) // step_ms
    firsts = np.flatnonzero(np.diff(places, prepend=places[0] - 1))
    ends = start_ms + (places[firsts] + 1) * step_ms
    lasts = np.append(firsts[1:], len(places)) - 1
    match how:
        case Aggregation.LAST:
            points = values[lasts]
        case Aggregation.MIN:
            points = np.minimum.reduceat(values, firsts)
        case Aggregation.MAX:
            points = np.maximum.reduceat(values, firsts)
        case Aggregation.MEAN:
            points = np.add.reduceat(values, firsts) / (lasts - firsts + 1)
        case Aggregation.INCREASE:
            points = np.add.reduceat(values, firsts)
        case Aggregation.RATE:
            grown_by = np.add.reduceat(values, firsts)
            points = grown_by / np.add.reduceat(spans_s[first:last], firsts)
        case Aggregation.QUANTILE:
            groups = np.split(values, firsts[1:])
            points = np.array([np.quantile(each, quantile) for each in groups])
    return Samples(ends, points)
