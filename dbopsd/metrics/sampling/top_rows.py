"""The busiest rows of a collector, and the rest of them as one row whose counters never fall.

`(others)` is not simply the sum of what is not shown: that would fall when a table becomes one of
the busiest, which looks like a counter that was reset, and rise when one leaves, which looks like
work that was done. It starts as that sum, and from then on takes over only by how much the rows
that are not shown have grown since the run before. The rows that count are those that were not
shown by then, so that what a row did is counted in its own series or in `(others)`, never in both
and never in neither.

A row that left stays out for an hour: back any sooner, a rate over the gap would count again what
`(others)` has counted.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from dbopsd.db.session import Row, Table
from dbopsd.metrics.collector import Collector
from dbopsd.metrics.errors import CollectorMismatch

OTHERS: Final = "(others)"
KEY_COLUMN: Final = "top_key"
ACTIVITY_COLUMN: Final = "activity"
_ALWAYS_SHOWN: Final = "always_shown"

# By how much busier than the least busy row one has to be to take its place.
_MARGIN: Final = 1.25
# The part of the time that looks at all rows may take, and how often there is one at any cost.
_MOST_BUSY_WITH_ALL: Final = 0.0005
_ALL_EVERY_AT_LEAST_S: Final = 600.0
_STAYS_OUT_S: Final = 3600.0


@dataclass
class TopState:
    """What is kept from run to run, and over a restart of the daemon.

    `rest`: the counters of the rows that are not shown, summed up, at the last run. `others`: those
    of the row `(others)`. `epoch`: see `ServerFacts.epoch`.
    """

    epoch: str = ""
    members: list[str] = field(default_factory=list)
    left_at: dict[str, float] = field(default_factory=dict)
    rest: dict[str, float] = field(default_factory=dict)
    others: dict[str, float] = field(default_factory=dict)


class TopRows:
    """Chooses the `limit` busiest rows of `collector`.

    Its rows have `top_key`, which tells them apart, and `activity`. They are those of `members`, as
    it is handed to the query, and the busiest ones; and one without a key that sums up all that are
    not of `members`, whose `activity` is how many they are. NULL in it is what has no sum.
    """

    def __init__(self, collector: Collector, limit: int, state: TopState | None = None) -> None:
        self.state = state or TopState()
        self.worth_saving = False
        """Whether what was saved before would lead a new daemon astray."""

        self._collector = collector
        self._limit = limit
        self._last: dict[str, Row] = {}
        self._others: Row | None = None
        self._all_at: float | None = None
        self._all_every_s = 0.0

    @property
    def members(self) -> list[str]:
        """The keys of the rows that are shown."""
        return self.state.members

    def looks_at_all(self, now: float) -> bool:
        """Whether the next run has to look at all rows, and not only at those of `members`."""
        if not self._collector.header.spares_rest or self._all_at is None or self._others is None:
            return True
        return now - self._all_at >= self._all_every_s

    def looked_at_all(self, cost_s: float, scale: float = 1.0) -> None:
        """A look at all rows took `cost_s`. `scale`: by how much less often than usual it runs."""
        self._all_every_s = scale * min(cost_s / _MOST_BUSY_WITH_ALL, _ALL_EVERY_AT_LEAST_S)

    def refresh(self, table: Table) -> list[Row]:
        """The rows to be shown, of a run that looked at those of `members` alone."""
        key_at = table.columns.index(KEY_COLUMN)
        fresh = {str(row[key_at]): row for row in table.rows if row[key_at] is not None}
        self._last = {key: fresh[key] for key in self.state.members if key in fresh}
        return [*self._last.values(), *filter(None, [self._others])]

    def fold(self, table: Table, *, epoch: str, now: float) -> list[Row]:
        """The rows to be shown, `(others)` at the end, of a run that looked at all rows.

        `now` is in seconds since 1970.

        Raises `CollectorMismatch`.
        """
        places = {name: place for place, name in enumerate(table.columns)}
        key_at, activity_at = (self._place(places, n) for n in (KEY_COLUMN, ACTIVITY_COLUMN))
        rows = {str(row[key_at]): row for row in table.rows if row[key_at] is not None}
        rest_row = next((row for row in table.rows if row[key_at] is None), None)
        if rest_row is None:
            raise CollectorMismatch(self._collector.name, f"has no row without {KEY_COLUMN}")
        before = self.state.members
        self._choose({key: _number(row[activity_at]) for key, row in rows.items()}, now)
        was_shown, is_shown = set(before), set(self.state.members)
        joined = [rows[key] for key in self.state.members if key not in was_shown]
        left = [key for key in before if key in rows and key not in is_shown]
        gone = [rows[key] for key in left]
        # Their own series end with the run before: what they did since is for `(others)`.
        gone_from = [self._last.get(key, rows[key]) for key in left]
        unseen = _number(rest_row[activity_at]) - len(joined) + len(gone)
        others = list(rest_row)
        for name in self._collector.value_columns:
            place = self._place(places, name)
            if rest_row[place] is not None:
                before_choice = _number(rest_row[place])
                shrunk = before_choice - _sum(joined, place)
                others[place] = shrunk + _sum(gone, place)
                if name in self._collector.counter_columns:
                    base = shrunk + _sum(gone_from, place)
                    others[place] = self._grow(name, before_choice, base, epoch)
        if before != self.state.members or self.state.epoch != epoch:
            self.worth_saving = True
        self.state.epoch = epoch
        self._last = {key: rows[key] for key in self.state.members}
        is_needed = unseen > 0 or any(self.state.others.values())
        self._others = tuple(others) if is_needed else None
        self._all_at = now
        return [*self._last.values(), *filter(None, [self._others])]

    def _grow(self, column: str, before_choice: float, base: float, epoch: str) -> float:
        """The counter of `(others)`, and what its next growth is measured from."""
        state = self.state
        if column not in state.others:
            state.others[column] = max(base, 0.0)
        elif state.epoch == epoch:
            growth = before_choice - state.rest.get(column, 0.0)
            # It falls where a table was dropped, a statement forgotten, or statistics reset.
            state.others[column] += max(growth, 0.0)
            self.worth_saving |= growth < 0
        state.rest[column] = base
        return state.others[column]

    def _choose(self, activity: Mapping[str, float], now: float) -> None:
        state = self.state
        state.left_at = {k: at for k, at in state.left_at.items() if now - at < _STAYS_OUT_S}
        stay = sorted((key for key in state.members if key in activity), key=lambda k: -activity[k])
        for key in stay[self._limit :]:
            state.left_at[key] = now
        del stay[self._limit :]
        chosen = set(stay)
        fresh = sorted(
            (key for key in activity if key not in chosen and key not in state.left_at),
            key=lambda k: -activity[k],
        )
        free = self._limit - len(stay)
        joining, waiting = fresh[:free], fresh[free:]
        for key in waiting:
            if not stay or activity[key] <= _MARGIN * activity[stay[-1]]:
                break
            state.left_at[stay.pop()] = now
            joining.append(key)
        state.members = stay + joining

    def _place(self, places: Mapping[str, int], column: str) -> int:
        try:
            return places[column]
        except KeyError:
            raise CollectorMismatch(
                self._collector.name, f"its rows have no column '{column}'"
            ) from None


def largest_rows(
    rows: Sequence[Row], columns: Sequence[str], collector: Collector, limit: int
) -> list[Row]:
    """The rows with the largest first value, and the sum of the rest: for gauges.

    A row that is not 0 in a column `always_shown` comes before all others.

    The labels of the rest say `(others)`; the database that all of them are in stays.
    """
    values = [columns.index(name) for name in collector.value_columns]
    named = collector.label_columns - {"datname"} or collector.label_columns
    labels = {columns.index(name) for name in named}
    first = columns.index(_ALWAYS_SHOWN) if _ALWAYS_SHOWN in columns else values[0]
    ranked = sorted(rows, key=lambda row: (-_number(row[first]), -_number(row[values[0]])))
    rest = ranked[limit:]
    if not rest:
        return ranked
    others = [
        _sum(rest, place) if place in values else OTHERS if place in labels else rest[0][place]
        for place in range(len(columns))
    ]
    return [*itertools.islice(ranked, limit), tuple(others)]


def _number(value: Any) -> float:
    return 0.0 if value is None else float(value)


def _sum(rows: Iterable[Row], place: int) -> float:
    return sum(_number(row[place]) for row in rows)
