"""Reads the file of the history, in whatever thread, while another one writes it."""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from dbopsd.metrics.history.chunk import Samples, decode_all
from dbopsd.metrics.history.numbers import SERIES_NUMBER
from dbopsd.metrics.history.resolution import RAW, RESOLUTIONS, Resolution, Summary
from dbopsd.metrics.history.seal import ticks_of
from dbopsd.metrics.model import Metric, MetricType, Series

_ANY_TIME_MS: Final = 2**60


@dataclass(frozen=True, slots=True)
class Found:
    """A series of the history, its samples, and how far apart those of its coarsest part are."""

    series: Series
    samples: Summary
    step_ms: int


@dataclass(slots=True)
class _Reading:
    """A series that is being read, from the newest to the oldest."""

    series: Series
    start_ms: int
    until_ms: int
    parts: list[Summary] = field(default_factory=list)
    coarsest_ms: int = 0
    complete: bool = False

    def found(self, end_ms: int) -> Found:
        samples = Summary.joined(self.parts).between(self.start_ms, end_ms)
        return Found(self.series, samples, self.coarsest_ms)

    def add(self, resolution: Resolution, parts: Mapping[int, Summary]) -> None:
        """Take in what one resolution has of it, by span."""
        part = Summary.joined(list(parts.values())).between(self.start_ms, self.until_ms)
        if len(part.times):
            self.parts.insert(0, part)
            self.coarsest_ms = resolution.step_ms
            # A coarser step that ends later would count again what is here already.
            self.until_ms = int(part.times[0]) - max(resolution.step_ms, 1)
        self.complete = min(parts) * resolution.span_ms <= self.start_ms


class HistoryReader:
    """Each method opens the file at `path` anew. They raise `sqlite3.Error`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def metric(self, database: str, metric: str) -> Metric | None:
        """What a metric means; None if there has never been a sample of it."""
        return next((each.metric for each in self.find(database, metric).values()), None)

    def find(
        self, database: str, metric: str, start_ms: int = 0, end_ms: int = _ANY_TIME_MS
    ) -> dict[int, Series]:
        """The series of a metric that may have samples in (`start_ms`, `end_ms`], by number."""
        with closing(self._connect()) as connection:
            return _series(connection, database, metric, RAW.span(start_ms + 1), RAW.span(end_ms))

    def read(
        self,
        wanted: Mapping[int, Series],
        start_ms: int,
        end_ms: int,
        resolutions: Sequence[Resolution] = RESOLUTIONS,
    ) -> list[Found]:
        """The samples of these series in (`start_ms`, `end_ms`], each part as fine as it is kept.

        With other `resolutions`, in these alone. Raises `HistoryDamaged`.
        """
        readings = {number: _Reading(series, start_ms, end_ms) for number, series in wanted.items()}
        with closing(self._connect()) as connection:
            # One snapshot of the file, or an hour that is sealed meanwhile would be missed.
            connection.execute("BEGIN")
            heads = _ticks(connection, wanted, start_ms, end_ms) if RAW in resolutions else {}
            # The finest first; a coarser one is read for the time before it only.
            for resolution in resolutions:
                left = {n: each for n, each in readings.items() if not each.complete}
                for number, parts in _chunks(connection, resolution, left).items():
                    readings[number].add(resolution, parts)
        for number, samples in heads.items():
            readings[number].parts.append(Summary.plain(samples))
        return [reading.found(end_ms) for reading in readings.values()]

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=5.0)


def _series(
    connection: sqlite3.Connection,
    database: str,
    metric: str,
    first_hour: int,
    last_hour: int,
) -> dict[int, Series]:
    rows = connection.execute(
        "SELECT series.id, metric, type, unit, labels FROM series "
        "JOIN database ON database.id = series.database "
        "WHERE database.name = ? AND metric = ? AND last_hour >= ? AND first_hour <= ? "
        "ORDER BY labels",
        (database, metric, first_hour, last_hour),
    )
    found = {}
    for number, name, kind, unit, text in rows:
        labels: dict[str, str] = json.loads(text)
        described = Metric(name, MetricType(kind), unit, "", tuple(labels))
        found[number] = Series(described, tuple(labels.values()))
    return found


def _ticks(
    connection: sqlite3.Connection, wanted: Iterable[int], start_ms: int, end_ms: int
) -> dict[int, Samples]:
    """What is not sealed yet."""
    numbers = np.array(sorted(wanted), np.uint32)
    parts: dict[int, list[Samples]] = {}
    for layout, blob in _layouts(connection, numbers.tolist()):
        series = np.frombuffer(blob, SERIES_NUMBER)
        places = np.flatnonzero(np.isin(series, numbers))
        if not len(places):
            continue
        rows = connection.execute(
            "SELECT at_ms, samples FROM head WHERE layout = ? AND at_ms > ? AND at_ms <= ? "
            "ORDER BY at_ms",
            (layout, start_ms, end_ms),
        ).fetchall()
        if rows:
            times, values = ticks_of(rows, len(series))
            for place in places.tolist():
                column = np.ascontiguousarray(values[:, place])
                parts.setdefault(int(series[place]), []).append(Samples(times, column))
    return {number: _by_time(each) for number, each in parts.items()}


def _layouts(connection: sqlite3.Connection, numbers: Sequence[int]) -> list[tuple[int, bytes]]:
    """The layouts of the collectors of these series."""
    collectors = connection.execute(
        "SELECT DISTINCT database, collector FROM series "
        "WHERE id IN (SELECT value FROM json_each(?))",
        (json.dumps(numbers),),
    ).fetchall()
    return [
        row
        for collector in collectors
        for row in connection.execute(
            "SELECT id, series FROM layout WHERE database = ? AND collector = ?", collector
        )
    ]


def _chunks(
    connection: sqlite3.Connection, resolution: Resolution, readings: Mapping[int, _Reading]
) -> dict[int, dict[int, Summary]]:
    """What a resolution has of these series, by span."""
    every_key = (resolution.key(0, 0), resolution.key(0, 0) | ((1 << 60) - 1))
    (oldest,) = connection.execute(
        "SELECT min(key) FROM chunk WHERE key BETWEEN ? AND ?", every_key
    ).fetchone()
    (newest,) = connection.execute(
        "SELECT max(key) FROM chunk WHERE key BETWEEN ? AND ?", every_key
    ).fetchone()
    if oldest is None:
        return {}
    first_span, last_span = map(resolution.span_of_key, (oldest, newest))
    keys = [
        resolution.key(span, number)
        for number, each in readings.items()
        for span in range(
            max(resolution.span(each.start_ms + 1), first_span),
            min(resolution.span(each.until_ms), last_span) + 1,
        )
    ]
    rows = connection.execute(
        "SELECT key, samples FROM chunk WHERE key IN (SELECT value FROM json_each(?)) ORDER BY key",
        (json.dumps(keys),),
    ).fetchall()
    found: dict[int, dict[int, Summary]] = {}
    for (key, _), decoded in zip(rows, decode_all([blob for _, blob in rows]), strict=True):
        of_series = found.setdefault(key & 0xFFFFFFFF, {})
        of_series[resolution.span_of_key(key)] = Summary.of_rows(decoded)
    return found


def _by_time(parts: Sequence[Samples]) -> Samples:
    if len(parts) == 1 and bool((np.diff(parts[0].times) > 0).all()):
        return parts[0]
    times = np.concatenate([each.times for each in parts])
    values = np.concatenate([each.values for each in parts])
    times, places = np.unique(times, return_index=True)
    return Samples(times, values[places])
