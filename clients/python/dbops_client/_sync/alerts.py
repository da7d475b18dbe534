# Generated from _async/alerts.py: change that, and run 'make client'.
"""`client.alerts`: alerts, silences and channels of MetricsService."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from dbops.v1 import metrics_pb2, metrics_pb2_grpc
from google.protobuf.timestamp_pb2 import Timestamp

from dbops_client._channel import DEFAULT_RECONNECT_S
from dbops_client._errors import ConfigurationError
from dbops_client._metadata import Metadata
from dbops_client._names import database_name, silence_name
from dbops_client._request_id import request_id_or_new
from dbops_client._sync.resource import Resource
from dbops_client._watch import Watch

if TYPE_CHECKING:
    from dbops.v1.metrics_pb2_grpc import MetricsServiceStub

_EVERY = "-"
# Longer than the longest `timeout_s` of a channel.
_TEST_TIMEOUT_S = 150.0
_NO_LABELS: Mapping[str, str] = {}


class AlertsClient(Resource):
    """The alerts of the databases, their silences, and the channels that they are sent to."""

    @cached_property
    def _stub(self) -> "MetricsServiceStub":
        return metrics_pb2_grpc.MetricsServiceStub(self._transport.channel)

    def list(
        self,
        database: str | None = None,
        *,
        states: Iterable[str] = (),
        page_size: int = 0,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> Iterator[metrics_pb2.Alert]:
        """Iterate over the alerts of `database`, or of all: those that fire first.

        `states` are of PENDING, FIRING, SILENCED and RESOLVED, in either case; none: all but those
        that are resolved. Raises ConfigurationError for another one.
        """
        request = metrics_pb2.ListAlertsRequest(
            parent=database_name(database or _EVERY),
            states=[_state(each) for each in states],
            page_size=page_size,
        )
        return self._list(
            self._stub.ListAlerts, request, lambda page: page.alerts, timeout_s, metadata
        )

    def watch(
        self,
        database: str | None = None,
        *,
        reconnect_for_s: float = DEFAULT_RECONNECT_S,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> Watch[metrics_pb2.WatchAlertsResponse]:
        """Watch the alerts of `database`, or of all: those of now, then each change, endlessly.

        Between the two comes a message that has `caught_up` and no alert. While the server is
        UNAVAILABLE, from the start on, the watch reconnects, for `reconnect_for_s` seconds at
        most (0: not at all); those of now come again then. A server that accepts the call and
        stays silent is a DeadlineExceededError after `timeout_s`. Nothing is sent before the
        first iteration.
        """
        request = metrics_pb2.WatchAlertsRequest(parent=database_name(database or _EVERY))
        return self._watch(
            lambda sent: self._stub.WatchAlerts(request, metadata=sent),
            _itself,
            reconnect_for_s,
            timeout_s,
            metadata,
        )

    def silence(
        self,
        rule: str,
        *,
        for_s: float,
        reason: str,
        database: str | None = None,
        labels: Mapping[str, str] = _NO_LABELS,
        request_id: str | None = None,
        validate_only: bool = False,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> metrics_pb2.Silence:
        """Notify nobody of the alerts of `rule` (`*`: of any) for `for_s` seconds from now on.

        Of `database`, or of all; only of alerts that have `labels`. `reason` is for people. The
        same `request_id` twice is one silence; without one, a new id makes retries safe.
        """
        end_time = Timestamp()
        end_time.FromDatetime(datetime.now(UTC) + timedelta(seconds=for_s))
        request = metrics_pb2.CreateSilenceRequest(
            silence=metrics_pb2.Silence(
                rule=rule,
                database=database_name(database) if database else "",
                labels=labels,
                end_time=end_time,
                comment=reason,
            ),
            request_id=request_id_or_new(request_id),
            validate_only=validate_only,
        )
        return self._transport.call(self._stub.CreateSilence, request, timeout_s, metadata)

    def unsilence(
        self, silence: str, *, timeout_s: float | None = None, metadata: Metadata = ()
    ) -> None:
        """End a silence, given as its id or as its resource name."""
        request = metrics_pb2.DeleteSilenceRequest(name=silence_name(silence))
        self._transport.call(self._stub.DeleteSilence, request, timeout_s, metadata)

    def silences(
        self, *, page_size: int = 0, timeout_s: float | None = None, metadata: Metadata = ()
    ) -> Iterator[metrics_pb2.Silence]:
        """Iterate over the silences that are in force, the one that ends first first."""
        request = metrics_pb2.ListSilencesRequest(page_size=page_size)
        return self._list(
            self._stub.ListSilences, request, lambda page: page.silences, timeout_s, metadata
        )

    def test(
        self,
        channels: Iterable[str] = (),
        *,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> metrics_pb2.TestAlertChannelsResponse:
        """Send a message through these channels, or through each, and return how each answered.

        A channel may take its time: `timeout_s` is two minutes and a half if it is None.
        """
        names = (channels,) if isinstance(channels, str) else channels
        request = metrics_pb2.TestAlertChannelsRequest(channels=names)
        return self._transport.call(
            self._stub.TestAlertChannels,
            request,
            _TEST_TIMEOUT_S if timeout_s is None else timeout_s,
            metadata,
        )


def _itself(response: metrics_pb2.WatchAlertsResponse) -> metrics_pb2.WatchAlertsResponse:
    return response


def _state(name: str) -> "metrics_pb2.Alert.State.ValueType":
    known = metrics_pb2.Alert.State
    try:
        return known.Value(name.upper())
    except ValueError:
        those = ", ".join(known.keys()[1:])
        raise ConfigurationError(f"state '{name}' is none of {those}") from None
