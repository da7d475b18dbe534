"""Lists what the history of a database says about days to come, and about the last hour.

It reads the hours of the history, which are there for every hour that is over.
"""

import asyncio
import sqlite3
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from dbopsd.metrics.errors import HistoryUnavailable
from dbopsd.metrics.history.chunk import Samples
from dbopsd.metrics.history.reader import Found, HistoryReader
from dbopsd.metrics.history.resolution import DAY_MS, HOUR_MS, HOURS
from dbopsd.metrics.model import MetricType, Series
from dbopsd.metrics.trends.fit import Line, hourly_rates, line, unusual
from dbopsd.metrics.trends.rules import (
    CHECK,
    DISK,
    EXHAUSTIONS,
    GROWTHS,
    HABITS,
    Exhaustion,
    Growth,
    Habit,
)

_LINE_MS: Final = 14 * DAY_MS
# What began to grow lately has no line through two weeks; it is followed for a few days only.
_SHORT_LINE_MS: Final = 3 * DAY_MS
_SHORT_DAYS: Final = 9.0
_HABIT_MS: Final = 29 * DAY_MS
# A series that ended longer ago has no trend any more. An hour is sealed minutes after its end.
_LATEST_MS: Final = 3 * HOUR_MS
_DAY_S: Final = 86_400.0
_SAME_DAYS: Final = 0.2


class TrendKind(Enum):
    """The kind of a trend, the most pressing first."""

    EXHAUSTION = 1
    UNUSUAL = 2
    GROWTH = 3


@dataclass(frozen=True, slots=True)
class Trend:
    """What the history says about a series. Times are in seconds, those since 1970 in UTC."""

    kind: TrendKind
    series: Series
    message: str
    value: float
    unit: str
    window_s: float
    urgency: float
    """The greatest comes first within a kind."""

    growth_per_day: float | None = None
    limit: float | None = None
    exhaust_at: float | None = None
    usual: float | None = None

    @property
    def rank(self) -> str:
        """The order of trends, the most pressing first; the same for the same series."""
        labels = "\0".join(self.series.labels)
        return f"{self.kind.value} {_descending(self.urgency)} {self.series.metric.name} {labels}"


class Trends:
    """Reads the history in the file at `path`. `clock` is in seconds since 1970."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._reader = HistoryReader(path)
        self._clock = clock
        # One at a time: it takes a moment of a processor.
        self._free = asyncio.Lock()

    async def current(self, database: str) -> list[Trend]:
        """The trends of a database. Raises `HistoryUnavailable` and `HistoryDamaged`."""
        async with self._free:
            try:
                found = await asyncio.to_thread(lambda: list(self._found(database)))
            except sqlite3.Error as error:
                if not self._path.exists():
                    raise HistoryUnavailable("nothing has been recorded yet") from error
                raise HistoryUnavailable(f"'{self._path}' cannot be read: {error}") from error
        return sorted(found, key=lambda each: each.rank)

    def _found(self, database: str) -> Iterator[Trend]:
        yield from _once(
            [
                trend
                for rule in EXHAUSTIONS
                for found in self._read(database, rule.metric, _LINE_MS)
                if rule.is_about(found.series)
                for trend in self._exhaustion(rule, found)
            ]
        )
        for growth in GROWTHS:
            grown = [
                trend
                for found in self._read(database, growth.metric, _LINE_MS)
                for trend in _growth(growth, found)
            ]
            yield from sorted(grown, key=lambda each: each.rank)[: growth.at_most]
        for habit in HABITS:
            for found in self._read(database, habit.metric, _HABIT_MS):
                yield from _unusual(habit, found)

    def _read(self, database: str, metric: str, window_ms: int) -> list[Found]:
        """The hours of the series that still go on."""
        now_ms = round(self._clock() * 1000)
        start_ms = now_ms - window_ms
        series = self._reader.find(database, metric, now_ms - _LATEST_MS, now_ms)
        found = self._reader.read(series, start_ms, now_ms, resolutions=(HOURS,))
        return [
            each
            for each in found
            if len(each.samples.times) and each.samples.times[-1] >= now_ms - _LATEST_MS
        ]

    def _exhaustion(self, rule: Exhaustion, found: Found) -> Iterator[Trend]:
        for window_ms, within_days in ((_LINE_MS, rule.within_days), (_SHORT_LINE_MS, _SHORT_DAYS)):
            fit = line(_newest(found, window_ms))
            if fit is None:
                continue
            left = rule.limit - fit.value
            days = left / fit.slope
            if 0 <= days <= within_days:
                yield self._exhausted(rule, found, fit, days)
                return

    def _exhausted(self, rule: Exhaustion, found: Found, fit: Line, days: float) -> Trend:
        unit = found.series.metric.unit
        left = abs(rule.limit - fit.value)
        return Trend(
            TrendKind.EXHAUSTION,
            found.series,
            f"{_said(rule.what, found.series)} in {_days(days)}, at {amount(abs(fit.slope), unit)} "
            f"a day with {amount(left, unit)} left",
            fit.value,
            unit,
            fit.window_s,
            -days,
            fit.slope,
            rule.limit,
            self._clock() + days * _DAY_S,
        )


def _descending(number: float) -> str:
    """A text for a number; that of a greater one sorts before it."""
    (bits,) = struct.unpack(">q", struct.pack(">d", -number))
    # Of negative numbers the bits ascend as the numbers descend.
    return f"{bits + 2**63 if bits >= 0 else -bits - 1:016x}"


def _once(exhaustions: Sequence[Trend]) -> Iterator[Trend]:
    """All but the storage that is full when a disk is: it is that disk, and no configured limit."""
    days = [-each.urgency for each in exhaustions if each.series.metric.name == DISK]
    for each in exhaustions:
        is_check = each.series.metric.name == CHECK
        if not (is_check and any(abs(-each.urgency - of) <= _SAME_DAYS * of for of in days)):
            yield each


def _newest(found: Found, window_ms: int) -> Samples:
    times, values = found.samples.times, found.samples.mean
    inside = times > times[-1] - window_ms
    return Samples(times[inside], values[inside])


def _growth(rule: Growth, found: Found) -> Iterator[Trend]:
    fit = line(_newest(found, _LINE_MS))
    if fit is None or fit.slope < rule.least_per_day:
        return
    unit = found.series.metric.unit
    yield Trend(
        TrendKind.GROWTH,
        found.series,
        f"{_said(rule.what, found.series)} by {amount(fit.slope, unit)} a day, and has "
        f"{amount(fit.value, unit)}",
        fit.value,
        unit,
        fit.window_s,
        fit.slope,
        fit.slope,
    )


def _unusual(rule: Habit, found: Found) -> Iterator[Trend]:
    metric = found.series.metric
    samples = Samples(found.samples.times, found.samples.mean)
    unit = metric.unit
    if metric.type is MetricType.COUNTER:
        samples, unit = hourly_rates(samples), f"{unit}/s"
        # The newest hour may be one in which the counter began anew.
        if not len(samples.times) or samples.times[-1] != found.samples.times[-1]:
            return
    seen = unusual(samples, floor=rule.floor)
    if seen is None:
        return
    more = "more" if seen.value > seen.usual else "less"
    yield Trend(
        TrendKind.UNUSUAL,
        found.series,
        f"{more} {_said(rule.what, found.series)} than in the same hour of the past {seen.days} "
        f"days: {amount(seen.value, unit)}, usually {amount(seen.usual, unit)}",
        seen.value,
        unit,
        seen.days * _DAY_S,
        seen.sigmas,
        usual=seen.usual,
    )


def _said(what: str, series: Series) -> str:
    text = what
    for name, value in zip(series.metric.labels, series.labels, strict=True):
        text = text.replace(f"{{{name}}}", value)
    return text


def _days(days: float) -> str:
    if days < 2:
        return f"{days * 24:.0f} hours"
    return f"{days:.0f} days"


def amount(value: float, unit: str) -> str:
    """A value for people: bytes in units of 1024, a ratio in percent."""
    base, slash, per = unit.partition("/")
    behind = f"{slash}{per}"
    if base == "By":
        for name in ("B", "KiB", "MiB", "GiB"):
            if abs(value) < 1024:
                return f"{value:.3g} {name}{behind}"
            value /= 1024
        return f"{value:.3g} TiB{behind}"
    if base == "1" and abs(value) <= 1:
        return f"{value * 100:.3g} %{behind}"
    return f"{value:.3g}{behind}" if abs(value) < 1e6 else f"{value:,.0f}{behind}"
