"""`dbops metrics`: how the databases do, now and in the past."""

import csv
import sys
from datetime import datetime

import click
from dbops.v1 import metrics_pb2
from rich.console import Console, Group, RenderableType
from rich.text import Text

from dbops_client.cli import watch_metrics
from dbops_client.cli.chart import Value, chart
from dbops_client.cli.metric_options import Moment, Span, label_option, metric_option
from dbops_client.cli.metric_views import descriptor_table, labels_text, snapshot_view
from dbops_client.cli.options import global_options
from dbops_client.cli.session import ExitCode, Session
from dbops_client.cli.terminal import can_redraw, plain
from dbops_client.cli.trend_views import trend_table
from dbops_client.cli.values import formatter

_HEIGHT = 10
# More series than that are no picture any more.
_MOST_CHARTS = 20

_EXAMPLES = """\b
Examples:
  dbops metrics list main
  dbops metrics get main --metric 'pg_stat_database_*' --label datname=app
  dbops metrics watch main --interval 2
  dbops metrics history main pg_database_size_bytes --since 7d
  dbops metrics trends main
"""


@click.group(epilog=_EXAMPLES)
@global_options
def metrics() -> None:
    """Show how the databases do, now and in the past."""


@metrics.command("list")
@click.argument("database")
@global_options
@click.pass_obj
def list_metrics(session: Session, database: str) -> ExitCode:
    """List the metrics: what each means, and whether DATABASE has it.

    --output json prints a ListMetricDescriptors response that holds all pages.
    """
    with session.client() as client:
        listed = list(client.metrics.list(database, page_size=1000))
    response = metrics_pb2.ListMetricDescriptorsResponse(descriptors=listed)
    session.print(response, lambda: descriptor_table(listed), defaults=True)
    return ExitCode.DONE


@metrics.command("get")
@click.argument("database")
@metric_option
@label_option("samples")
@global_options
@click.pass_obj
def get(
    session: Session,
    database: str,
    metrics: tuple[str, ...],
    labels: tuple[tuple[str, str], ...],
) -> ExitCode:
    """Show the newest samples of DATABASE.

    Collectors that have no fresh samples are named with the reason. --output json
    prints the snapshot.
    """
    with session.client() as client:
        snapshot = client.metrics.get(database, metrics=metrics, labels=dict(labels))
    session.print(snapshot, lambda: snapshot_view(snapshot), defaults=True)
    return ExitCode.DONE


@metrics.command("trends")
@click.argument("database")
@global_options
@click.pass_obj
def list_trends(session: Session, database: str) -> ExitCode:
    """Show what the history of DATABASE says about days to come, and about the last hour.

    What runs out and when, what grows, and what is unlike the same hour of past days. A
    trend needs two days of history, and what is unusual seven. --output json prints a
    ListTrends response that holds all pages.
    """
    with session.client() as client:
        listed = list(client.metrics.trends(database, page_size=1000))
    response = metrics_pb2.ListTrendsResponse(trends=listed)
    session.print(response, lambda: trend_table(listed))
    return ExitCode.DONE


@metrics.command("watch")
@click.argument("database")
@metric_option
@label_option("samples")
@click.option(
    "--interval",
    "interval_s",
    type=Span(),
    metavar="S",
    help="The time between two snapshots, 1 s to 1 h.  [default: 10s]",
)
@global_options
@click.pass_obj
def watch(
    session: Session,
    database: str,
    metrics: tuple[str, ...],
    labels: tuple[tuple[str, str], ...],
    interval_s: float | None,
) -> ExitCode:
    """Show the samples of DATABASE as they come, until Ctrl-C.

    A terminal is redrawn, the worst first: alerts, collectors that fail, what is near
    its limit, what is unusual, then the rest, with a sparkline for each. Elsewhere each
    change is a line. --output json prints one snapshot a line.
    """
    with session.client() as client:
        watch_metrics.follow(session, client, database, metrics, dict(labels), interval_s)
    return ExitCode.DONE


@metrics.command("history")
@click.argument("database")
@click.argument("metric")
@label_option("series")
@click.option(
    "--since",
    type=Moment(),
    default="24h",
    show_default=True,
    help="From when on: how long ago, or a time.",
)
@click.option("--until", type=Moment(), help="Until when.  [default: now]")
@click.option(
    "--step", "step_s", type=Span(), help="The time between two points.  [default: 300 points]"
)
@click.option(
    "--aggregate",
    "aggregation",
    type=click.Choice(
        ["last", "mean", "min", "max", "rate", "increase", "quantile"], case_sensitive=False
    ),
    help="How samples become a point.  [default: the mean of a gauge, the rate of a counter]",
)
@click.option(
    "--quantile",
    type=click.FloatRange(0, 1),
    help="Which one, with --aggregate quantile.  [default: 0.95]",
)
@global_options
@click.pass_obj
def history(
    session: Session,
    database: str,
    metric: str,
    labels: tuple[tuple[str, str], ...],
    since: datetime,
    until: datetime | None,
    step_s: float | None,
    aggregation: str | None,
    quantile: float | None,
) -> ExitCode:
    """Show the history of METRIC on DATABASE.

    A terminal gets a chart for each series, a file or pipe CSV with the columns time,
    labels and value. --output json prints the QueryHistory response.
    """
    if quantile is not None and aggregation != "quantile":
        raise click.UsageError("--quantile needs --aggregate quantile.")
    with session.client() as client:
        found = client.metrics.history(
            database,
            metric,
            labels=dict(labels),
            start=since,
            end=until,
            step_s=step_s,
            aggregation=aggregation or "",
            quantile=0.95 if quantile is None and aggregation == "quantile" else quantile or 0.0,
        )
    console = session.console()
    if session.settings.output == "json" or can_redraw(console):
        session.print(found, lambda: _charts(found, console), defaults=True)
    else:
        _write_csv(found)
    if found.left_out_count:
        note = f"{found.left_out_count} more series were left out: narrow them by --label."
        session.notes().print(note)
    return ExitCode.DONE


def _write_csv(found: metrics_pb2.QueryHistoryResponse) -> None:
    rows = csv.writer(sys.stdout, lineterminator="\n")
    rows.writerow(["time", "labels", "value"])
    for series in found.series:
        labels = labels_text(series.labels)
        for point in series.points:
            rows.writerow([point.time.ToJsonString(), labels, repr(point.value)])


def _charts(found: metrics_pb2.QueryHistoryResponse, console: Console) -> RenderableType:
    if not found.series:
        return Text("The history has no such samples.")
    parts: list[RenderableType] = []
    for series in found.series[:_MOST_CHARTS]:
        times = [point.time.ToDatetime().astimezone() for point in series.points]
        values: list[Value] = [point.value for point in series.points]
        write = formatter(found.unit, [point.value for point in series.points])
        parts.append(Text(plain(f"{found.metric} {labels_text(series.labels)}"), style="bold"))
        lines = chart(values, times, width=console.width, height=_HEIGHT, write=write)
        parts += [Text(line) for line in lines]
    more = len(found.series) - _MOST_CHARTS
    if more > 0:
        parts.append(Text(f"{more} more series: narrow them by --label."))
    return Group(*parts)
