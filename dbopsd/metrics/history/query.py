"""Answers questions about the history: a metric, a time, a step, an aggregation."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dbopsd.errors import InvalidField
from dbopsd.metrics.errors import HistoryUnavailable, MetricNotFound
from dbopsd.metrics.history.aggregate import Aggregation, aggregate, reset_times
from dbopsd.metrics.history.chunk import Samples, Times
from dbopsd.metrics.history.reader import Found, HistoryReader
from dbopsd.metrics.history.resolution import HOURS
from dbopsd.metrics.model import MetricType, Series

_POINTS: Final = 300
_MOST_POINTS: Final = 11_000
"""As Prometheus has it."""

_MOST_SERIES: Final = 100
_MOST_POINTS_IN_ALL: Final = 100_000
_STEPS_S: Final = (1, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 43_200)
_DAY_S: Final = 86_400
_LATEST_S: Final = 253_402_300_799
_OF_COUNTERS: Final = (Aggregation.RATE, Aggregation.INCREASE)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for. Times are in seconds since 1970; None: a default for what is asked."""

    database: str
    metric: str
    labels: Mapping[str, str]
    start: float | None = None
    end: float | None = None
    step_s: float | None = None
    how: Aggregation | None = None
    quantile: float = 0.5


@dataclass(frozen=True, slots=True)
class Line:
    """The points of one series, and when its counter began anew."""

    series: Series
    points: Samples
    resets: Times


@dataclass(frozen=True, slots=True)
class Answer:
    """Lines, and what they were made by."""

    metric: str
    type: MetricType
    unit: str
    how: Aggregation
    step_s: float
    resolution_s: float
    """How far apart the samples are in the coarsest part; 0: as they were taken."""

    lines: list[Line]
    left_out: int


class History:
    """Reads the file at `path`. `clock` is in seconds since 1970."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._reader = HistoryReader(path)
        self._clock = clock

    async def ask(self, question: Question) -> Answer:
        """The answer. Raises `InvalidField`, `MetricNotFound` and `HistoryUnavailable`."""
        end = self._clock() if question.end is None else question.end
        start = end - _DAY_S if question.start is None else question.start
        for name, at in (("end_time", end), ("start_time", start)):
            if not 0 <= at <= _LATEST_S:
                raise InvalidField(name, "is not from 1970 to 9999")
        if start >= end:
            raise InvalidField("start_time", "is not before end_time")
        step_s = _step_s(end - start) if question.step_s is None else question.step_s
        if step_s < 1:
            raise InvalidField("step", "is less than 1 s")
        if (end - start) / step_s > _MOST_POINTS:
            raise InvalidField("step", f"gives more than {_MOST_POINTS} points a series")
        try:
            return await asyncio.to_thread(self._answer, question, start, end, step_s)
        except sqlite3.Error as error:
            if not self._path.exists():
                raise HistoryUnavailable("nothing has been recorded yet") from error
            raise HistoryUnavailable(f"'{self._path}' cannot be read: {error}") from error

    def _answer(self, question: Question, start: float, end: float, step_s: float) -> Answer:
        step_ms = round(step_s * 1000)
        # On the grid of the step, so that the same question asked later has the same points.
        start_ms = round(start * 1000) // step_ms * step_ms
        end_ms = -(-round(end * 1000) // step_ms) * step_ms
        metric = self._reader.metric(question.database, question.metric)
        if metric is None:
            raise MetricNotFound(question.database, question.metric)
        known = self._reader.find(question.database, question.metric, start_ms, end_ms)
        matching = {
            number: series
            for number, series in known.items()
            if all(series.label_map().get(name, "") == v for name, v in question.labels.items())
        }
        counter = metric.type is MetricType.COUNTER
        how = question.how or (Aggregation.RATE if counter else Aggregation.MEAN)
        if how in _OF_COUNTERS and not counter:
            raise InvalidField("aggregation", f"is for counters, and {metric.name} is a gauge")
        points = max((end_ms - start_ms) // step_ms, 1)
        most = min(_MOST_SERIES, max(_MOST_POINTS_IN_ALL // points, 1))
        chosen = dict(list(matching.items())[:most])
        # A growth needs the sample before, which may be one of the coarsest.
        before_ms = start_ms - max(step_ms, 2 * HOURS.step_ms) if how in _OF_COUNTERS else start_ms
        found = self._reader.read(chosen, before_ms, end_ms)
        lines = [_line(each, start_ms, end_ms, step_ms, how, question.quantile) for each in found]
        return Answer(
            metric.name,
            metric.type,
            metric.unit,
            how,
            step_s,
            max((each.step_ms for each in found), default=0) / 1000,
            [line for line in lines if len(line.points.times)],
            len(matching) - len(chosen),
        )


def _line(
    found: Found, start_ms: int, end_ms: int, step_ms: int, how: Aggregation, quantile: float
) -> Line:
    summary = found.samples
    match how:
        case Aggregation.MIN:
            values = summary.least
        case Aggregation.MAX:
            values = summary.most
        case _:
            values = summary.mean
    samples = Samples(summary.times, values)
    points = aggregate(
        samples, start_ms=start_ms, end_ms=end_ms, step_ms=step_ms, how=how, quantile=quantile
    )
    resets = samples.times[:0]
    if found.series.metric.type is MetricType.COUNTER:
        resets = reset_times(samples)
    return Line(found.series, points, resets[resets > start_ms])


def _step_s(span_s: float) -> float:
    """A step of round length that gives about 300 points."""
    ideal = span_s / _POINTS
    return float(next((each for each in _STEPS_S if each >= ideal), -(-ideal // _DAY_S) * _DAY_S))
