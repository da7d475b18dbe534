"""The wait for the end of an operation: its progress, and Ctrl-C."""

import os
import queue
import select
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing
from enum import Enum
from typing import Any, Generic, Self, TypeVar

from google.protobuf.message import Message
from rich.console import Console
from rich.text import Text

from dbops_client._errors import DbopsError, FailedPreconditionError
from dbops_client._sync.operations import Operation
from dbops_client._watch import Watch
from dbops_client.cli.error_messages import explain
from dbops_client.cli.progress_display import Display, display_on
from dbops_client.cli.session import Session
from dbops_client.cli.terminal import can_redraw, plain

_Result = TypeVar("_Result", bound=Message)

_WAKE_S = 0.25
_END_S = 2.0
# People see that dbopsd is away, and can end the command. A program gets an error after a while.
_PEOPLE_RECONNECT_S = 24 * 3600.0
_PROGRAM_RECONNECT_S = 300.0
_QUESTION = "cancel it, leave it running, or go on watching? [c/l/w] "


def await_end(
    session: Session,
    operation: Operation[_Result],
    *,
    on_change: Callable[[Operation[_Result]], None] | None = None,
) -> Operation[_Result] | None:
    """Show the progress of an operation until it ends; return it, or None if it is left running.

    Nothing goes to standard output. `on_change` is called with each state. Raises DbopsError if
    the server can no longer be reached.
    """
    if operation.done:
        if on_change is not None:
            on_change(operation)
        return operation
    notes = session.notes()
    ended = _follow(session, operation, notes, on_change)
    if ended is None:
        _note(notes, f"{operation.name} is still running. {_how_to_watch(operation)}")
    return ended


def _follow(
    session: Session,
    operation: Operation[_Result],
    notes: Console,
    on_change: Callable[[Operation[_Result]], None] | None,
) -> Operation[_Result] | None:
    """Return the operation as it ended, or None if it is to be left running."""
    reconnect_for_s = _PEOPLE_RECONNECT_S if can_redraw(notes) else _PROGRAM_RECONNECT_S
    watch = operation.watch(reconnect_for_s=reconnect_for_s)
    try:
        with closing(display_on(notes)) as display, _Events(watch) as events:
            display.show(operation)
            while True:
                event = events.next(_WAKE_S)
                display.away(watch.outage_s)
                if isinstance(event, Operation):
                    display.show(event)
                    if on_change is not None:
                        on_change(event)
                    if event.done:
                        return event
                elif event is _Interrupt.CTRL_C and (
                    not _can_ask(notes)
                    or _ask(session, operation, events, notes, display) is _Answer.LEAVE
                ):
                    return None
    except DbopsError:
        _note(notes, f"{operation.name} may still be running. {_how_to_watch(operation)}")
        raise


class _Answer(Enum):
    CANCEL = "c"
    LEAVE = "l"
    WATCH = "w"


def _ask(
    session: Session,
    operation: Operation[Any],
    events: "_Events[Any]",
    notes: Console,
    display: Display,
) -> _Answer:
    """Ask what to do with the operation, and cancel it if that is the answer."""
    display.pause()
    answer = _read_answer(events, notes, operation)
    if answer is _Answer.CANCEL:
        try:
            operation.cancel()
        except FailedPreconditionError:
            pass  # it has ended by now: the watch is about to say how
        except DbopsError as error:
            _note(notes, f"it could not be cancelled: {explain(error, session.settings)}")
    if answer is not _Answer.LEAVE:
        display.resume()
    return answer


def _read_answer(events: "_Events[Any]", notes: Console, operation: Operation[Any]) -> _Answer:
    notes.print(Text(plain(f"{operation.name}: ") + _QUESTION), end="", soft_wrap=True)
    keyboard = sys.stdin.fileno()
    while True:
        if events.interrupted():
            notes.print()
            return _Answer.LEAVE
        if events.end_is_near():
            notes.print()
            _note(notes, "it has ended in the meantime")
            return _Answer.WATCH
        # Not without a timeout: the kernel may hand a Ctrl-C to another thread, which wakes nobody
        # here.
        if not select.select([keyboard], [], [], _WAKE_S)[0]:
            continue
        line = os.read(keyboard, 1024).decode(errors="replace")
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


def _how_to_watch(operation: Operation[Any]) -> str:
    return f"To watch it run 'dbops operations watch {operation.name}'"


def _note(notes: Console, text: str) -> None:
    notes.print(Text(f"dbops: {plain(text)}"), soft_wrap=True)


class _Interrupt(Enum):
    CTRL_C = 1


class _Events(Generic[_Result]):
    """What happens during the wait, in order: states of the operation, an error, Ctrl-C.

    Ctrl-C is an event, not an exception that strikes while the display is drawn.
    """

    def __init__(self, watch: Watch[Operation[_Result]]) -> None:
        self._watch = watch
        # A signal handler may call put() of a SimpleQueue.
        self._queue: queue.SimpleQueue[Operation[_Result] | Exception | _Interrupt] = (
            queue.SimpleQueue()
        )
        self._held: list[Operation[_Result] | Exception] = []
        self._closing = ExitStack()

    def __enter__(self) -> Self:
        if (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
        ):
            before = signal.signal(signal.SIGINT, lambda *_: self._queue.put(_Interrupt.CTRL_C))
            self._closing.callback(signal.signal, signal.SIGINT, before)
        thread = threading.Thread(target=self._read_watch, daemon=True)
        thread.start()
        self._closing.callback(thread.join, _END_S)
        self._closing.callback(self._watch.close)
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def next(self, timeout_s: float) -> Operation[_Result] | _Interrupt | None:
        """Return the next event, or None after `timeout_s`; raises the error of the watch."""
        try:
            event = self._held.pop(0) if self._held else self._queue.get(timeout=timeout_s)
        except queue.Empty:
            return None
        if isinstance(event, Exception):
            raise event
        return event

    def interrupted(self) -> bool:
        """Whether Ctrl-C came. Other events are held back for `next()`."""
        while True:
            try:
                event = self._queue.get_nowait()
            except queue.Empty:
                return False
            if isinstance(event, _Interrupt):
                return True
            self._held.append(event)

    def end_is_near(self) -> bool:
        """Whether the end of the operation, or an error, is among the events held back."""
        return any(isinstance(event, Exception) or event.done for event in self._held)

    def _read_watch(self) -> None:
        try:
            for operation in self._watch:
                self._queue.put(operation)
        except Exception as error:  # noqa: BLE001  # raised again where the events are read
            self._queue.put(error)
