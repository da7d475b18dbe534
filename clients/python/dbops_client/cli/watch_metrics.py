"""`dbops metrics watch`: the stream of snapshots on a display, or as lines."""

from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import click
from dbops.v1 import metrics_pb2
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from dbops_client._channel import DEFAULT_RECONNECT_S
from dbops_client._sync.client import DbopsClient
from dbops_client.cli import protobuf_json
from dbops_client.cli.chart import sparkline
from dbops_client.cli.metric_views import collector_table, labels_text
from dbops_client.cli.session import Session
from dbops_client.cli.tables import cell, new_table
from dbops_client.cli.terminal import can_redraw, plain
from dbops_client.cli.values import formatter

_REFRESH_PER_S: Final = 2
_LIVE_RECONNECT_S: Final = 3600.0
_WIDTH: Final = 40
"""Of a sparkline, in snapshots."""

_UNUSUAL_SPREAD: Final = 3.0
_CHECK: Final = "dbops_health_check_state"

_Key = tuple[str, tuple[tuple[str, str], ...]]


def follow(
    session: Session,
    client: DbopsClient,
    database: str,
    metrics: Sequence[str],
    labels: Mapping[str, str],
    interval_s: float | None,
) -> None:
    """Show the samples from now on, until the stream fails or the user ends the command."""
    console = session.console()
    as_json = session.settings.output == "json"
    live = not as_json and can_redraw(console)
    watch = client.metrics.watch(
        database,
        metrics=metrics,
        labels=labels,
        interval_s=interval_s,
        changes_only=not as_json and not live,
        reconnect_for_s=_LIVE_RECONNECT_S if live else DEFAULT_RECONNECT_S,
    )
    with closing(watch):
        if as_json:
            for response in watch:
                click.echo(protobuf_json.line_with_defaults(response.snapshot))
        elif live:
            board = Board()
            with Live(
                console=console,
                get_renderable=lambda: board.view(console.height),
                refresh_per_second=_REFRESH_PER_S,
                vertical_overflow="crop",
            ):
                for response in watch:
                    board.add(response.snapshot)
        else:
            for response in watch:
                for sample in response.snapshot.samples:
                    console.print(Text(_line(sample)), soft_wrap=True)
                console.file.flush()


def _line(sample: metrics_pb2.Sample) -> str:
    at = sample.sample_time.ToJsonString()
    return plain(f"{at} {sample.metric} {labels_text(sample.labels)} {sample.value:g}")


@dataclass
class _Row:
    """What is known of one series."""

    unit: str
    counter: bool
    values: deque[float | None] = field(default_factory=lambda: deque(maxlen=_WIDTH))
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
    def unusual(self) -> float:
        """How many standard deviations the newest value is from those before it."""
        before = [value for value in list(self.values)[:-1] if value is not None]
        if self.now is None or len(before) < 5:
            return 0.0
        mean = sum(before) / len(before)
        spread = (sum((value - mean) ** 2 for value in before) / len(before)) ** 0.5
        return abs(self.now - mean) / spread if spread else float(self.now != mean) * 10


class Board:
    """The series of the snapshots that came, the worst first.

    First collectors that fail, then checks that are not healthy, then series whose newest value
    is unlike those before it, then what moves, then the rest by name.
    """

    def __init__(self) -> None:
        self._rows: dict[_Key, _Row] = {}
        self._snapshot = metrics_pb2.Snapshot()
        self._came_at = datetime.now().astimezone()

    def add(self, snapshot: metrics_pb2.Snapshot) -> None:
        """Take in a snapshot. Series that it does not have are forgotten."""
        rows = {}
        for sample in snapshot.samples:
            key = (sample.metric, tuple(sorted(sample.labels.items())))
            row = self._rows.get(key)
            if row is None:
                row = _Row(sample.unit, sample.type == metrics_pb2.COUNTER)
            row.add(sample)
            rows[key] = row
        self._rows = rows
        self._snapshot = snapshot
        self._came_at = datetime.now().astimezone()

    def view(self, height: int) -> RenderableType:
        """Return the rows that fit into `height` lines."""
        failed = [
            each
            for each in self._snapshot.collectors
            if each.state == metrics_pb2.CollectorStatus.FAILED
        ]
        at = self._came_at.strftime("%H:%M:%S")
        head = plain(f"{self._snapshot.database.removeprefix('databases/')}  {at}")
        parts: list[RenderableType] = [Text(head, style="bold")]
        if failed:
            parts += [collector_table(failed[:5]), Text()]
        table = new_table("METRIC", "LABELS", "NOW", "", numbers=frozenset({"NOW"}))
        room = max(height - 4 - 2 * len(failed[:5]), 5)
        for (metric, labels), row in self.ordered()[:room]:
            unit = f"{row.unit}/s" if row.counter else row.unit
            now = "-" if row.now is None else formatter(row.unit, (row.now,))(row.now)
            style = "bold red" if _is_bad(metric, row) else ""
            table.add_row(
                Text(plain(metric), style=style),
                cell(labels_text(dict(labels))),
                cell(f"{now}/s" if unit.endswith("/s") and row.counter else now),
                Text(sparkline(list(row.values), _WIDTH)),
            )
        parts.append(table)
        hidden = len(self._rows) - room
        if hidden > 0:
            parts.append(Text(f"{hidden} more series: choose some by --metric and --label."))
        return Group(*parts)

    def ordered(self) -> list[tuple[_Key, _Row]]:
        """The rows, the worst first."""
        return sorted(self._rows.items(), key=lambda each: (_rank(each[0][0], each[1]), each[0]))


def _is_bad(metric: str, row: _Row) -> bool:
    return metric == _CHECK and bool(row.now)


def _rank(metric: str, row: _Row) -> tuple[int, float]:
    if _is_bad(metric, row):
        return 0, -(row.now or 0.0)
    if row.unusual >= _UNUSUAL_SPREAD:
        return 1, -row.unusual
    moves = len({value for value in row.values if value is not None}) > 1
    return (2, 0.0) if moves else (3, 0.0)
