"""Statements of a server for people."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dbops.v1 import metrics_pb2
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.text import Text

from dbops_client.cli.tables import cell, new_table
from dbops_client.cli.terminal import plain
from dbops_client.cli.values import count, duration, percent

if TYPE_CHECKING:
    from google.protobuf.duration_pb2 import Duration

_Figures = metrics_pb2.Statement.Figures
_NUMBERS = frozenset({"CALLS", "TOTAL", "MEAN", "ROWS", "IO", "TEMP", "CHANGE"})
# With this many columns there is room for bars and details beside the texts.
_WIDE = 120
_BAR_CELLS = 10
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def statement_table(found: metrics_pb2.ListStatementsResponse, order: str) -> RenderableType:
    """Return a table of statements, each on one line, and what the list does not say below it."""
    body: RenderableType = (
        _Statements(found, order) if found.statements else Text("There are no such statements.")
    )
    return Group(_headline(found), body, *_lines("not known", found.not_known))


def plan_view(found: metrics_pb2.ExplainStatementResponse) -> RenderableType:
    """Return a statement and its plan."""
    planned = f"planned as {found.role} with search_path {found.search_path}, not run"
    return Group(
        *(Text(plain(line) or " ") for line in found.text.strip().splitlines()),
        Text(),
        # The indentation is the tree of the plan.
        *(Text(_indented(line)) for line in found.plan.splitlines()),
        Text(),
        Text(plain(planned), style="dim"),
    )


class _Statements:
    """The table of statements, with the columns that leave room for their texts."""

    def __init__(self, found: metrics_pb2.ListStatementsResponse, order: str) -> None:
        self._found = found
        self._order = order

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render as many columns as there is room for."""
        yield _table(self._found, self._order, width=options.max_width)


def _table(found: metrics_pb2.ListStatementsResponse, order: str, *, width: int) -> RenderableType:
    wide = width >= _WIDE
    compared = any(each.HasField("earlier_figures") for each in found.statements)
    changes = ("CHANGE",) if compared else ()
    details = ("ROWS", "IO", "TEMP", "ROLE", "DATABASE") if wide else ()
    table = new_table(
        *("QUERY ID", "CALLS", "TOTAL", "SHARE", "MEAN", *changes, *details), numbers=_NUMBERS
    )
    # A text is shortened to the room that is left: `statements explain` and JSON have all of it.
    table.add_column("STATEMENT", ratio=1, no_wrap=True, overflow="ellipsis")
    table.width = width
    for each in found.statements:
        figures = each.figures
        more = (
            count(figures.rows),
            count(figures.blocks_read + figures.blocks_written),
            count(figures.temp_blocks),
            each.role,
            each.postgres_database,
        )
        table.add_row(
            cell(each.query_id or "hidden"),
            cell(count(figures.calls)),
            cell(_time(figures.total_duration)),
            _share(each.total_time_ratio, wide=wide),
            cell(_time(figures.mean_duration) if figures.HasField("mean_duration") else "-"),
            *([_change(each, order)] if compared else []),
            *(map(cell, more) if wide else ()),
            cell(each.text or "-"),
        )
    return table


def _headline(found: metrics_pb2.ListStatementsResponse) -> Text:
    if found.HasField("window"):
        return Text(f"the last {_time(found.window)}, from the history of the daemon", style="dim")
    if found.HasField("reset_time"):
        since = found.reset_time.ToDatetime().isoformat(sep=" ", timespec="seconds")
        return Text(f"since the statistics were reset at {since} UTC", style="dim")
    return Text("since the statistics were reset", style="dim")


def _lines(head: str, notes: Iterable[str]) -> Iterable[Text]:
    return (Text(plain(f"{head}: {note}"), style="dim") for note in notes)


def _share(ratio: float, *, wide: bool) -> Text:
    if not wide:
        return Text(percent(ratio))
    whole, part = divmod(round(ratio * _BAR_CELLS * 8), 8)
    bar = ("█" * whole + (_EIGHTHS[part] if part else "")).ljust(_BAR_CELLS)
    return Text.assemble((bar, "cyan"), f" {percent(ratio):>7}")


def _change(statement: metrics_pb2.Statement, order: str) -> Text:
    now = _rank(statement.figures, order)
    before = _rank(statement.earlier_figures, order)
    if not before:
        return Text("new" if now else "-", style="yellow" if now else "")
    change = now / before - 1
    return Text(f"{change * 100:+.0f} %", style="red" if change >= 1 else "")


def _rank(figures: _Figures, order: str) -> float:
    match order:
        case "mean":
            return figures.mean_duration.ToNanoseconds() / 1e9
        case "calls":
            return figures.calls
        case "io":
            return figures.blocks_read + figures.blocks_written
        case "temp":
            return figures.temp_blocks
        case _:
            return figures.total_duration.ToNanoseconds() / 1e9


def _time(time: "Duration") -> str:
    return duration(time.ToNanoseconds() / 1e9)


def _indented(line: str) -> str:
    return " " * (len(line) - len(line.lstrip(" "))) + plain(line)
