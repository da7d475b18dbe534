"""`client.metrics`, `client.sessions` and `client.settings`: MetricsService."""

from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from dbops.v1 import metrics_pb2, metrics_pb2_grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from dbops_client._async.resource import AsyncResource
from dbops_client._channel import DEFAULT_RECONNECT_S
from dbops_client._errors import ConfigurationError
from dbops_client._metadata import Metadata
from dbops_client._names import database_name
from dbops_client._watch import AsyncWatch

if TYPE_CHECKING:
    from dbops.v1.metrics_pb2_grpc import MetricsServiceAsyncStub

_NO_LABELS: Mapping[str, str] = {}


class AsyncMetricsClient(AsyncResource):
    """The metrics of the databases; `main` and `databases/main` name the same one."""

    @cached_property
    def _stub(self) -> "MetricsServiceAsyncStub":
        return metrics_pb2_grpc.MetricsServiceStub(self._transport.channel)

    def list(
        self,
        database: str,
        *,
        page_size: int = 0,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> AsyncIterator[metrics_pb2.MetricDescriptor]:
        """Iterate over the metrics of `database`, by name: what they mean, and if it has them.

        A page is fetched when the iteration reaches it, and `timeout_s` is for each. `page_size`
        is 1 to 1000; 0 leaves it to the server.
        """
        request = metrics_pb2.ListMetricDescriptorsRequest(
            parent=database_name(database), page_size=page_size
        )
        return self._list(
            self._stub.ListMetricDescriptors,
            request,
            lambda page: page.descriptors,
            timeout_s,
            metadata,
        )

    async def get(
        self,
        database: str,
        *,
        metrics: Iterable[str] = (),
        labels: Mapping[str, str] = _NO_LABELS,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> metrics_pb2.Snapshot:
        """Return the newest samples of `database`.

        `metrics` are names in which `*` and `?` are wild, of which one has to match; none: all.
        Each of `labels` has to match too.
        """
        request = metrics_pb2.GetSnapshotRequest(
            name=database_name(database), filter=_filter(metrics, labels)
        )
        return await self._transport.call(self._stub.GetSnapshot, request, timeout_s, metadata)

    def watch(
        self,
        database: str,
        *,
        metrics: Iterable[str] = (),
        labels: Mapping[str, str] = _NO_LABELS,
        interval_s: float | None = None,
        changes_only: bool = False,
        reconnect_for_s: float = DEFAULT_RECONNECT_S,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> AsyncWatch[metrics_pb2.WatchSnapshotsResponse]:
        """Watch the samples of `database`: the present ones, then each new snapshot, endlessly.

        `metrics` and `labels` choose as in `get`. There are `interval_s` seconds between two
        messages at least (None: 10). With `changes_only`, a message has only what changed since
        the one before it, and what is gone; after a reconnection the whole comes once more. While
        the server is UNAVAILABLE, from the start on, the watch reconnects, for `reconnect_for_s`
        seconds at most (0: not at all). A server that accepts the call and stays silent is a
        DeadlineExceededError after `timeout_s`. Nothing is sent before the first iteration.
        """
        request = metrics_pb2.WatchSnapshotsRequest(
            name=database_name(database),
            filter=_filter(metrics, labels),
            interval=_duration(interval_s),
            changes_only=changes_only,
        )
        return self._watch(
            lambda sent: self._stub.WatchSnapshots(request, metadata=sent),
            _itself,
            reconnect_for_s,
            timeout_s,
            metadata,
        )

    async def history(
        self,
        database: str,
        metric: str,
        *,
        labels: Mapping[str, str] = _NO_LABELS,
        start: datetime | None = None,
        end: datetime | None = None,
        step_s: float | None = None,
        aggregation: str = "",
        quantile: float = 0.0,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> metrics_pb2.QueryHistoryResponse:
        """Return the history of `metric`, a series for each set of labels that has `labels`.

        From `start` (None: 24 h before `end`) to `end` (None: now), in steps of `step_s` seconds
        (None: about 300 of them). `aggregation` is LAST, MEAN, MIN, MAX, RATE, INCREASE or
        QUANTILE (with `quantile`), in either case; empty: the mean of a gauge and the rate of a
        counter. Times without a zone are UTC. Raises ConfigurationError for another aggregation.
        """
        request = metrics_pb2.QueryHistoryRequest(
            name=database_name(database),
            metric=metric,
            labels=labels,
            start_time=_timestamp(start),
            end_time=_timestamp(end),
            step=_duration(step_s),
            aggregation=_aggregation(aggregation),
            quantile=quantile,
        )
        return await self._transport.call(self._stub.QueryHistory, request, timeout_s, metadata)

    def trends(
        self,
        database: str,
        *,
        page_size: int = 0,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> AsyncIterator[metrics_pb2.Trend]:
        """Iterate over what the history of `database` says, the most pressing first.

        What runs out, what grows, and what is unlike the same hour of past days.
        """
        request = metrics_pb2.ListTrendsRequest(parent=database_name(database), page_size=page_size)
        return self._list(
            self._stub.ListTrends, request, lambda page: page.trends, timeout_s, metadata
        )


class AsyncSessionsClient(AsyncResource):
    """The sessions of the databases' servers."""

    @cached_property
    def _stub(self) -> "MetricsServiceAsyncStub":
        return metrics_pb2_grpc.MetricsServiceStub(self._transport.channel)

    def list(
        self,
        database: str,
        *,
        blocked: bool = False,
        active: bool = False,
        background: bool = False,
        page_size: int = 0,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> AsyncIterator[metrics_pb2.Session]:
        """Iterate over the sessions of `database`'s server, the longest-running first.

        `blocked`: only those that wait for others, and these; `active`: only those that run a
        statement or are within a transaction; `background`: the server's own processes too.
        """
        request = metrics_pb2.ListSessionsRequest(
            parent=database_name(database),
            blocked=blocked,
            active=active,
            background=background,
            page_size=page_size,
        )
        return self._list(
            self._stub.ListSessions, request, lambda page: page.sessions, timeout_s, metadata
        )

    async def cancel(
        self,
        database: str,
        pid: int,
        start_time: Timestamp,
        *,
        validate_only: bool = False,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> metrics_pb2.CancelSessionResponse:
        """Cancel the statement of a session, which goes on. `start_time` is as `list` gave it."""
        request = metrics_pb2.CancelSessionRequest(
            name=database_name(database),
            pid=pid,
            start_time=start_time,
            validate_only=validate_only,
        )
        return await self._transport.call(self._stub.CancelSession, request, timeout_s, metadata)

    async def terminate(
        self,
        database: str,
        pid: int,
        start_time: Timestamp,
        *,
        validate_only: bool = False,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> metrics_pb2.TerminateSessionResponse:
        """End a session; what it had not committed is lost. `start_time` is as `list` gave it."""
        request = metrics_pb2.TerminateSessionRequest(
            name=database_name(database),
            pid=pid,
            start_time=start_time,
            validate_only=validate_only,
        )
        return await self._transport.call(self._stub.TerminateSession, request, timeout_s, metadata)


class AsyncSettingsClient(AsyncResource):
    """The settings of the databases' servers."""

    @cached_property
    def _stub(self) -> "MetricsServiceAsyncStub":
        return metrics_pb2_grpc.MetricsServiceStub(self._transport.channel)

    def list(
        self,
        database: str,
        *,
        changed: bool = False,
        page_size: int = 0,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> AsyncIterator[metrics_pb2.Setting]:
        """Iterate over the settings of `database`'s server, by name.

        `changed`: only those that differ from the built-in default, or for a role or a database.
        """
        request = metrics_pb2.ListSettingsRequest(
            parent=database_name(database), changed=changed, page_size=page_size
        )
        return self._list(
            self._stub.ListSettings, request, lambda page: page.settings, timeout_s, metadata
        )


def _itself(
    response: metrics_pb2.WatchSnapshotsResponse,
) -> metrics_pb2.WatchSnapshotsResponse:
    return response


def _filter(metrics: Iterable[str], labels: Mapping[str, str]) -> metrics_pb2.SampleFilter:
    # A text is an iterable of its characters: the metrics `p`, `g`, `_` were never meant.
    names = (metrics,) if isinstance(metrics, str) else metrics
    return metrics_pb2.SampleFilter(metrics=names, labels=labels)


def _duration(seconds: float | None) -> Duration | None:
    if seconds is None:
        return None
    duration = Duration()
    duration.FromTimedelta(timedelta(seconds=seconds))
    return duration


def _timestamp(time: datetime | None) -> Timestamp | None:
    if time is None:
        return None
    timestamp = Timestamp()
    timestamp.FromDatetime(time)
    return timestamp


def _aggregation(name: str) -> "metrics_pb2.QueryHistoryRequest.Aggregation.ValueType":
    known = metrics_pb2.QueryHistoryRequest.Aggregation
    if not name:
        return known.AGGREGATION_UNSPECIFIED
    try:
        return known.Value(name.upper())
    except ValueError:
        those = ", ".join(known.keys()[1:])
        raise ConfigurationError(f"aggregation '{name}' is none of {those}") from None
