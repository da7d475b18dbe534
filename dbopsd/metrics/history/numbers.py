"""The numbers that databases, series and layouts have in the file of the history."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from dbopsd.metrics.history.chunk import Values
from dbopsd.metrics.history.resolution import RAW
from dbopsd.metrics.model import Series

SERIES_NUMBER: Final = "<u4"


@dataclass(frozen=True, slots=True)
class Segment:
    """What one run of a collector gave: a value for each series, all of one time in ms."""

    collector: str
    series: tuple[Series, ...]
    at_ms: int
    values: Values


class _Described(NamedTuple):
    number: int
    type: str
    unit: str


@dataclass(frozen=True, slots=True)
class _Last:
    """What a collector gave last, which is what it gives next as a rule."""

    series: tuple[Series, ...]
    hour: int
    layout: int
    order: npt.NDArray[np.intp]


class Numbers:
    """Kept in memory, for the one thread that writes; new ones are inserted by it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._databases: dict[str, int] = dict(connection.execute("SELECT name, id FROM database"))
        self._series = {
            (row[0], row[1], row[2]): _Described(*row[3:])
            for row in connection.execute(
                "SELECT database, metric, labels, id, type, unit FROM series"
            )
        }
        self._layouts = {
            (row[0], row[1], row[2]): (row[3], row[4])
            for row in connection.execute(
                "SELECT database, collector, series, id, last_hour FROM layout"
            )
        }
        self._last: dict[tuple[str, str], _Last] = {}
        # The series whose hours are known to hold this one.
        self._hour = -1
        self._of_hour: set[int] = set()

    def row(self, database: str, segment: Segment) -> tuple[int, int, bytes]:
        """A row of `head`."""
        hour = RAW.span(segment.at_ms)
        last = self._last.get((database, segment.collector))
        if last is None or last.hour != hour or last.series != segment.series:
            last = self._laid_out(database, segment, hour)
            self._last[database, segment.collector] = last
        values = segment.values[last.order].astype("<f8", copy=False)
        return last.layout, segment.at_ms, values.tobytes()

    def _laid_out(self, database: str, segment: Segment, hour: int) -> _Last:
        of = self._database(database)
        numbers = np.array(
            [self._number(of, segment.collector, each, hour) for each in segment.series],
            SERIES_NUMBER,
        )
        # In one order: a collector whose rows come in another one has no layout more for it.
        order = np.argsort(numbers, kind="stable")
        key = (of, segment.collector, numbers[order].tobytes())
        layout, last_hour = self._layouts.get(key, (None, 0))
        if layout is None:
            layout = self._inserted(
                "INSERT INTO layout (database, collector, series, last_hour) VALUES (?, ?, ?, ?)",
                *(*key, hour),
            )
        if last_hour < hour:
            self._connection.execute("UPDATE layout SET last_hour = ? WHERE id = ?", (hour, layout))
        self._seen(numbers.tolist(), hour)
        self._layouts[key] = layout, max(hour, last_hour)
        return _Last(segment.series, hour, layout, order)

    def _seen(self, numbers: Sequence[int], hour: int) -> None:
        """Widen the hours in which these series have samples; a clock may go back."""
        if hour != self._hour:
            self._hour, self._of_hour = hour, set()
        new = set(numbers) - self._of_hour
        self._of_hour |= new
        self._connection.executemany(
            "UPDATE series SET first_hour = min(first_hour, ?), last_hour = max(last_hour, ?) "
            "WHERE id = ?",
            [(hour, hour, number) for number in new],
        )

    def _database(self, name: str) -> int:
        number = self._databases.get(name)
        if number is None:
            number = self._inserted("INSERT INTO database (name) VALUES (?)", name)
            self._databases[name] = number
        return number

    def _number(self, database: int, collector: str, series: Series, hour: int) -> int:
        metric = series.metric
        labels = json.dumps(dict(zip(metric.labels, series.labels, strict=True)))
        key = (database, metric.name, labels)
        known = self._series.get(key)
        if known is None:
            number = self._inserted(
                "INSERT INTO series (database, collector, metric, type, unit, labels, "
                "first_hour, last_hour) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                *(database, collector, metric.name, metric.type.value, metric.unit, labels),
                *(hour, hour),
            )
        elif known[1:] == (metric.type.value, metric.unit):
            return known.number
        else:
            # Another version of dbopsd says better what it is.
            number = known.number
            self._connection.execute(
                "UPDATE series SET collector = ?, type = ?, unit = ? WHERE id = ?",
                (collector, metric.type.value, metric.unit, number),
            )
        self._series[key] = _Described(number, metric.type.value, metric.unit)
        return number

    def _inserted(self, statement: str, *values: Any) -> int:
        number = self._connection.execute(statement, values).lastrowid
        assert number is not None  # noqa: S101 - an INSERT of one row
        return number
