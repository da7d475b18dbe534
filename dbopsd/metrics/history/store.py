"""The file of the history: SQLite, written by one thread.

A tick is one row of `head`, committed before the next one: a killed daemon loses no tick that was
written. An hour that is over is sealed series by series, in steps short enough for other work
between them. A seal that was cut off begins anew and comes to the same chunks.
"""

import json
import logging
import os
import sqlite3
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from dbopsd.metrics.errors import HistoryDamaged
from dbopsd.metrics.history.chunk import Samples, Values, decode, encode
from dbopsd.metrics.history.resolution import (
    HOUR_MS,
    HOURS,
    MINUTES,
    RAW,
    RESOLUTIONS,
    Resolution,
    Summary,
)
from dbopsd.metrics.model import Metric, MetricType, Series

Places = npt.NDArray[np.integer[Any]]

_log = logging.getLogger(__name__)

_VERSION: Final = 1
_SEGMENT: Final = struct.Struct("<IqI")
_SERIES_A_STEP: Final = 25
_CHUNKS_A_STEP: Final = 2_000
# What is kept in any case, however little the file may hold.
_LEAST_KEPT_MS: Final = {RAW.number: 2 * HOUR_MS, MINUTES.number: 0, HOURS.number: 0}


@dataclass(frozen=True, slots=True)
class Segment:
    """What one run of a collector gave: a value for each series, all of one time in ms."""

    collector: str
    series: tuple[Series, ...]
    at_ms: int
    values: Values


class HistoryStore:
    """One file. Only `read` may be called from other threads than the one that writes."""

    def __init__(self, path: Path, *, max_bytes: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._connection = self._opened()
        self._known = _Known(self._connection)
        self._work: Iterator[None] | None = None

    def close(self) -> None:
        """Close the file; what was appended is in it."""
        self._connection.close()

    def append(self, ticks: Mapping[str, Sequence[Segment]], at_ms: int) -> None:
        """Write one tick of each database, all or none. Raises `sqlite3.Error`."""
        try:
            with self._connection as writing:
                for database, segments in ticks.items():
                    writing.execute(
                        "INSERT INTO head (database, at_ms, segments) VALUES (?, ?, ?)",
                        (self._known.database(database), at_ms, self._packed(database, segments)),
                    )
        except BaseException:
            # What was rolled back is not known either.
            self._known = _Known(self._connection)
            raise

    def work(self, now_ms: int) -> bool:
        """Do a short step of what is to be done beside: sealing, then deleting what is too old.

        Whether there is more to do. Raises `sqlite3.Error`.
        """
        if self._work is None:
            self._work = self._everything_due(now_ms)
        try:
            next(self._work)
        except StopIteration:
            self._work = None
            return False
        except BaseException:
            self._work = None
            raise
        return True

    def bytes_used(self) -> int:
        """How much disk it uses, but for its log."""
        (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
        (free,) = self._connection.execute("PRAGMA freelist_count").fetchone()
        (size,) = self._connection.execute("PRAGMA page_size").fetchone()
        return int(pages - free) * int(size)

    def _opened(self) -> sqlite3.Connection:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            return self._connect()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            aside = self._path.with_suffix(f".damaged-{os.getpid()}")
            _log.error(
                "the history of metrics in '%s' is damaged (%s): it goes on in a new file, "
                "and the old one is kept as '%s'",
                self._path,
                error,
                aside,
            )
            self._path.replace(aside)
            for suffix in ("-wal", "-shm"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
            return self._connect()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, check_same_thread=False, timeout=10.0)
        try:
            self._path.chmod(0o600)
            # Before the first table: afterwards only a VACUUM could change it.
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
            # A crash of the machine may lose the last seconds, one of the daemon nothing.
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA cache_size = -4000")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version not in (0, _VERSION):
                raise sqlite3.DatabaseError(f"it has version {version}, this is {_VERSION}")
            if version == 0:
                schema = resources.files(__package__).joinpath("schema.sql").read_text()
                connection.executescript(
                    f"BEGIN; {schema} PRAGMA user_version = {_VERSION}; COMMIT;"
                )
        except BaseException:
            connection.close()
            raise
        return connection

    def _packed(self, database: str, segments: Sequence[Segment]) -> bytes:
        heads, bodies = [], []
        for segment in segments:
            layout = self._known.layout(database, segment)
            heads.append(_SEGMENT.pack(layout, segment.at_ms, len(segment.values)))
            bodies.append(segment.values.astype("<f8").tobytes())
        return len(segments).to_bytes(2, "little") + b"".join(heads) + b"".join(bodies)

    def _everything_due(self, now_ms: int) -> Iterator[None]:
        yield from self._seal_hours(now_ms // HOUR_MS)
        yield from self._forget(now_ms)

    def _seal_hours(self, before: int) -> Iterator[None]:
        """Turn the ticks of the hours before `before` into chunks."""
        while True:
            oldest = self._connection.execute(
                "SELECT database, at_ms FROM head WHERE at_ms < ? ORDER BY at_ms LIMIT 1",
                (before * HOUR_MS,),
            ).fetchone()
            if oldest is None:
                return
            database, hour = oldest[0], oldest[1] // HOUR_MS
            span = (database, hour * HOUR_MS, (hour + 1) * HOUR_MS)
            rows = self._connection.execute(
                "SELECT segments FROM head WHERE database = ? AND at_ms >= ? AND at_ms < ?", span
            )
            yield from self._seal(_columns(self._connection, (row[0] for row in rows)), hour)
            with self._connection as writing:
                writing.execute(
                    "DELETE FROM head WHERE database = ? AND at_ms >= ? AND at_ms < ?", span
                )
            yield

    def _seal(self, columns: Mapping[int, Samples], hour: int) -> Iterator[None]:
        counters = {
            row[0]
            for row in self._connection.execute(
                "SELECT id FROM series WHERE type = ?", (MetricType.COUNTER.value,)
            )
        }
        numbers = list(columns)
        for first in range(0, len(numbers), _SERIES_A_STEP):
            with self._connection as writing:
                for number in numbers[first : first + _SERIES_A_STEP]:
                    counter = number in counters
                    samples = columns[number]
                    plain = Summary.plain(samples)
                    minutes = plain.coarser(MINUTES.step_ms, counter=counter)
                    hours = self._hours_with(number, hour, plain, counter=counter)
                    writing.executemany(
                        "INSERT OR REPLACE INTO chunk (key, samples) VALUES (?, ?)",
                        [
                            (RAW.key(hour, number), encode(samples)),
                            (MINUTES.key(hour, number), minutes.encoded(counter=counter)),
                            hours,
                        ],
                    )
                writing.executemany(
                    "UPDATE series SET last_hour = ? WHERE id = ? AND last_hour < ?",
                    [(hour, number, hour) for number in numbers[first : first + _SERIES_A_STEP]],
                )
            yield

    def _hours_with(
        self, number: int, hour: int, samples: Summary, *, counter: bool
    ) -> tuple[int, bytes]:
        """The chunk of hours with this one in it."""
        key = HOURS.key(hour * HOUR_MS // HOURS.span_ms, number)
        before = self._connection.execute(
            "SELECT samples FROM chunk WHERE key = ?", (key,)
        ).fetchone()
        parts = [samples.coarser(HOURS.step_ms, counter=counter)]
        if before is not None:
            parts.insert(0, Summary.decoded(before[0]))
        return key, Summary.joined(parts).encoded(counter=counter)

    def _forget(self, now_ms: int) -> Iterator[None]:
        """Delete what is older than is kept, and, while the file is too large, the oldest."""
        for resolution in RESOLUTIONS:
            yield from self._delete(resolution, (now_ms - resolution.kept_ms) // resolution.span_ms)
        for resolution in RESOLUTIONS:
            newest = (now_ms - _LEAST_KEPT_MS[resolution.number]) // resolution.span_ms
            while self.bytes_used() > self._max_bytes:
                oldest = self._connection.execute(
                    "SELECT min(key) FROM chunk WHERE key >= ? AND key < ?",
                    (resolution.key(0, 0), resolution.key(newest, 0)),
                ).fetchone()[0]
                if oldest is None:
                    break
                span = (oldest >> 32) & 0xFFFFFFF
                yield from self._delete(resolution, span + 1)
        yield
        with self._connection as writing:
            oldest = writing.execute("SELECT min(at_ms) FROM head").fetchone()[0]
            deleted = writing.execute(
                "DELETE FROM layout WHERE last_hour < ?", ((oldest or now_ms) // HOUR_MS,)
            ).rowcount
            deleted += writing.execute(
                "DELETE FROM series WHERE last_hour < ?", ((now_ms - HOURS.kept_ms) // HOUR_MS,)
            ).rowcount
        if deleted:
            self._known = _Known(self._connection)
        self._connection.execute("PRAGMA incremental_vacuum").fetchall()
        yield

    def _delete(self, resolution: Resolution, before: int) -> Iterator[None]:
        """Delete the chunks of the spans before `before`, in short steps."""
        while True:
            with self._connection as writing:
                deleted = writing.execute(
                    "DELETE FROM chunk WHERE key IN "
                    "(SELECT key FROM chunk WHERE key >= ? AND key < ? ORDER BY key LIMIT ?)",
                    (resolution.key(0, 0), resolution.key(before, 0), _CHUNKS_A_STEP),
                ).rowcount
            if deleted < _CHUNKS_A_STEP:
                return
            yield


class _Known:
    """The numbers of databases, series and layouts that the file has."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._databases: dict[str, int] = dict(connection.execute("SELECT name, id FROM database"))
        self._series: dict[tuple[int, str, str], int] = {
            (row[1], row[2], row[3]): row[0]
            for row in connection.execute("SELECT id, database, metric, labels FROM series")
        }
        self._layouts: dict[bytes, tuple[int, int]] = {
            row[0]: (row[1], row[2])
            for row in connection.execute("SELECT series, id, last_hour FROM layout")
        }
        # What each collector gave last, which is what it gives next as a rule.
        self._last: dict[tuple[str, str, int], tuple[tuple[Series, ...], int]] = {}

    def database(self, name: str) -> int:
        """The number of a database, which may be new."""
        number = self._databases.get(name)
        if number is None:
            number = self._inserted("INSERT INTO database (name) VALUES (?)", name)
            self._databases[name] = number
        return number

    def layout(self, database: str, segment: Segment) -> int:
        """The number of the segment's layout, which may be new."""
        hour = segment.at_ms // HOUR_MS
        last = self._last.get((database, segment.collector, hour))
        if last is not None and last[0] == segment.series:
            return last[1]
        of = self.database(database)
        blob = np.array([self._number(of, each, hour) for each in segment.series], "<u4").tobytes()
        layout, last_hour = self._layouts.get(blob, (None, 0))
        if layout is None:
            layout = self._inserted(
                "INSERT INTO layout (series, last_hour) VALUES (?, ?)", blob, hour
            )
        elif last_hour < hour:
            self._connection.execute("UPDATE layout SET last_hour = ? WHERE id = ?", (hour, layout))
        self._layouts[blob] = layout, max(hour, last_hour)
        self._last.pop((database, segment.collector, hour - 1), None)
        self._last[database, segment.collector, hour] = (segment.series, layout)
        return layout

    def _number(self, database: int, series: Series, hour: int) -> int:
        metric = series.metric
        labels = json.dumps(dict(zip(metric.labels, series.labels, strict=True)))
        number = self._series.get((database, metric.name, labels))
        if number is None:
            number = self._inserted(
                "INSERT INTO series (database, metric, type, unit, labels, last_hour) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                *(database, metric.name, metric.type.value, metric.unit, labels, hour),
            )
            self._series[database, metric.name, labels] = number
        return number

    def _inserted(self, statement: str, *values: object) -> int:
        number = self._connection.execute(statement, values).lastrowid
        assert number is not None  # noqa: S101 - an INSERT of one row
        return number


@dataclass(frozen=True, slots=True)
class Found:
    """A series of the history, its samples, and how far apart those of its coarsest part are."""

    series: Series
    samples: Summary
    step_ms: int


class HistoryReader:
    """Reads the file. Each method opens it anew and may be called in any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def find(self, database: str, metric: str) -> dict[int, Series]:
        """The series of a metric, by number. Raises `sqlite3.Error`."""
        with closing(self._connect()) as connection:
            rows = connection.execute(
                "SELECT series.id, metric, type, unit, labels FROM series "
                "JOIN database ON database.id = series.database "
                "WHERE database.name = ? AND metric = ? ORDER BY labels",
                (database, metric),
            ).fetchall()
        found = {}
        for number, name, kind, unit, text in rows:
            labels: dict[str, str] = json.loads(text)
            described = Metric(name, MetricType(kind), unit, "", tuple(labels))
            found[number] = Series(described, tuple(labels.values()))
        return found

    def read(
        self, database: str, wanted: Mapping[int, Series], start_ms: int, end_ms: int
    ) -> list[Found]:
        """The samples of these series in (`start_ms`, `end_ms`], each part as fine as it is kept.

        Raises `sqlite3.Error` and `HistoryDamaged`.
        """
        with closing(self._connect()) as connection:
            # One snapshot of the file, or an hour that is sealed meanwhile would be missed.
            connection.execute("BEGIN")
            rows = connection.execute(
                "SELECT segments FROM head JOIN database ON database.id = head.database "
                "WHERE name = ? AND at_ms > ? AND at_ms <= ? ORDER BY at_ms",
                (database, start_ms - HOUR_MS, end_ms + HOUR_MS),
            )
            heads = _columns(connection, (row[0] for row in rows), wanted)
            return [
                self._series(connection, number, each, heads.get(number), (start_ms, end_ms))
                for number, each in wanted.items()
            ]

    def _series(
        self,
        connection: sqlite3.Connection,
        number: int,
        series: Series,
        head: Samples | None,
        times: tuple[int, int],
    ) -> Found:
        start_ms, end_ms = times
        parts = [Summary.plain(head)] if head is not None else []
        coarsest = 0
        # The finest first; a coarser one is read for the time before it only.
        until_ms = end_ms
        for resolution in RESOLUTIONS:
            chunks = list(self._chunks(connection, resolution, number, start_ms, until_ms))
            if not chunks:
                continue
            first = chunks[0][0] * resolution.span_ms
            found = Summary.joined([summary for _, summary in chunks]).between(start_ms, until_ms)
            if len(found.times):
                parts.insert(0, found)
                coarsest = resolution.step_ms
                until_ms = min(until_ms, int(found.times[0]) - max(resolution.step_ms, 1))
            if first <= start_ms:
                break
        return Found(series, Summary.joined(parts).between(start_ms, end_ms), coarsest)

    def _chunks(
        self,
        connection: sqlite3.Connection,
        resolution: Resolution,
        number: int,
        start_ms: int,
        end_ms: int,
    ) -> Iterator[tuple[int, Summary]]:
        first, last = start_ms // resolution.span_ms, end_ms // resolution.span_ms
        for span in range(first, last + 1):
            row = connection.execute(
                "SELECT samples FROM chunk WHERE key = ?", (resolution.key(span, number),)
            ).fetchone()
            if row is not None:
                plain = resolution is RAW
                yield span, Summary.plain(decode(row[0])) if plain else Summary.decoded(row[0])

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=5.0)


def _columns(
    connection: sqlite3.Connection, blobs: Iterable[bytes], wanted: Iterable[int] | None = None
) -> dict[int, Samples]:
    """The samples of each series in the segments of ticks, by time; of all, or of those wanted."""
    only = None if wanted is None else set(wanted)
    places: dict[int, tuple[Places, Places]] = {}
    times: dict[int, list[int]] = {}
    values: dict[int, list[Values]] = {}
    for blob in blobs:
        count = int.from_bytes(blob[:2], "little")
        place = 2 + count * _SEGMENT.size
        for layout, at_ms, length in _SEGMENT.iter_unpack(blob[2:place]):
            if layout not in places:
                places[layout] = _places(connection, layout, only)
                times[layout], values[layout] = [], []
            chosen, _ = places[layout]
            if len(chosen):
                row = np.frombuffer(blob, "<f8", length, place)
                times[layout].append(at_ms)
                values[layout].append(row[chosen])
            place += length * 8
    parts: dict[int, list[Samples]] = {}
    for layout, (_, numbers) in places.items():
        if values[layout]:
            table = np.array(values[layout]).T
            at = np.array(times[layout], np.int64)
            for number, column in zip(numbers.tolist(), table, strict=True):
                parts.setdefault(number, []).append(Samples(at, column))
    return {number: _joined(each) for number, each in parts.items()}


def _places(
    connection: sqlite3.Connection, layout: int, only: set[int] | None
) -> tuple[Places, Places]:
    """Where the wanted series are in a layout, and their numbers."""
    row = connection.execute("SELECT series FROM layout WHERE id = ?", (layout,)).fetchone()
    if row is None:
        raise HistoryDamaged(f"layout {layout} is missing")
    numbers = np.frombuffer(row[0], "<u4")
    if only is None:
        return np.arange(len(numbers)), numbers
    chosen = np.flatnonzero(np.isin(numbers, list(only)))
    return chosen, numbers[chosen]


def _joined(parts: Sequence[Samples]) -> Samples:
    times = np.concatenate([each.times for each in parts])
    values = np.concatenate([each.values for each in parts])
    times, places = np.unique(times, return_index=True)
    return Samples(times, np.ascontiguousarray(values[places]))
