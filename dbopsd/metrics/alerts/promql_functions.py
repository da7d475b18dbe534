"""Functions of PromQL: of values, and of the samples within a window."""

import math
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from dbopsd.metrics.alerts.promql_vectors import divided
from dbopsd.metrics.history.aggregate import grown
from dbopsd.metrics.history.chunk import Samples

OF_VALUES: Final[Mapping[str, Callable[[float], float]]] = {
    "abs": abs,
    "ceil": math.ceil,
    "floor": math.floor,
    "sqrt": lambda value: math.sqrt(value) if value >= 0 else math.nan,
    "ln": lambda value: math.log(value) if value > 0 else math.nan,
}


def _seconds(samples: Samples) -> float:
    return float(samples.times[-1] - samples.times[0]) / 1000.0


def _slope(samples: Samples) -> tuple[float, float]:
    """The least-squares line, as per second and at the last sample."""
    times = (samples.times - samples.times[-1]) / 1000.0
    middle, mean = float(times.mean()), float(samples.values.mean())
    apart = times - middle
    per_s = float(np.dot(apart, samples.values - mean) / np.dot(apart, apart))
    return per_s, mean - per_s * middle


# Each of one window with at least so many samples.
OF_WINDOWS: Final[Mapping[str, tuple[int, Callable[[Samples], float]]]] = {
    "increase": (2, lambda s: float(grown(s).sum())),
    "rate": (2, lambda s: divided(float(grown(s).sum()), _seconds(s))),
    "delta": (2, lambda s: float(s.values[-1] - s.values[0])),
    "deriv": (2, lambda s: _slope(s)[0]),
    "changes": (1, lambda s: float(np.count_nonzero(np.diff(s.values)))),
    "resets": (1, lambda s: float(np.count_nonzero(np.diff(s.values) < 0))),
    "avg_over_time": (1, lambda s: float(s.values.mean())),
    "min_over_time": (1, lambda s: float(s.values.min())),
    "max_over_time": (1, lambda s: float(s.values.max())),
    "sum_over_time": (1, lambda s: float(s.values.sum())),
    "count_over_time": (1, lambda s: float(len(s.values))),
    "last_over_time": (1, lambda s: float(s.values[-1])),
}
OTHERS: Final = frozenset(
    {"time", "predict_linear", "absent", "scalar", "vector", "clamp_min", "clamp_max"}
)


def predicted(samples: Samples, now: float, ahead_s: float) -> float:
    """The value `ahead_s` seconds after `now`, on the least-squares line."""
    per_s, at_end = _slope(samples)
    return at_end + per_s * (now - float(samples.times[-1]) / 1000.0 + ahead_s)
