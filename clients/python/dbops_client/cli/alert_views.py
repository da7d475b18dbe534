"""Alerts, silences and channels for people."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from dbops.v1 import metrics_pb2
from rich.console import Group, RenderableType
from rich.text import Text

from dbops_client._names import database_id, silence_id
from dbops_client.cli.metric_views import labels_text
from dbops_client.cli.tables import cell, new_table
from dbops_client.cli.terminal import plain
from dbops_client.cli.values import duration

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

_Alert = metrics_pb2.Alert
_Silence = metrics_pb2.Silence
_SEVERITY_STYLES: Final = {
    _Alert.INFO: "",
    _Alert.WARNING: "yellow",
    _Alert.CRITICAL: "bold red",
}


def alert_view(alerts: Sequence[_Alert]) -> RenderableType:
    """Return the alerts, each with what to do about it, or a line if there are none."""
    if not alerts:
        return Text("There are no such alerts.")
    table = new_table("STATE", "SEVERITY", "DATABASE", "ALERT", "SINCE", "WHAT")
    for alert in alerts:
        what = [cell(alert.summary)]
        if alert.state != _Alert.RESOLVED:
            what.append(Text(plain(f"→ {alert.remedy}"), style="dim"))
        if alert.silence:
            what.append(cell(f"silenced: {silence_id(alert.silence)}"))
        table.add_row(
            cell(state_name(alert)),
            Text(severity_name(alert), style=_SEVERITY_STYLES.get(alert.severity, "")),
            cell(database_id(alert.database)),
            cell(alert.rule),
            cell(_passed(_since(alert))),
            Group(*what),
        )
    return table


def alert_line(alert: _Alert, at: datetime) -> str:
    """Return an alert as a line."""
    time = at.astimezone().isoformat(timespec="seconds")
    labels = labels_text(alert.labels)
    return plain(
        f"{time} {state_name(alert)} {severity_name(alert)} {database_id(alert.database)} "
        f"{alert.rule}{f' {labels}' if labels else ''}: {alert.summary}"
    )


def silence_view(silences: Sequence[_Silence]) -> RenderableType:
    """Return a table of the silences, or a line if there are none."""
    if not silences:
        return Text("Nothing is silenced.")
    table = new_table("ID", "ALERT", "DATABASE", "LABELS", "FOR", "BY", "WHY")
    for each in silences:
        left_s = each.end_time.ToNanoseconds() / 1e9 - datetime.now(UTC).timestamp()
        table.add_row(
            cell(silence_id(each.name) or "-"),
            cell(each.rule),
            cell(database_id(each.database) or "every one"),
            cell(labels_text(each.labels) or "-"),
            cell(duration(max(left_s, 0.0))),
            cell(each.creator),
            cell(each.comment),
        )
    return table


def channel_view(response: metrics_pb2.TestAlertChannelsResponse) -> RenderableType:
    """Return how each channel answered, or a line if there are none."""
    if not response.results:
        return Text("No channel is configured: see [alerts.channels.NAME].")
    table = new_table("CHANNEL", "DELIVERED", "WHY NOT")
    for each in response.results:
        delivered = Text("yes", style="green") if each.delivered else Text("no", style="bold red")
        table.add_row(cell(each.channel), delivered, cell(each.message))
    return table


def state_name(alert: _Alert) -> str:
    """Return the name of a state, or the number of one that this version does not know."""
    known = alert.state in _Alert.State.values()
    return _Alert.State.Name(alert.state) if known else f"STATE_{alert.state}"


def severity_name(alert: _Alert) -> str:
    """Return the name of a severity, or the number of one that this version does not know."""
    known = alert.severity in _Alert.Severity.values()
    return _Alert.Severity.Name(alert.severity) if known else f"SEVERITY_{alert.severity}"


def _since(alert: _Alert) -> "Timestamp":
    if alert.HasField("resolve_time"):
        return alert.resolve_time
    return alert.fire_time if alert.HasField("fire_time") else alert.start_time


def _passed(time: "Timestamp") -> str:
    return duration(max(datetime.now(UTC).timestamp() - time.ToNanoseconds() / 1e9, 0.0))
