"""`dbops metrics watch`: the stream of snapshots on a display, or as lines."""

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Final

import click
from dbops.v1 import metrics_pb2
from rich.console import Console
from rich.live import Live
from rich.text import Text

from dbops_client._channel import DEFAULT_RECONNECT_S
from dbops_client._errors import DbopsError
from dbops_client._sync.client import DbopsClient
from dbops_client._watch import Watch
from dbops_client.cli import protobuf_json
from dbops_client.cli.metric_board import Board
from dbops_client.cli.metric_views import labels_text
from dbops_client.cli.session import Session
from dbops_client.cli.terminal import can_redraw, plain

_REFRESH_PER_S: Final = 2
_LIVE_RECONNECT_S: Final = 3600.0
_DEFAULT_INTERVAL_S: Final = 10.0
# How long a stream may take to end. Its thread does not keep the process alive after that.
_END_S: Final = 2.0

_Watch = Watch[metrics_pb2.WatchSnapshotsResponse]
_Status = metrics_pb2.CollectorStatus


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
        # People see on the display that nothing comes. A program gets an exit code.
        reconnect_for_s=_LIVE_RECONNECT_S if live else DEFAULT_RECONNECT_S,
    )
    with closing(watch):
        if as_json:
            for response in watch:
                click.echo(protobuf_json.line_with_defaults(response.snapshot))
        elif live:
            board = Board(database, interval_s=interval_s or _DEFAULT_INTERVAL_S)
            with _alerts_on(board, client, database):
                _redraw(console, watch, board)
        else:
            lines = Lines()
            for response in watch:
                for line in lines.of(response):
                    console.print(Text(line), soft_wrap=True)
                console.file.flush()


class Lines:
    """What changed, a line each: samples, those that are gone, and how collectors do."""

    def __init__(self) -> None:
        self._values: dict[str, float] = {}
        self._states: dict[str, str] = {}

    def of(self, response: metrics_pb2.WatchSnapshotsResponse) -> Iterator[str]:
        """Return the lines of a message. The whole that follows a reconnection may say no more."""
        snapshot = response.snapshot
        if response.missed_count:
            yield f"{snapshot.sample_time.ToJsonString()} missed {response.missed_count} messages"
        for each in snapshot.collectors:
            state = _Status.State.Name(each.state) if each.state in _Status.State.values() else ""
            now = plain(f"{state} {each.reason} {each.message if each.reason else ''}")
            before = self._states.get(each.name, "OK")
            self._states[each.name] = now
            if now != before and each.state in (_Status.FAILED, _Status.PARTIAL, _Status.OK):
                yield f"{snapshot.sample_time.ToJsonString()} collector {plain(each.name)} {now}"
        for sample in response.gone:
            if self._values.pop(_name(sample), None) is not None:
                yield f"{snapshot.sample_time.ToJsonString()} {_name(sample)} gone"
        for sample in snapshot.samples:
            name = _name(sample)
            if self._values.get(name) != sample.value:
                self._values[name] = sample.value
                yield f"{sample.sample_time.ToJsonString()} {name} {sample.value:.15g}"


def _name(sample: metrics_pb2.Sample) -> str:
    return plain(f"{sample.metric} {labels_text(sample.labels)}")


def _redraw(console: Console, watch: _Watch, board: Board) -> None:
    with Live(
        console=console,
        get_renderable=lambda: board.view(console.width, console.height),
        refresh_per_second=_REFRESH_PER_S,
        vertical_overflow="crop",
    ) as live:
        for response in watch:
            board.add(response.snapshot)
            live.refresh()


@contextlib.contextmanager
def _alerts_on(board: Board, client: DbopsClient, database: str) -> Iterator[None]:
    """Show the database's alerts on the board, as long as they can be had."""
    watch = client.alerts.watch(database, reconnect_for_s=_LIVE_RECONNECT_S)

    def drain() -> None:
        # Without them the display shows what else there is: alerts may be off.
        with contextlib.suppress(DbopsError):
            for response in watch:
                if not response.caught_up:
                    board.set_alert(response.alert)

    thread = threading.Thread(target=drain, daemon=True)
    thread.start()
    try:
        yield
    finally:
        watch.close()
        thread.join(_END_S)
