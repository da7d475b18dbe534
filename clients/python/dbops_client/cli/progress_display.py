"""The progress of an operation on standard error: a bar on a terminal, lines elsewhere."""

import re
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Column
from rich.text import Text

from dbops_client._names import database_id
from dbops_client._sync.operations import Operation
from dbops_client.cli.operation_views import attempt, progress, state_name
from dbops_client.cli.terminal import can_redraw, plain
from dbops_client.cli.values import duration

# How long dbopsd may be away before that is shown: a restart takes less.
SILENT_S = 5.0
# How often a long stage writes a line to a file.
LINE_EVERY_S = 30.0
_REFRESH_PER_S = 5
_NUMBER = re.compile(r"[0-9.]+")


class Display(Protocol):
    """Shows states until `close()`. `pause()` makes room for a question."""

    def show(self, operation: Operation[Any]) -> None:
        """Show a state."""

    def away(self, outage_s: float) -> None:
        """Show how long the connection has been lost; 0 if it is not."""

    def pause(self) -> None:
        """Clear it, until `resume()`."""

    def resume(self) -> None:
        """Show it again after `pause()`."""

    def close(self) -> None:
        """Clear it for good."""


def display_on(console: Console) -> Display:
    """Return the display for this kind of console."""
    return Bar(console) if can_redraw(console) else Lines(console)


class Bar:
    """A progress bar that is removed at the end, so that only the result stays."""

    def __init__(self, console: Console) -> None:
        ellipsis = Column(no_wrap=True, overflow="ellipsis")
        self._progress = Progress(
            SpinnerColumn(),
            # Not markup: a stage may have a "[" in it.
            TextColumn("{task.fields[doing]}", markup=False, table_column=ellipsis),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[amount]}", markup=False, table_column=ellipsis),
            console=console,
            refresh_per_second=_REFRESH_PER_S,
            transient=True,
            # What the command prints in the meantime are notes, on this same console.
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._progress.add_task("", total=None, doing="", amount="")
        self._amount = ""
        self._progress.start()

    def show(self, operation: Operation[Any]) -> None:
        metadata = operation.metadata
        self._amount = ", ".join(part for part in (progress(metadata), attempt(metadata)) if part)
        known = metadata.HasField("progress") and metadata.progress.total > 0
        self._progress.update(
            self._task,
            doing=_doing(operation),
            amount=plain(self._amount),
            completed=metadata.progress.done if known else 0,
        )
        # update() ignores a total of None.
        self._progress.tasks[0].total = metadata.progress.total if known else None

    def away(self, outage_s: float) -> None:
        amount = _away(outage_s) if outage_s >= SILENT_S else self._amount
        self._progress.update(self._task, amount=plain(amount))

    def pause(self) -> None:
        self._progress.stop()

    def resume(self) -> None:
        self._progress.start()

    def close(self) -> None:
        self._progress.stop()


class Lines:
    """One line for each change of the stage, for a file or a pipe.

    How far a stage is makes a line every half minute: what is done of it, and new numbers behind
    its first comma.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._stage = self._shown = ""
        self._shown_s = 0.0
        self._is_away = False

    def show(self, operation: Operation[Any]) -> None:
        metadata = operation.metadata
        doing, amount, note = _doing(operation), progress(metadata), attempt(metadata)
        line = ", ".join(part for part in (doing, amount, note) if part)
        if line == self._shown:
            return
        stage = _without_numbers(doing) + note
        if stage == self._stage and self._clock() - self._shown_s < LINE_EVERY_S:
            return
        self._stage, self._shown, self._shown_s = stage, line, self._clock()
        self._print(line)

    def away(self, outage_s: float) -> None:
        if outage_s >= SILENT_S and not self._is_away:
            self._is_away = True
            self._print(_away(outage_s))
        elif outage_s == 0 and self._is_away:
            self._is_away = False
            self._print("reconnected")

    def pause(self) -> None:
        pass

    def resume(self) -> None:
        pass

    def close(self) -> None:
        pass

    def _print(self, line: str) -> None:
        at = datetime.now().astimezone().isoformat(timespec="seconds")
        self._console.print(Text(plain(f"{at} {line}")), soft_wrap=True)


def _doing(operation: Operation[Any]) -> str:
    metadata = operation.metadata
    what = " ".join(part for part in (metadata.kind, database_id(metadata.database)) if part)
    running = metadata.stage if metadata.state == metadata.RUNNING else ""
    return plain(f"{what or operation.name}: {running or state_name(metadata.state).lower()}")


def _without_numbers(line: str) -> str:
    """Return the line without the numbers behind its first comma."""
    stage, _, rest = line.partition(",")
    return f"{stage},{_NUMBER.sub('', rest)}"


def _away(outage_s: float) -> str:
    return f"dbopsd has been away for {duration(round(outage_s))}; reconnecting"
