"""Since when each counter counts, and how much it grew since the last push.

A count begins anew when it falls. What was counted together begins anew together: the counters of
one row, of which a quick one may have passed its old value already, and after a restart of the
server all counters of a collector of which one fell. A restart alone is no reset: since
PostgreSQL 15 statistics outlive a clean one.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from dbopsd.metrics.model import Collection, Sample, Series

# A table that is among the busiest again within that time is counted on.
_FORGOTTEN_AFTER_S: Final = 3600.0
_STATS_RESET: Final = "stats_reset"

_Row = tuple[tuple[str, ...], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Count:
    """A counter at a push. Times are in seconds since 1970.

    `began_at` is when it counted from 0; of a counter that is seen for the first time, it is the
    time of that push, which by OTLP's data model says that it is not known. `grown` is the growth
    since the push before, which was at `since`; None at the first one.
    """

    value: float
    began_at: float
    grown: float | None
    since: float


@dataclass(frozen=True, slots=True)
class _Known:
    value: float
    at: float
    began_at: float


@dataclass(frozen=True)
class Pushed:
    """What is known of a collector's counters after a push: a new one replaces it as a whole."""

    server_started_at: float | None = None
    resets: Mapping[_Row, float] = field(default_factory=dict)
    known: Mapping[Series, _Known] = field(default_factory=dict)


def count(
    before: Pushed,
    collection: Collection,
    counters: Iterable[Sample],
    now: float,
    server_started_at: float | None,
) -> tuple[dict[Series, Count], Pushed]:
    """The counters of a collector at a push at `now`, and what is known once it has arrived.

    `server_started_at` is when the server started; None: that is not known.
    """
    samples = list(counters)
    sampled_at = collection.status.sampled_at or 0.0
    if server_started_at is not None and sampled_at < server_started_at:
        # From before the restart, which the next samples may show.
        server_started_at = before.server_started_at
    resets = {_row(each.series): each.value for each in _resets(collection)}
    restarted = None not in (before.server_started_at, server_started_at) and (
        before.server_started_at != server_started_at
    )
    fallen = set(_fallen(before, samples, resets))
    everything = restarted and bool(fallen)
    counts: dict[Series, Count] = {}
    known = {
        series: each for series, each in before.known.items() if now - each.at < _FORGOTTEN_AFTER_S
    }
    for series, value, _ in samples:
        old = known.get(series)
        if old is None:
            began_at, grown, since = now, None, now
        elif everything or _row(series) in fallen:
            moments = (resets.get(_row(series)), server_started_at if restarted else None)
            began_at = _latest_within(moments, old.at, now)
            grown, since = value, began_at
        else:
            began_at, grown, since = old.began_at, value - old.value, old.at
        counts[series] = Count(value, began_at, grown, since)
        known[series] = _Known(value, now, began_at)
    started_at = before.server_started_at if server_started_at is None else server_started_at
    return counts, Pushed(started_at, resets, known)


def _fallen(
    before: Pushed, samples: Iterable[Sample], resets: Mapping[_Row, float]
) -> Iterator[_Row]:
    for series, value, _ in samples:
        old = before.known.get(series)
        if old is not None and value < old.value:
            yield _row(series)
    for row, at in resets.items():
        if row in before.resets and before.resets[row] != at:
            yield row


def _resets(collection: Collection) -> Iterator[Sample]:
    for metric, samples in collection.by_metric.items():
        if _STATS_RESET in metric.name:
            yield from samples


def _row(series: Series) -> _Row:
    return series.metric.labels, series.labels


def _latest_within(moments: Iterable[float | None], after: float, until: float) -> float:
    return max(
        (each for each in moments if each is not None and after < each <= until), default=after
    )
