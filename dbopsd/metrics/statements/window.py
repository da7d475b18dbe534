"""What statements cost within a window, from the history of the collector stat_statements."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

import numpy as np

from dbopsd.metrics.errors import HistoryUnavailable
from dbopsd.metrics.history.aggregate import grown
from dbopsd.metrics.history.chunk import Samples
from dbopsd.metrics.history.reader import HistoryReader

_OTHERS: Final = "(others)"
_PREFIX: Final = "pg_stat_statements_"
# The figures, and the metrics whose growth they are.
_METRICS: Final = {
    "calls": ("calls_total",),
    "total_s": ("seconds_total",),
    "rows": ("rows_total",),
    "blocks_hit": ("blocks_hit_total",),
    "blocks_read": ("blocks_read_total",),
    "blocks_written": ("blocks_written_total",),
    "temp_blocks": ("temp_blocks_total",),
    "io_s": ("block_read_seconds_total", "block_write_seconds_total"),
    "wal_bytes": ("wal_bytes_total",),
}
# The sample before the window, from which the first growth within it is taken.
_BEFORE_S: Final = 7200.0
# How much of the earlier window the history has to cover, for the comparison to be fair.
_COVERED: Final = 0.9

_Key = tuple[str, str, str]


class Order(Enum):
    """By what statements are ordered, the greatest first. The numbers are those of the contract."""

    TOTAL = 1
    MEAN = 2
    CALLS = 3
    IO = 4
    TEMP = 5


# What an order is taken from, beside the total time.
_NEEDED: Final = {
    Order.TOTAL: (),
    Order.MEAN: ("calls",),
    Order.CALLS: ("calls",),
    Order.IO: ("blocks_read", "blocks_written"),
    Order.TEMP: ("temp_blocks",),
}


@dataclass(frozen=True, slots=True)
class Figures:
    """What was counted: numbers, seconds and bytes."""

    calls: float = 0.0
    total_s: float = 0.0
    rows: float = 0.0
    blocks_hit: float = 0.0
    blocks_read: float = 0.0
    blocks_written: float = 0.0
    temp_blocks: float = 0.0
    io_s: float = 0.0
    wal_bytes: float = 0.0

    @property
    def mean_s(self) -> float | None:
        """The mean time of a call; None without one."""
        return self.total_s / self.calls if self.calls else None

    def rank(self, order: Order) -> float:
        """What statements are ordered by."""
        match order:
            case Order.MEAN:
                return self.mean_s or 0.0
            case Order.CALLS:
                return self.calls
            case Order.IO:
                return self.blocks_read + self.blocks_written
            case Order.TEMP:
                return self.temp_blocks
            case _:
                return self.total_s


@dataclass(frozen=True, slots=True)
class Followed:
    """A statement that the sampler followed, and its figures; `earlier` None: not known."""

    query_id: str
    postgres_database: str
    role: str
    figures: Figures
    earlier: Figures | None


@dataclass(frozen=True, slots=True)
class Windows:
    """What was followed in a window. `all_s` is the execution time of all statements in it."""

    statements: Sequence[Followed]
    covered_s: float
    all_s: float
    not_known: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Span:
    """A window, in milliseconds since 1970."""

    start_ms: int
    end_ms: int


class StatementHistory:
    """Reads the history in the file at `path`. `clock` is in seconds since 1970."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._reader = HistoryReader(path)
        self._clock = clock

    async def windows(self, database: str, order: Order, window_s: float, limit: int) -> Windows:
        """The figures of the last `window_s` and of as long before. Raises `HistoryUnavailable`."""
        try:
            return await asyncio.to_thread(self._windows, database, order, window_s, limit)
        except sqlite3.Error as error:
            if not self._path.exists():
                raise HistoryUnavailable("nothing has been recorded yet") from error
            raise HistoryUnavailable(f"'{self._path}' cannot be read: {error}") from error

    def _windows(self, database: str, order: Order, window_s: float, limit: int) -> Windows:
        end_ms = round(self._clock() * 1000)
        length_ms = round(window_s * 1000)
        now = _Span(end_ms - length_ms, end_ms)
        before = _Span(now.start_ms - length_ms, now.start_ms)
        times = self._read(database, "seconds_total", before.start_ms, end_ms)
        inside = [each.times for each in times.values() if len(each.times)]
        if not inside:
            raise HistoryUnavailable(
                f"it has no statements of databases/{database} in that time: is "
                "pg_stat_statements installed, and has the daemon run since?"
            )
        first_ms = min(int(each[0]) for each in inside)
        last_ms = max(int(each[-1]) for each in inside)
        covered_ms = min(now.end_ms, last_ms) - max(now.start_ms, first_ms)
        if covered_ms <= 0:
            raise HistoryUnavailable(
                f"it has two samples of no statement of databases/{database} in that time yet"
            )
        earlier_known = before.end_ms - max(before.start_ms, first_ms) >= _COVERED * length_ms
        table = _Table({"total_s": times})
        for figure in _NEEDED[order]:
            table.add(figure, self._figure(database, figure, before.start_ms, end_ms, None))
        top = table.top(order, now, limit)
        for figure in _METRICS:
            if not table.has(figure):
                table.add(figure, self._figure(database, figure, before.start_ms, end_ms, top))
        return Windows(
            [
                Followed(
                    *key,
                    table.figures(key, now),
                    table.figures(key, before) if earlier_known else None,
                )
                for key in top
            ],
            covered_ms / 1000,
            sum(_growth(each, now) for each in times.values()),
            _not_known(covered_ms, length_ms, earlier_known=earlier_known),
        )

    def _figure(
        self,
        database: str,
        figure: str,
        start_ms: int,
        end_ms: int,
        wanted: Collection[_Key] | None,
    ) -> list[Mapping[_Key, Samples]]:
        return [
            self._read(database, metric, start_ms, end_ms, wanted) for metric in _METRICS[figure]
        ]

    def _read(
        self,
        database: str,
        metric: str,
        start_ms: int,
        end_ms: int,
        wanted: Collection[_Key] | None = None,
    ) -> dict[_Key, Samples]:
        """The samples by identifier, database and role; of all, or of those wanted."""
        known = self._reader.find(database, f"{_PREFIX}{metric}")
        keys: dict[int, _Key] = {}
        for number, series in known.items():
            labels = series.label_map()
            key = (labels.get("queryid", ""), labels.get("datname", ""), labels.get("user", ""))
            if wanted is None or key in wanted:
                keys[number] = key
        chosen = {number: known[number] for number in keys}
        if not chosen:
            return {}
        found = self._reader.read(chosen, start_ms - round(_BEFORE_S * 1000), end_ms)
        by_series = {series: keys[number] for number, series in chosen.items()}
        return {
            by_series[each.series]: Samples(each.samples.times, each.samples.mean)
            for each in found
            if len(each.samples.times)
        }


class _Table:
    """The samples of figures by statement."""

    def __init__(self, first: Mapping[str, Mapping[_Key, Samples]]) -> None:
        self._parts: dict[str, list[Mapping[_Key, Samples]]] = {
            figure: [each] for figure, each in first.items()
        }

    def has(self, figure: str) -> bool:
        return figure in self._parts

    def add(self, figure: str, parts: list[Mapping[_Key, Samples]]) -> None:
        self._parts[figure] = parts

    def figures(self, key: _Key, span: _Span) -> Figures:
        """What a statement cost in a window, as far as it was read."""
        return Figures(
            **{
                figure: sum(_growth(each[key], span) for each in parts if key in each)
                for figure, parts in self._parts.items()
            }
        )

    def top(self, order: Order, span: _Span, limit: int) -> list[_Key]:
        """The costliest statements of a window that ran in it."""
        ranks = {
            key: self.figures(key, span).rank(order)
            for key in {key for parts in self._parts.values() for each in parts for key in each}
            # What stands for the rest is no statement, and a hidden one has no identifier.
            if key[0] not in ("", _OTHERS)
        }
        ran = [key for key, rank in ranks.items() if rank > 0]
        return sorted(ran, key=lambda key: (-ranks[key], key))[:limit]


def _growth(samples: Samples, span: _Span) -> float:
    """How much a counter grew in a window.

    Of a growth between two samples of which one is outside, it takes the part of the time that is
    inside.
    """
    if len(samples.times) < 2:
        return 0.0
    since, until = samples.times[:-1], samples.times[1:]
    inside = np.minimum(until, span.end_ms) - np.maximum(since, span.start_ms)
    share = np.clip(inside, 0, None) / (until - since)
    return float((grown(samples) * share).sum())


def _not_known(covered_ms: float, length_ms: float, *, earlier_known: bool) -> list[str]:
    followed = (
        "statements that were never among the costliest: the history follows those only, and one "
        "is followed from when it first was"
    )
    notes = [followed]
    if covered_ms < _COVERED * length_ms:
        notes.append(
            f"a part of the window: the history covers {covered_ms / 1000:.0f} s of "
            f"{length_ms / 1000:.0f} s"
        )
    if not earlier_known:
        notes.append("the change: the history does not cover the window before this one")
    return notes
