"""Snapshots as Prometheus's text format 0.0.4 and as OpenMetrics 1.0.

Written here and not by prometheus_client, which appends `_total` to the names of counters: the
dashboards of postgres_exporter ask for its names as they are.

A metric belongs to one collector, so the text of a collector is made once and kept with its
samples, and a scrape joins texts that are there already.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final
from weakref import WeakKeyDictionary

from dbopsd.metrics.model import Collection, Metric, MetricType, Sample, Snapshot

_ESCAPES: Final = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_HELP_ESCAPES: Final = str.maketrans({"\\": r"\\", "\n": r"\n"})


class Format(Enum):
    """A text format; the value is its `Content-Type`."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


@dataclass(frozen=True, slots=True)
class _Block:
    """The lines of one metric: its head, and its samples."""

    head: str
    lines: str


class Exposition:
    """Writes snapshots in one format. With `server_label`, each sample says its database by it.

    Several databases can only be told apart by that label, and one alone needs none: the
    dashboards and rules of postgres_exporter do not know it. Without `detailed`, the samples of
    single tables, indexes and statements are left out.
    """

    def __init__(self, format_: Format, *, server_label: bool, detailed: bool = True) -> None:
        self._openmetrics = format_ is Format.OPENMETRICS
        self._server_label = server_label
        self._detailed = detailed
        self._blocks: WeakKeyDictionary[Collection, dict[str, _Block]] = WeakKeyDictionary()

    def prepare(self, snapshot: Snapshot) -> None:
        """Make the texts of a snapshot's collectors that `write` would make."""
        for collection in snapshot.collections.values():
            self._of(snapshot.database, collection)

    def write(self, snapshots: Iterable[Snapshot]) -> str:
        """The text. Samples of one metric stand together, whatever database they are of."""
        heads: dict[str, str] = {}
        lines: dict[str, list[str]] = {}
        for snapshot in snapshots:
            for collection in snapshot.collections.values():
                for name, block in self._of(snapshot.database, collection).items():
                    heads.setdefault(name, block.head)
                    lines.setdefault(name, []).append(block.lines)
        parts = [heads[name] + "".join(texts) for name, texts in lines.items()]
        return "".join(parts) + ("# EOF\n" if self._openmetrics else "")

    def _of(self, database: str, collection: Collection) -> dict[str, _Block]:
        blocks = self._blocks.get(collection)
        if blocks is None:
            blocks = self._blocks[collection] = {
                metric.name: _Block(self._head(metric), self._lines(database, metric, samples))
                for metric, samples in collection.by_metric.items()
                if self._detailed or not metric.is_detail
            }
        return blocks

    def _head(self, metric: Metric) -> str:
        name, kind = metric.name, metric.type.value
        if self._openmetrics and metric.type is MetricType.COUNTER:
            # There, a counter's samples end in `_total`, and its family does not.
            if name.endswith("_total"):
                name = name.removesuffix("_total")
            else:
                kind = "unknown"
        help_text = metric.help.translate(_ESCAPES if self._openmetrics else _HELP_ESCAPES)
        if self._openmetrics:
            return f"# TYPE {name} {kind}\n# HELP {name} {help_text}\n"
        return f"# HELP {name} {help_text}\n# TYPE {name} {kind}\n"

    def _lines(self, database: str, metric: Metric, samples: Iterable[Sample]) -> str:
        own = (("server", database),) if self._server_label else ()
        lines = []
        for sample in samples:
            labels = ",".join(
                f'{name}="{value.translate(_ESCAPES)}"'
                for name, value in (*own, *zip(metric.labels, sample.series.labels, strict=True))
            )
            shown = f"{{{labels}}}" if labels else ""
            lines.append(f"{metric.name}{shown} {_number(sample.value)}\n")
        return "".join(lines)


def _number(value: float) -> str:
    # `repr` of a float reads back as the same one; whole numbers are shorter without ".0".
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
