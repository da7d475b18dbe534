"""Snapshots as JSON. The text of a collector is made once and kept with its samples."""

import json
from collections.abc import Iterable
from weakref import WeakKeyDictionary

from dbopsd.http.values import time_text
from dbopsd.metrics.model import Collection, CollectorStatus, Sample, Snapshot


class MetricsJson:
    """Writes snapshots. Without `detailed`, single tables, indexes and statements are left out."""

    def __init__(self, *, detailed: bool) -> None:
        self._detailed = detailed
        self._texts: WeakKeyDictionary[Collection, str] = WeakKeyDictionary()

    def prepare(self, snapshot: Snapshot) -> None:
        """Make the texts of a snapshot's collectors that `write` would make."""
        for collection in snapshot.collections.values():
            self._samples(collection)

    def write(self, snapshots: Iterable[Snapshot]) -> str:
        """The text of an object with the list `databases`."""
        return f'{{"databases": [{", ".join(map(self._of, snapshots))}]}}'

    def _of(self, snapshot: Snapshot) -> str:
        collections = snapshot.collections.values()
        head = {
            "name": snapshot.database,
            "sample_time": time_text(snapshot.sampled_at),
            "collectors": [_status(each.status) for each in collections],
        }
        samples = ", ".join(filter(None, map(self._samples, collections)))
        return f'{json.dumps(head)[:-1]}, "samples": [{samples}]}}'

    def _samples(self, collection: Collection) -> str:
        text = self._texts.get(collection)
        if text is None:
            shown = (
                sample
                for metric, samples in collection.by_metric.items()
                if self._detailed or not metric.is_detail
                for sample in samples
            )
            text = self._texts[collection] = ", ".join(json.dumps(_sample(each)) for each in shown)
        return text


def _status(status: CollectorStatus) -> dict[str, object]:
    return {
        "name": status.name,
        "state": status.state.value,
        "reason": status.reason,
        "message": status.message,
        "sample_time": time_text(status.sampled_at),
    }


def _sample(sample: Sample) -> dict[str, object]:
    metric = sample.series.metric
    return {
        "metric": metric.name,
        "labels": sample.series.label_map(),
        "value": sample.value,
        "unit": metric.unit,
        "type": metric.type.name,
        "sample_time": time_text(sample.at),
    }
