"""Turns the ticks of the hours that are over into chunks.

What is sealed is joined with the chunks that are there, so it may be sealed again, or in parts: a
seal that was cut off, an hour that a clock went back to, and a late tick come to the same chunks.
"""

import logging
import sqlite3
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from dbopsd.metrics.errors import HistoryDamaged
from dbopsd.metrics.history.chunk import Samples, Times, Values, decode
from dbopsd.metrics.history.numbers import SERIES_NUMBER
from dbopsd.metrics.history.resolution import HOURS, MINUTES, RAW, Summary
from dbopsd.metrics.model import MetricType

_log = logging.getLogger(__name__)

_SERIES_A_STEP: Final = 4


@dataclass(frozen=True, slots=True)
class _Layout:
    """A layout with ticks: its series, and the time of its oldest tick."""

    number: int
    series: npt.NDArray[np.uint32]
    oldest_ms: int


@dataclass(frozen=True, slots=True)
class _Table:
    """The ticks of a collector in an hour. A value that is no number stands for none."""

    times: Times
    series: npt.NDArray[np.uint32]
    values: Values

    def column(self, place: int) -> tuple[int, Samples]:
        """The number of a series, and its samples."""
        values = self.values[:, place]
        there = ~np.isnan(values)
        times, places = np.unique(self.times[there], return_index=True)
        return int(self.series[place]), Samples(times, values[there][places])


def seal(connection: sqlite3.Connection, before_ms: int) -> Iterator[None]:
    """Seal the ticks up to `before_ms`, in short steps. Raises `sqlite3.Error`."""
    for numbers in _due(connection, before_ms):
        while layouts := _layouts(connection, numbers):
            oldest_ms = min(each.oldest_ms for each in layouts)
            if oldest_ms > before_ms:
                break
            hour = RAW.span(oldest_ms)
            span = (hour * RAW.span_ms, min((hour + 1) * RAW.span_ms, before_ms))
            table = yield from _table(connection, layouts, span)
            yield from _write(connection, table, hour)
            with connection as writing:
                writing.executemany(
                    "DELETE FROM head WHERE layout = ? AND at_ms > ? AND at_ms <= ?",
                    [(each.number, *span) for each in layouts],
                )
            yield


def ticks_of(rows: Sequence[tuple[int, bytes]], series_count: int) -> tuple[Times, Values]:
    """The times of ticks of one layout, and a row of values for each."""
    times = np.array([at_ms for at_ms, _ in rows], np.int64)
    packed = b"".join([samples for _, samples in rows])
    if len(packed) != 8 * len(rows) * series_count:
        raise HistoryDamaged("a tick has not as many samples as its layout")
    values = np.frombuffer(packed, "<f8")
    return times, values.reshape(len(rows), series_count)


def _due(connection: sqlite3.Connection, before_ms: int) -> list[list[int]]:
    """The layouts with ticks up to then, those of a collector together."""
    groups: dict[tuple[int, str], list[int]] = {}
    for number, database, collector, oldest_ms in connection.execute(
        "SELECT id, database, collector, "
        "(SELECT min(at_ms) FROM head WHERE head.layout = layout.id) FROM layout"
    ).fetchall():
        if oldest_ms is not None and oldest_ms <= before_ms:
            groups.setdefault((database, collector), []).append(number)
    return list(groups.values())


def _layouts(connection: sqlite3.Connection, numbers: list[int]) -> list[_Layout]:
    """Those of the layouts that still have ticks."""
    found = []
    for number in numbers:
        series, oldest_ms = connection.execute(
            "SELECT series, (SELECT min(at_ms) FROM head WHERE head.layout = layout.id) "
            "FROM layout WHERE id = ?",
            (number,),
        ).fetchone()
        if oldest_ms is not None:
            found.append(_Layout(number, np.frombuffer(series, SERIES_NUMBER), oldest_ms))
    return found


def _table(
    connection: sqlite3.Connection, layouts: Sequence[_Layout], span: tuple[int, int]
) -> Generator[None, None, _Table]:
    blocks: list[tuple[_Layout, Times, Values]] = []
    for layout in layouts:
        rows = connection.execute(
            "SELECT at_ms, samples FROM head WHERE layout = ? AND at_ms > ? AND at_ms <= ? "
            "ORDER BY at_ms",
            (layout.number, *span),
        ).fetchall()
        if rows:
            blocks.append((layout, *ticks_of(rows, len(layout.series))))
        yield
    times = np.concatenate([times for _, times, _ in blocks])
    series = np.unique(np.concatenate([layout.series for layout, _, _ in blocks]))
    values = np.full((len(times), len(series)), np.nan)
    first = 0
    for layout, of_block, block in blocks:
        values[first : first + len(of_block), np.searchsorted(series, layout.series)] = block
        first += len(of_block)
    return _Table(times, series, values)


def _write(connection: sqlite3.Connection, table: _Table, hour: int) -> Iterator[None]:
    counters = {
        row[0]
        for row in connection.execute(
            "SELECT id FROM series WHERE type = ?", (MetricType.COUNTER.value,)
        )
    }
    for first in range(0, len(table.series), _SERIES_A_STEP):
        with connection as writing:
            for place in range(first, min(first + _SERIES_A_STEP, len(table.series))):
                number, samples = table.column(place)
                writing.executemany(
                    "INSERT OR REPLACE INTO chunk (key, samples) VALUES (?, ?)",
                    _chunks(connection, number, samples, hour, counter=number in counters),
                )
        yield


def _chunks(
    connection: sqlite3.Connection, number: int, samples: Samples, hour: int, *, counter: bool
) -> Iterator[tuple[int, bytes]]:
    """The chunks of a series, in every resolution, with these samples of an hour in them."""
    # A sample is its own mean, least and most: one row, as of a counter.
    plain = _with(connection, RAW.key(hour, number), Summary.plain(samples))
    yield RAW.key(hour, number), plain.encoded(counter=True)
    for resolution, span in (
        (MINUTES, hour),
        (HOURS, HOURS.span((hour + 1) * RAW.span_ms)),
    ):
        key = resolution.key(span, number)
        coarse = plain.coarser(resolution.step_ms, counter=counter)
        yield key, _with(connection, key, coarse).encoded(counter=counter)


def _with(connection: sqlite3.Connection, key: int, summary: Summary) -> Summary:
    """The chunk that is there with the summary in it, whose values hold where both have one."""
    row = connection.execute("SELECT samples FROM chunk WHERE key = ?", (key,)).fetchone()
    if row is None:
        return summary
    try:
        before = Summary.of_rows(decode(row[0]))
    except HistoryDamaged as error:
        _log.error("a part of the history of metrics is lost: %s", error.why)
        return summary
    return Summary.joined([before, summary])
