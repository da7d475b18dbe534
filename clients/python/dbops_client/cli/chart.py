"""Charts of block characters: a line of them, or several rows with an axis."""

import itertools
import math
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

_LEVELS: Final = "▁▂▃▄▅▆▇█"
_BLANK: Final = " "

Value = float | None
"""None: there is no value, which is drawn as a gap."""


def sparkline(values: Sequence[Value], width: int) -> str:
    """Return the newest `width` values as a line, from the least of them to the greatest."""
    shown = values[-width:]
    low, high = _range(shown)
    return "".join(
        _BLANK if value is None else _LEVELS[_level(value, low, high, len(_LEVELS))]
        for value in shown
    )


def chart(
    values: Sequence[Value],
    times: Sequence[datetime],
    *,
    width: int,
    height: int,
    write: Callable[[float], str],
) -> list[str]:
    """Return the lines of a chart: `height` rows over a line with the first and the last time.

    `values` and `times` belong together, the oldest first. `write` writes values at the axis.
    Where there are more values than columns, a column has the mean of its values.
    """
    known = [value for value in values if value is not None]
    if not known:
        return ["no samples"]
    low, high = min(0.0, *known) if min(known) > 0 else min(known), max(known)
    labels = [write(high - (high - low) * row / (height - 1)) for row in range(height)]
    margin = max(map(len, labels))
    columns = _columns(values, max(width - margin - 2, 10))
    steps = height * len(_LEVELS)
    rows = []
    for row in range(height):
        floor = (height - 1 - row) * len(_LEVELS)
        cells = "".join(_cell(value, low, high, steps, floor) for value in columns)
        rows.append(f"{labels[row]:>{margin}} ┤{cells}".rstrip())
    first, last = _clock(times[0], times), _clock(times[-1], times)
    rows.append(f"{'':{margin}}  {first}{last:>{max(len(columns) - len(first), len(last) + 1)}}")
    return rows


def _columns(values: Sequence[Value], most: int) -> list[Value]:
    if len(values) <= most:
        return list(values)
    edges = [round(number * len(values) / most) for number in range(most + 1)]
    return [_mean(values[a:b]) for a, b in itertools.pairwise(edges)]


def _mean(values: Sequence[Value]) -> Value:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _cell(value: Value, low: float, high: float, steps: int, floor: int) -> str:
    if value is None:
        return _BLANK
    level = _level(value, low, high, steps) - floor
    if level < 0:
        return _BLANK
    return _LEVELS[min(level, len(_LEVELS) - 1)]


def _level(value: float, low: float, high: float, levels: int) -> int:
    if high <= low:
        return 0
    return min(math.floor((value - low) / (high - low) * levels), levels - 1)


def _range(values: Sequence[Value]) -> tuple[float, float]:
    known = [value for value in values if value is not None]
    return (min(known), max(known)) if known else (0.0, 0.0)


def _clock(time: datetime, times: Sequence[datetime]) -> str:
    days = (times[-1] - times[0]).total_seconds() > 86_400
    return time.astimezone().strftime("%Y-%m-%d %H:%M" if days else "%H:%M:%S")
