"""An operation is awaited: progress, Ctrl-C, and how it ended.

Every command that starts an operation hands it to `await_operation`.
"""

import os
import queue
import select
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing
from enum import Enum
from typing import Any, Self, TypeVar

import click
from rich.console import Console, RenderableType
from rich.text import Text

from dbops_client._errors import DbopsError, FailedPreconditionError
from dbops_client._operation import Operation
from dbops_client._sync import DbopsClient
from dbops_client._watch import Watch
from dbops_client.cli import json_lines
from dbops_client.cli.error_messages import explain
from dbops_client.cli.operation_views import operation_view
from dbops_client.cli.progress_display import Display, display_on
from dbops_client.cli.session import ExitCode, Session
from dbops_client.cli.terminal import can_redraw, complain, plain

_Command = TypeVar("_Command", bound=Callable[..., Any])

_WAKE_S = 0.25
_END_S = 2.0
# People see that dbopsd is away and can end it; a program is told after a while.
_PEOPLE_RECONNECT_S = 24 * 3600.0
_PROGRAM_RECONNECT_S = 300.0
_QUESTION = "cancel it, leave it running, or go on watching? [c/l/w] "

AWAITING_HELP = """\b
Progress is shown on standard error. Ctrl-C on a terminal asks whether to
cancel the operation or leave it running; elsewhere it is left running.
Exit codes:
  0  it succeeded (with --no-wait: it was accepted)
  1  it failed or was cancelled
  3  refused, dbopsd cannot be reached, or it was left running
"""


def no_wait_option(command: _Command) -> _Command:
    """Add `--no-wait` to a command that starts an operation."""
    return click.option(
        "--no-wait",
        is_flag=True,
        help="Print the operation's name and do not wait for its end.",
    )(command)


def await_operation(
    session: Session,
    client: DbopsClient,
    operation: Operation,
    *,
    no_wait: bool = False,
    view: Callable[[Operation], RenderableType] = operation_view,
    on_change: Callable[[Operation], None] | None = None,
) -> ExitCode:
    """Show how far `operation` is until it has ended, print how, and return the exit code for it.

    Standard output gets `view` of an operation that succeeded, or with `--output json` the
    operation, however it ended; with `on_change`, which is called with each state, it gets that
    function's output only. Raises DbopsError when the server can no longer be asked.
    """
    if no_wait:
        return tell_name(session, operation)
    ended = await_end(session, client, operation, on_change=on_change)
    if ended is None:
        return ExitCode.REFUSED
    return _conclude(session, ended, None if on_change is not None else view)


def tell_name(session: Session, operation: Operation) -> ExitCode:
    """Print the name of an operation that is not waited for, or with `--output json` all of it."""
    as_json = session.settings.output == "json"
    click.echo(json_lines.one(operation.message) if as_json else plain(operation.name))
    return ExitCode.DONE


def await_end(
    session: Session,
    client: DbopsClient,
    operation: Operation,
    *,
    on_change: Callable[[Operation], None] | None = None,
) -> Operation | None:
    """Show how far `operation` is, and return it as it ended; None if it was left running.

    Standard output gets nothing. `on_change` is called with each state. Raises DbopsError when the
    server can no longer be asked.
    """
    if operation.done:
        if on_change is not None:
            on_change(operation)
        return operation
    notes = session.notes()
    ended = _followed(session, client, operation, notes, on_change)
    if ended is None:
        _note(notes, f"{operation.name} goes on. {_how_to_watch(operation)}")
    return ended


def tell_failure(ended: Operation, error: DbopsError) -> ExitCode:
    """Say on standard error how an operation failed; return the exit code for that."""
    # dbopsd's own words for how it ended the operation name it already.
    what = str(error) if error.message.startswith(ended.name) else f"{ended.name} failed: {error}"
    complain(f"dbops: {what}. 'dbops operations get {ended.name}' shows all of it")
    return ExitCode.FAILED


def _followed(
    session: Session,
    client: DbopsClient,
    operation: Operation,
    notes: Console,
    on_change: Callable[[Operation], None] | None,
) -> Operation | None:
    """Return the operation as it ended, or None if it is to be left running."""
    patience_s = _PEOPLE_RECONNECT_S if can_redraw(notes) else _PROGRAM_RECONNECT_S
    watch = client.watch_operation(operation.name, reconnect_for_s=patience_s)
    try:
        with closing(display_on(notes)) as display, _Arrivals(watch) as arrivals:
            display.show(operation)
            while True:
                arrived = arrivals.next(_WAKE_S)
                display.away(watch.outage_s)
                if isinstance(arrived, Operation):
                    display.show(arrived)
                    if on_change is not None:
                        on_change(arrived)
                    if arrived.done:
                        return arrived
                elif arrived is _Interrupt.CTRL_C:
                    if not _can_ask(notes):
                        return None
                    if (
                        _asked(session, client, operation, arrivals, notes, display)
                        is _Answer.LEAVE
                    ):
                        return None
    except DbopsError:
        _note(notes, f"{operation.name} may go on. {_how_to_watch(operation)}")
        raise


def _conclude(
    session: Session, ended: Operation, view: Callable[[Operation], RenderableType] | None
) -> ExitCode:
    error = ended.error
    if view is not None:
        if session.settings.output == "json":
            click.echo(json_lines.one(ended.message))
        elif error is None:
            session.console().print(view(ended))
    if error is None:
        return ExitCode.DONE
    return tell_failure(ended, error)


class _Answer(Enum):
    CANCEL = "c"
    LEAVE = "l"
    WATCH = "w"


def _asked(
    session: Session,
    client: DbopsClient,
    operation: Operation,
    arrivals: "_Arrivals",
    notes: Console,
    display: Display,
) -> _Answer:
    """Ask what shall become of the operation, and have it cancelled if it shall be."""
    display.pause()
    answer = _read_answer(arrivals, notes, operation)
    if answer is _Answer.CANCEL:
        try:
            client.cancel_operation(operation.name)
        except FailedPreconditionError:
            pass  # it has ended meanwhile: the watch is about to say how
        except DbopsError as error:
            _note(notes, f"it could not be cancelled: {explain(error, session.settings)}")
    if answer is not _Answer.LEAVE:
        display.resume()
    return answer


def _read_answer(arrivals: "_Arrivals", notes: Console, operation: Operation) -> _Answer:
    notes.print(Text(plain(f"{operation.name}: ") + _QUESTION), end="", soft_wrap=True)
    typed = sys.stdin.fileno()
    while True:
        if arrivals.interrupted():
            notes.print()
            return _Answer.LEAVE
        if arrivals.has_ended():
            notes.print()
            _note(notes, "it has ended meanwhile")
            return _Answer.WATCH
        # In pieces: a Ctrl-C that the kernel handed to another thread wakes nobody here.
        if not select.select([typed], [], [], _WAKE_S)[0]:
            continue
        line = os.read(typed, 1024).decode(errors="replace")
        if not line:  # the terminal is gone, or Ctrl-D
            notes.print()
            return _Answer.LEAVE
        choice = line.strip().lower()
        for answer in _Answer:
            if choice and answer.name.lower().startswith(choice):
                return answer
        notes.print(Text(_QUESTION), end="", soft_wrap=True)


def _can_ask(notes: Console) -> bool:
    return sys.stdin is not None and sys.stdin.isatty() and can_redraw(notes)


def _how_to_watch(operation: Operation) -> str:
    return f"'dbops operations watch {operation.name}' shows it"


def _note(notes: Console, text: str) -> None:
    notes.print(Text(f"dbops: {plain(text)}"), soft_wrap=True)


class _Interrupt(Enum):
    CTRL_C = 1


class _Arrivals:
    """What happens while an operation is awaited, in order: its states, an error, Ctrl-C.

    Ctrl-C is one of them, not an exception that strikes wherever the display happens to be drawn.
    """

    def __init__(self, watch: Watch[Operation]) -> None:
        self._watch = watch
        # put() of a SimpleQueue may be called by a signal handler.
        self._queue: queue.SimpleQueue[Operation | Exception | _Interrupt] = queue.SimpleQueue()
        self._held: list[Operation | Exception] = []
        self._closing = ExitStack()

    def __enter__(self) -> Self:
        if (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
        ):
            before = signal.signal(signal.SIGINT, lambda *_: self._queue.put(_Interrupt.CTRL_C))
            self._closing.callback(signal.signal, signal.SIGINT, before)
        thread = threading.Thread(target=self._drain, daemon=True)
        thread.start()
        self._closing.callback(thread.join, _END_S)
        self._closing.callback(self._watch.close)
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def next(self, timeout_s: float) -> Operation | _Interrupt | None:
        """Return what comes next, or None after `timeout_s`; raises the watch's error."""
        try:
            arrived = self._held.pop(0) if self._held else self._queue.get(timeout=timeout_s)
        except queue.Empty:
            return None
        if isinstance(arrived, Exception):
            raise arrived
        return arrived

    def interrupted(self) -> bool:
        """Whether Ctrl-C came again. What else comes is held back for `next()`."""
        while True:
            try:
                arrived = self._queue.get_nowait()
            except queue.Empty:
                return False
            if isinstance(arrived, _Interrupt):
                return True
            self._held.append(arrived)

    def has_ended(self) -> bool:
        """Whether `next()` is about to tell the end, or an error."""
        return any(isinstance(each, Exception) or each.done for each in self._held)

    def _drain(self) -> None:
        try:
            for operation in self._watch:
                self._queue.put(operation)
        except Exception as error:  # noqa: BLE001  # raised again where the arrivals are read
            self._queue.put(error)
