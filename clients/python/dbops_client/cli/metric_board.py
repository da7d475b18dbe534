"""The display of `dbops metrics watch`: what is wrong first, and a sparkline for each series."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from dbops.v1 import metrics_pb2
from rich.console import Group, RenderableType
from rich.text import Text

from dbops_client._names import database_id
from dbops_client.cli.alert_views import severity_name
from dbops_client.cli.chart import sparkline
from dbops_client.cli.metric_views import labels_text
from dbops_client.cli.terminal import plain
from dbops_client.cli.values import count, formatter, percent

_HISTORY: Final = 40
"""How many snapshots a sparkline goes back at most."""

_NOW_COLUMNS: Final = 14
_MOST_PROBLEMS: Final = 5
_NEAR: Final = 0.7
_AT_LIMIT: Final = 0.9
_UNUSUAL_SPREAD: Final = 3.0
_CHECK: Final = "dbops_health_check_state"
_IDS: Final = 2.0**31
# The longest that there is nothing new: a sampler's own interval, and then some.
_SILENT_S: Final = 15.0

_Status = metrics_pb2.CollectorStatus
_Alert = metrics_pb2.Alert
_Key = tuple[str, tuple[tuple[str, str], ...]]
_Line = tuple[str, str, Sequence[float | None], str]
"""A name, a value, the values up to it, and a style."""


@dataclass
class _Row:
    """What is known of one series."""

    unit: str
    counter: bool
    values: deque[float | None] = field(default_factory=lambda: deque(maxlen=_HISTORY))
    """A counter's are per second."""

    last: float = 0.0
    last_at: float = 0.0

    def add(self, sample: metrics_pb2.Sample) -> None:
        at = sample.sample_time.ToNanoseconds() / 1e9
        if at == self.last_at and self.values:
            return
        if not self.counter:
            self.values.append(sample.value)
        elif self.last_at and sample.value >= self.last:
            self.values.append((sample.value - self.last) / (at - self.last_at))
        else:
            self.values.append(None)  # the first one, or a counter that was reset
        self.last, self.last_at = sample.value, at

    @property
    def now(self) -> float | None:
        return self.values[-1] if self.values else None

    @property
    def text(self) -> str:
        if self.now is None:
            return "-"
        return formatter(self.unit, (self.now,))(self.now) + ("/s" if self.counter else "")

    @property
    def unusual(self) -> float:
        """How many standard deviations the newest value is from those before it."""
        before = [value for value in list(self.values)[:-1] if value is not None]
        if self.now is None or len(before) < 5:
            return 0.0
        mean = sum(before) / len(before)
        spread = (sum((value - mean) ** 2 for value in before) / len(before)) ** 0.5
        return abs(self.now - mean) / spread if spread else float(self.now != mean) * 10


class Board:
    """What came, the worst first. `monotonic` is in seconds.

    Alerts that fire, collectors that fail, what is near its limit; then checks that are not
    healthy, series whose newest value is unlike those before it, what moves, the rest by name.
    Any thread may use it.
    """

    def __init__(
        self, database: str, *, interval_s: float, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._silent_s = 2 * interval_s + _SILENT_S
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._rows: dict[_Key, _Row] = {}
        self._limits: dict[str, deque[float | None]] = {}
        self._alerts: dict[_Key, _Alert] = {}
        self._snapshot = metrics_pb2.Snapshot()
        self._came_at = monotonic()
        self._came_time = datetime.now().astimezone()

    def add(self, snapshot: metrics_pb2.Snapshot) -> None:
        """Take in a snapshot. Series that it does not have are forgotten."""
        with self._lock:
            self._add(snapshot)

    def _add(self, snapshot: metrics_pb2.Snapshot) -> None:
        rows = {}
        for sample in snapshot.samples:
            key = (sample.metric, tuple(sorted(sample.labels.items())))
            row = self._rows.get(key)
            if row is None:
                row = _Row(sample.unit, sample.type == metrics_pb2.COUNTER)
            row.add(sample)
            rows[key] = row
        self._rows, self._snapshot = rows, snapshot
        self._came_at, self._came_time = self._monotonic(), datetime.now().astimezone()
        limits = {}
        for name, used, limit in self._used():
            limits[name] = self._limits.get(name, deque(maxlen=_HISTORY))
            limits[name].append(used / limit)
        self._limits = limits

    def set_alert(self, alert: _Alert) -> None:
        """Take in an alert as it is now."""
        key = (alert.rule, tuple(sorted(alert.labels.items())))
        with self._lock:
            if alert.state in (_Alert.FIRING, _Alert.SILENCED):
                self._alerts[key] = alert
            else:
                self._alerts.pop(key, None)

    def view(self, width: int, height: int) -> RenderableType:
        """Return what fits into `width` columns and `height` lines."""
        with self._lock:
            return self._view(width, height)

    def _view(self, width: int, height: int) -> RenderableType:
        parts: list[Text] = [self._headline(width)]
        parts += [_cut(text, width) for text in self._problems()]
        lines = [*self._limit_lines(), *self._series_lines()]
        room = max(height - len(parts) - 2, 3)
        spark = 12 if width < 100 else 24 if width < 140 else _HISTORY
        parts += [_line(each, width, spark) for each in lines[:room]]
        hidden = len(lines) - room
        if hidden > 0:
            more = f"{hidden:,} more series: choose some by --metric and --label."
            parts.append(_cut(Text(more, style="dim"), width))
        return Group(*parts)

    def _ordered(self) -> list[tuple[_Key, _Row]]:
        """The series, the worst first."""
        return sorted(self._rows.items(), key=lambda each: (_rank(each[0][0], each[1]), each[0]))

    def _headline(self, width: int) -> Text:
        silent_s = self._monotonic() - self._came_at
        name = database_id(self._snapshot.database) or self._database
        if silent_s > self._silent_s:
            text = f"{name}: no message for {silent_s:.0f} s, dbopsd is away. What came last:"
            return _cut(Text(plain(text), style="bold red"), width)
        at = self._came_time.strftime("%H:%M:%S")
        return _cut(Text(plain(f"{name}  {at}  {len(self._rows):,} series"), style="bold"), width)

    def _problems(self) -> Iterator[Text]:
        alerts = sorted(self._alerts.values(), key=lambda each: (-each.severity, each.rule))
        for alert in alerts[:_MOST_PROBLEMS]:
            critical = alert.severity == _Alert.CRITICAL
            silenced = " (silenced)" if alert.state == _Alert.SILENCED else ""
            text = plain(
                f"{severity_name(alert)} {alert.rule}{silenced}: {alert.summary} → {alert.remedy}"
            )
            yield Text(text, style="bold red" if critical else "yellow")
        failed = [each for each in self._snapshot.collectors if each.state == _Status.FAILED]
        for each in failed[:_MOST_PROBLEMS]:
            text = plain(f"collector {each.name} FAILED {each.reason}: {each.message}")
            yield Text(text, style="bold red")
        more = sum(max(len(each) - _MOST_PROBLEMS, 0) for each in (alerts, failed))
        if more:
            yield Text(f"{more} more alerts and collectors that fail", style="bold red")

    def _used(self) -> Iterator[tuple[str, float, float]]:
        """What has a limit: its name, how much is used, and the limit."""
        connections = self._values("pg_stat_database_numbackends")
        for limit in self._values("pg_settings_max_connections"):
            yield "connections", sum(connections), limit
        in_pool = dict(self._by_label("dbops_pool_connections", "state"))
        for limit in self._values("dbops_pool_max_connections"):
            yield "connections of dbopsd's pool", in_pool.get("used", 0.0), limit
        free = dict(self._by_label("dbops_disk_free_bytes", "mount"))
        for mount, size in self._by_label("dbops_disk_size_bytes", "mount"):
            if mount in free:
                yield f"disk {mount}", size - free[mount], size
        for name, metric in (
            ("transaction ids", "pg_database_xid_age"),
            ("multixact ids", "pg_database_mxid_age"),
        ):
            if ages := self._values(metric):
                yield name, max(ages), _IDS
        for (metric, labels), row in self._rows.items():
            if metric.endswith("_used_ratio") and row.now is not None:
                yield f"{metric} {labels_text(dict(labels))}".rstrip(), row.now, 1.0

    def _limit_lines(self) -> Iterator[_Line]:
        amounts = {name: (used, limit) for name, used, limit in self._used()}
        near = [(used / limit, name) for name, (used, limit) in amounts.items() if limit > 0]
        for ratio, name in sorted(near, reverse=True):
            if ratio >= _NEAR:
                used, limit = amounts[name]
                of = "" if limit == 1 else f": {count(used)} of {count(limit)}"
                style = "bold red" if ratio >= _AT_LIMIT else "yellow"
                yield f"{name}{of}", percent(ratio), list(self._limits.get(name, ())), style

    def _series_lines(self) -> Iterator[_Line]:
        for (metric, labels), row in self._ordered():
            name = f"{metric} {labels_text(dict(labels))}".rstrip()
            style = "bold red" if _is_bad(metric, row) else ""
            yield name, row.text, list(row.values), style

    def _by_label(self, metric: str, label: str) -> Iterator[tuple[str, float]]:
        for (name, labels), row in self._rows.items():
            if name == metric and row.now is not None:
                yield dict(labels).get(label, ""), row.now

    def _values(self, metric: str) -> list[float]:
        found = [row.now for (name, _), row in self._rows.items() if name == metric]
        return [value for value in found if value is not None]


def _line(line: _Line, width: int, spark: int) -> Text:
    name, value, values, style = line
    room = max(width - _NOW_COLUMNS - spark - 2, 10)
    shown = plain(name)
    if len(shown) > room:
        shown = f"{shown[: room - 1]}…"
    text = Text(f"{shown:<{room}}{value:>{_NOW_COLUMNS}}  ", style=style)
    return text.append(sparkline(values, spark), style="")


def _cut(text: Text, width: int) -> Text:
    text.truncate(width, overflow="ellipsis")
    return text


def _is_bad(metric: str, row: _Row) -> bool:
    return metric == _CHECK and bool(row.now)


def _rank(metric: str, row: _Row) -> tuple[int, float]:
    if _is_bad(metric, row):
        return 0, -(row.now or 0.0)
    if row.unusual >= _UNUSUAL_SPREAD:
        return 1, -row.unusual
    moves = len({value for value in row.values if value is not None}) > 1
    return (2, 0.0) if moves else (3, 0.0)
