"""The recovery windows of a database: drawn as lines over time, and as a table."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from dbops.v1 import backup_pb2
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.text import Text

from dbops_client._names import backup_id
from dbops_client.cli.backup_views import gap_table, time_of
from dbops_client.cli.tables import cell, new_table
from dbops_client.cli.terminal import plain
from dbops_client.cli.values import duration

_Window = backup_pb2.RecoveryWindow

_REACHABLE, _POINT, _MISSING = "━", "●", "╌"
_STYLES = {_REACHABLE: "green", _POINT: "bold green", _MISSING: "red"}
# A line longer than this shows no more.
_MOST_COLUMNS = 120
_LEAST_COLUMNS = 20


def windows_view(found: backup_pb2.ListRecoveryWindowsResponse) -> RenderableType:
    """Return the windows for people."""
    if not found.windows:
        nothing = Text("Nothing can be restored: there is no complete backup.", style="bold red")
        return Group(nothing, *gap_table(found.gaps), *_notes(found.notes))
    latest = max(found.windows, key=lambda window: window.end_time.ToNanoseconds())
    table = new_table(
        "TIMELINE", "FROM", "TO", "LENGTH", "FROM LSN", "TO LSN", "BACKUP", numbers=_NUMBERS
    )
    for window in found.windows:
        is_point = window.start_lsn == window.end_lsn
        table.add_row(
            cell(str(window.timeline)),
            cell(time_of(window.start_time, precise=True)),
            cell("-" if is_point else time_of(window.end_time, precise=True)),
            cell("a point" if is_point else duration(_seconds(window))),
            cell(window.start_lsn),
            cell("-" if is_point else window.end_lsn),
            cell(backup_id(window.backup)),
        )
    headline = Text.assemble(
        "Every moment up to ",
        (time_of(latest.end_time, precise=True), "bold"),
        f" ({latest.end_lsn}, timeline {latest.timeline}) that is drawn can be restored:",
    )
    drawing = _Drawing(found.windows)
    below = (*gap_table(found.gaps), *_notes(found.notes))
    return Group(headline, Text(), drawing, Text(), table, *below)


def _notes(notes: Iterable[str]) -> list[RenderableType]:
    return [line for note in notes for line in (Text(), Text(plain(note), style="yellow"))]


_NUMBERS = frozenset({"TIMELINE", "LENGTH"})


class _Drawing:
    """A line for each timeline, as wide as there is room."""

    def __init__(self, windows: Sequence[_Window]) -> None:
        self._windows = windows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the lines, and the times of both ends below."""
        yield from draw(self._windows, options.max_width)


def draw(windows: Sequence[_Window], width: int) -> list[Text]:
    """Return a line for each timeline, and the axis: what can be reached, and what is missing.

    A window that is shorter than a column is drawn as a point, so that none is left out; and what
    is missing between two windows, however short it is, where there is a column for it.
    """
    margin = max(len(str(window.timeline)) for window in windows) + 2
    columns = min(max(width - margin, _LEAST_COLUMNS), _MOST_COLUMNS)
    first = min(window.start_time.ToNanoseconds() for window in windows)
    last = max(window.end_time.ToNanoseconds() for window in windows)

    def column(time: Timestamp) -> int:
        if last == first:
            return 0
        return round((time.ToNanoseconds() - first) / (last - first) * (columns - 1))

    lines = []
    for timeline in sorted({window.timeline for window in windows}):
        on_it = [window for window in windows if window.timeline == timeline]
        cells = [" "] * columns
        starts, ends = column(on_it[0].start_time), column(on_it[-1].end_time)
        cells[starts : ends + 1] = _MISSING * (ends + 1 - starts)
        for window in on_it:
            start, end = column(window.start_time), column(window.end_time)
            cells[start : end + 1] = _REACHABLE * (end + 1 - start)
            cells[start] = _POINT
        line = Text(f"{timeline:>{margin - 2}}  ")
        for each in cells:
            line.append(each, style=_STYLES.get(each, ""))
        line.rstrip()
        lines.append(line)
    lines.append(_axis(_moment(first), _moment(last), margin, columns))
    return lines


def _axis(first: datetime, last: datetime, margin: int, columns: int) -> Text:
    pattern = "%Y-%m-%d %H:%M" if (last - first).total_seconds() > 3600 else "%H:%M:%S"
    start, end = first.strftime(pattern), last.strftime(pattern)
    return Text(f"{'':{margin}}{start}{end:>{max(columns - len(start), len(end) + 1)}}")


def _moment(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC).astimezone()


def _seconds(window: _Window) -> float:
    return (window.end_time.ToNanoseconds() - window.start_time.ToNanoseconds()) / 1e9
