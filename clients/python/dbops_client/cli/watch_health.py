"""`--watch`: the health streams of several databases on one display."""

import queue
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing
from datetime import datetime

import click
from dbops.v1 import health_pb2
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from dbops_client._channel import DEFAULT_RECONNECT_S
from dbops_client._names import database_id
from dbops_client._sync.client import DbopsClient
from dbops_client._watch import Watch
from dbops_client.cli import protobuf_json
from dbops_client.cli.session import Session
from dbops_client.cli.tables import state_name
from dbops_client.cli.terminal import can_redraw, plain

_Health = health_pb2.DatabaseHealth
_Messages = Generator[_Health, None, None]
View = Callable[[list[_Health]], RenderableType]

# Redraws per second. Ages grow between messages, so that a lost connection does not look fresh.
_REFRESH_PER_S = 2
_WAKE_S = 0.25
# The age from which a display says that it is old. By default there is a probe every second.
_SILENT_S = 5.0
_LIVE_RECONNECT_S = 3600.0
# How long a stream may take to end. Its thread does not keep the process alive after that.
_END_S = 2.0


def follow(session: Session, client: DbopsClient, healths: Sequence[_Health], view: View) -> None:
    """Show each of `healths` from now on, until a stream fails or the user ends the command.

    JSON is one line for each message. A terminal is redrawn with `view`; elsewhere each change is
    one line.
    """
    console = session.console()
    as_json = session.settings.output == "json"
    if not healths:
        if not as_json:
            console.print(view([]))
        return
    live = not as_json and can_redraw(console)
    # People see on the display that nothing comes. A program gets an exit code.
    reconnect_for_s = _LIVE_RECONNECT_S if live else DEFAULT_RECONNECT_S
    watches = [
        client.health.watch(health.name, every_probe=live, reconnect_for_s=reconnect_for_s)
        for health in healths
    ]
    with closing(_merged(watches)) as messages:
        if as_json:
            for health in messages:
                click.echo(protobuf_json.line(health))
        elif live:
            _redraw(console, messages, healths, view)
        else:
            _print_changes(console, messages)


def _print_changes(console: Console, messages: _Messages) -> None:
    shown: dict[str, tuple[int, str]] = {}
    for health in messages:
        now = (health.state, health.explanation)
        # A stream that reconnects starts with the present state, which may be known already.
        if shown.get(health.name) == now:
            continue
        shown[health.name] = now
        at = datetime.now().astimezone().isoformat(timespec="seconds")
        line = f"{at} {database_id(health.name)} {state_name(health.state)} {health.explanation}"
        console.print(Text(plain(line)), soft_wrap=True)
        console.file.flush()


def _redraw(console: Console, messages: _Messages, healths: Sequence[_Health], view: View) -> None:
    seen = {health.name: _Seen(health) for health in healths}

    def picture() -> RenderableType:
        return _picture(list(seen.values()), view)

    with Live(console=console, get_renderable=picture, refresh_per_second=_REFRESH_PER_S) as live:
        live.refresh()  # without this, rich draws first at the next tick
        for health in messages:
            seen[health.name] = _Seen(health)
            live.refresh()


def _picture(seen: "Sequence[_Seen]", view: View) -> RenderableType:
    """Return the view of the latest messages, with a note if they are old."""
    shown = view([each.now() for each in seen])
    silent_s = min(each.passed_s for each in seen)
    if silent_s < _SILENT_S:
        return shown
    note = f"No message for {silent_s:.0f} s: dbopsd is away, or probes less often. Last state:"
    return Group(Text(note, style="bold red"), shown)


class _Seen:
    """A message, and the time since it came."""

    def __init__(self, health: _Health, clock: Callable[[], float] = time.monotonic) -> None:
        self._health = health
        self._clock = clock
        self._since_s = clock()

    @property
    def passed_s(self) -> float:
        return self._clock() - self._since_s

    def now(self) -> _Health:
        aged = _Health()
        aged.CopyFrom(self._health)
        passed_ns = round(self.passed_s * 1e9)
        parts: list[_Health | health_pb2.HealthCheck] = [aged, *aged.checks]
        for part in parts:
            if part.HasField("age"):
                part.age.FromNanoseconds(part.age.ToNanoseconds() + passed_ns)
        return aged


def _merged(watches: Sequence[Watch[_Health]]) -> _Messages:
    """Yield the messages of all watches as they come; raise the first error of any of them.

    Closing the generator ends the watches and their threads.
    """
    arrived: queue.SimpleQueue[_Health | Exception] = queue.SimpleQueue()

    def drain(watch: Watch[_Health]) -> None:
        try:
            for message in watch:
                arrived.put(message)
        except Exception as error:  # noqa: BLE001  # raised again where the messages are read
            arrived.put(error)

    with ExitStack() as running:
        for watch in watches:
            thread = threading.Thread(target=drain, args=(watch,), daemon=True)
            thread.start()
            running.callback(thread.join, _END_S)
        # Last in, first out: all watches are closed before the first thread is waited for.
        for watch in watches:
            running.callback(watch.close)
        while True:
            try:
                item = arrived.get(timeout=_WAKE_S)
            except queue.Empty:
                # The kernel may hand a Ctrl-C to one of gRPC's threads. Python notices it when the
                # main thread runs, which therefore must not sleep for ever.
                continue
            if isinstance(item, Exception):
                raise item
            yield item
