"""Trends for people."""

from collections.abc import Iterable

from dbops.v1 import metrics_pb2
from rich.console import RenderableType
from rich.text import Text

from dbops_client.cli.tables import cell, new_table
from dbops_client.cli.values import duration, formatter

_Trend = metrics_pb2.Trend
_KINDS = {
    _Trend.EXHAUSTION: ("runs out", "red"),
    _Trend.UNUSUAL: ("unusual", "yellow"),
    _Trend.GROWTH: ("grows", ""),
}


def trend_table(trends: Iterable[_Trend]) -> RenderableType:
    """Return a table of the trends, or a line if there are none."""
    table = new_table(
        *("KIND", "TREND", "VALUE", "A DAY", "USUALLY", "HISTORY"),
        numbers=frozenset({"VALUE", "A DAY", "USUALLY", "HISTORY"}),
        fold=True,
    )
    for each in trends:
        kind, style = _KINDS.get(each.kind, (str(each.kind), ""))
        shown = formatter(each.unit, (each.value,))
        table.add_row(
            Text(kind, style=style),
            cell(each.message),
            cell(shown(each.value)),
            cell(shown(each.growth_per_day) if each.HasField("growth_per_day") else "-"),
            cell(shown(each.usual_value) if each.HasField("usual_value") else "-"),
            cell(duration(each.window.seconds)),
        )
    return table if table.row_count else Text("The history shows no trend.")
