"""Every metric that there may be: what it means, and which collector gives it."""

from collections.abc import Iterable
from dataclasses import dataclass

from dbopsd.metrics.collector import Collector
from dbopsd.metrics.model import CollectorStatus, Metric, Snapshot
from dbopsd.metrics.otlp.names import OtlpNames
from dbopsd.metrics.source import Source


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A metric, and how the collector that gives it does on one database."""

    metric: Metric
    status: CollectorStatus
    otlp_name: str


class Catalogue:
    """The metrics that collectors and sources declare."""

    def __init__(
        self, collectors: Iterable[Collector], sources: Iterable[Source], names: OtlpNames
    ) -> None:
        self._names = names
        self._declared: dict[str, tuple[str, Metric]] = {}
        givers = [(each.name, each.metrics) for each in collectors]
        givers += [(each.name, each.metrics) for each in sources]
        for name, metrics in givers:
            # Of variants, the newest one is described.
            self._declared |= {metric.name: (name, metric) for metric in metrics}

    def of(self, snapshot: Snapshot) -> list[Descriptor]:
        """The metrics of a database by name: those declared, and those that rows have named."""
        found = dict(self._declared)
        for name, collection in snapshot.collections.items():
            for metric in collection.by_metric:
                found[metric.name] = (name, metric)
        statuses = {name: each.status for name, each in snapshot.collections.items()}
        return [
            Descriptor(metric, statuses[giver], self._names.of(metric).name)
            for _, (giver, metric) in sorted(found.items())
            if giver in statuses
        ]
