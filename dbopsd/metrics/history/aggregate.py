"""Samples within steps as one point each."""

from enum import Enum
from typing import Final

import numpy as np

from dbopsd.metrics.history.chunk import Samples, Times, Values

# A counter seen in two samples further apart than this says nothing of the steps between.
_LONGEST_GAP_STEPS: Final = 2


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
    if how in (Aggregation.RATE, Aggregation.INCREASE):
        growth = grown(samples)
        spans = np.diff(samples.times)
        times = samples.times[1:]
        inside = (times > start_ms) & (times <= end_ms)
        places = _places(times[inside], start_ms, step_ms)
        total = _sums(places, growth[inside])
        if how is Aggregation.RATE:
            seconds = _sums(places, spans[inside] / 1000.0)
            total = np.divide(total, seconds, out=np.zeros_like(total), where=seconds > 0)
        return Samples(start_ms + (np.unique(places) + 1) * step_ms, total)
    inside = (samples.times > start_ms) & (samples.times <= end_ms)
    values = samples.values[inside]
    places = _places(samples.times[inside], start_ms, step_ms)
    found, firsts, counts = np.unique(places, return_index=True, return_counts=True)
    match how:
        case Aggregation.LAST:
            points = values[firsts + counts - 1]
        case Aggregation.MIN:
            points = np.minimum.reduceat(values, firsts) if len(firsts) else values
        case Aggregation.MAX:
            points = np.maximum.reduceat(values, firsts) if len(firsts) else values
        case Aggregation.MEAN:
            points = _sums(places, values) / counts
        case _:
            groups = np.split(values, firsts[1:])
            points = np.array([np.quantile(each, quantile) for each in groups if len(each)])
    return Samples(start_ms + (found + 1) * step_ms, points)


def _places(times: Times, start_ms: int, step_ms: int) -> Times:
    # A sample at the very end of a step belongs to it.
    return (times - start_ms - 1) // step_ms


def _sums(places: Times, values: Values) -> Values:
    if not len(places):
        return np.empty(0)
    firsts = np.unique(places, return_index=True)[1]
    return np.add.reduceat(values, firsts)
