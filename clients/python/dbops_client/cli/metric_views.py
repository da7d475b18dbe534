"""Metrics for people."""

from collections.abc import Iterable, Mapping

from dbops.v1 import metrics_pb2
from rich.console import Group, RenderableType
from rich.text import Text

from dbops_client.cli.tables import cell, new_table
from dbops_client.cli.values import formatter

_Status = metrics_pb2.CollectorStatus
_STYLES = {_Status.OK: "green", _Status.PARTIAL: "yellow", _Status.FAILED: "bold red"}


def descriptor_table(descriptors: Iterable[metrics_pb2.MetricDescriptor]) -> RenderableType:
    """Return a table of the metrics, or a line if there are none."""
    table = new_table("METRIC", "TYPE", "UNIT", "COLLECTOR", "STATE", "MEANING")
    for each in descriptors:
        table.add_row(
            cell(each.metric),
            cell(type_name(each.type)),
            cell(each.unit),
            cell(each.collector),
            _state(each.state),
            cell(f"{each.help} {each.message}".strip()),
        )
    return table if table.row_count else Text("There are no such metrics.")


def snapshot_view(snapshot: metrics_pb2.Snapshot) -> RenderableType:
    """Return the samples, and the collectors that have none."""
    table = new_table("METRIC", "LABELS", "VALUE", numbers=frozenset({"VALUE"}), fold=True)
    for sample in snapshot.samples:
        table.add_row(
            cell(sample.metric), cell(labels_text(sample.labels)), cell(value_text(sample))
        )
    parts: list[RenderableType] = [table if table.row_count else Text("There are no such samples.")]
    troubled = [each for each in snapshot.collectors if each.state not in _QUIET]
    if troubled:
        parts += [Text(), collector_table(troubled)]
    return Group(*parts)


def collector_table(collectors: Iterable[metrics_pb2.CollectorStatus]) -> RenderableType:
    """Return a table of collectors, with why they have no fresh samples."""
    table = new_table("COLLECTOR", "STATE", "WHY")
    for each in collectors:
        reason = f"{each.reason}: " if each.reason else ""
        table.add_row(cell(each.name), _state(each.state), cell(f"{reason}{each.message}"))
    return table


def labels_text(labels: Mapping[str, str]) -> str:
    """Return labels as people write them: `datname=app relname=users`."""
    return " ".join(f"{name}={value}" for name, value in sorted(labels.items()))


def value_text(sample: metrics_pb2.Sample) -> str:
    """Return a value in its unit."""
    return formatter(sample.unit, (sample.value,))(sample.value)


def type_name(type_: "metrics_pb2.MetricType.ValueType") -> str:
    """Return `gauge` or `counter`, or the number of a type that only a newer server knows."""
    known = metrics_pb2.MetricType
    return known.Name(type_).lower() if type_ in known.values() else f"type_{type_}"


# Not every server is a standby or has every extension: that is no trouble.
_QUIET = frozenset({_Status.OK, _Status.NOT_APPLICABLE})


def _state(state: "_Status.State.ValueType") -> Text:
    known = state in _Status.State.values()
    return Text(_Status.State.Name(state) if known else f"STATE_{state}", _STYLES.get(state, ""))
