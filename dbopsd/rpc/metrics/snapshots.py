"""The methods that read the newest samples."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

from dbops.v1 import metrics_pb2

from dbopsd.errors import InvalidField, ShuttingDown
from dbopsd.metrics.descriptors import Catalogue
from dbopsd.metrics.hub import MetricsHub, Wanted
from dbopsd.metrics.selection import Selection
from dbopsd.rpc.encode import database_id
from dbopsd.rpc.metrics.snapshot_messages import encode_descriptor, encode_snapshot, encode_update
from dbopsd.rpc.paging import paginate
from dbopsd.rpc.times import seconds

if TYPE_CHECKING:
    from dbopsd.metrics.model import Snapshot

_DEFAULT_INTERVAL_S: Final = 10.0
_SHORTEST_S: Final = 1.0
_LONGEST_S: Final = 3600.0


class SnapshotMethods:
    """Answers from the hub alone. `catalogue` describes every metric that there may be."""

    def __init__(self, hub: MetricsHub, catalogue: Catalogue) -> None:
        self._hub = hub
        self._catalogue = catalogue

    async def ListMetricDescriptors(  # noqa: N802 - gRPC's names
        self, request: metrics_pb2.ListMetricDescriptorsRequest, context: Any
    ) -> metrics_pb2.ListMetricDescriptorsResponse:
        """A page of the metrics of a database, with how their collectors do."""
        snapshot = self._hub.snapshot(database_id(request.parent))
        page = paginate(
            self._catalogue.of(snapshot),
            key=lambda each: each.metric.name,
            of="ListMetricDescriptors",
            page_size=request.page_size,
            page_token=request.page_token,
        )
        return metrics_pb2.ListMetricDescriptorsResponse(
            descriptors=map(encode_descriptor, page.items), next_page_token=page.next_page_token
        )

    async def GetSnapshot(  # noqa: N802
        self, request: metrics_pb2.GetSnapshotRequest, context: Any
    ) -> metrics_pb2.Snapshot:
        """The newest samples of a database."""
        selection = _selection(request.filter)
        snapshot = self._hub.snapshot(database_id(request.name))
        return encode_snapshot(selection.narrowed(snapshot))

    async def WatchSnapshots(  # noqa: N802
        self, request: metrics_pb2.WatchSnapshotsRequest, context: Any
    ) -> AsyncIterator[bytes]:
        """The present snapshot, and each new one, until the daemon stops. Encoded already."""
        wanted = Wanted(database_id(request.name), _selection(request.filter), _interval_s(request))
        last: Snapshot | None = None
        async with aclosing(self._hub.watch(wanted)) as updates:
            async for seen in updates:
                yield encode_update(
                    seen.update, missed=seen.missed, last=last, changes_only=request.changes_only
                )
                last = seen.update.snapshot
        raise ShuttingDown


def _selection(asked: metrics_pb2.SampleFilter) -> Selection:
    return Selection.of(asked.metrics, dict(asked.labels))


def _interval_s(request: metrics_pb2.WatchSnapshotsRequest) -> float:
    if not request.HasField("interval"):
        return _DEFAULT_INTERVAL_S
    interval_s = seconds(request.interval)
    if not _SHORTEST_S <= interval_s <= _LONGEST_S:
        raise InvalidField("interval", "is not from 1 s to 1 h")
    return interval_s
