"""The methods about alerts, silences and channels."""

import asyncio
import re
from collections.abc import AsyncIterator, Collection
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from dbops.v1 import metrics_pb2
from google.protobuf.empty_pb2 import Empty

from dbopsd.errors import DatabaseNotFound, InvalidField, ShuttingDown
from dbopsd.metrics.alerts.alert import Alert, AlertState
from dbopsd.metrics.alerts.alerts import Alerts
from dbopsd.metrics.alerts.board import order
from dbopsd.metrics.alerts.silences import WantedSilence
from dbopsd.metrics.errors import AlertsOff, SilenceNotFound
from dbopsd.operations.alert_records import Silence
from dbopsd.rpc.encode import database_id, resource_name
from dbopsd.rpc.operation_access import require, visible_databases
from dbopsd.rpc.paging import paginate
from dbopsd.rpc.times import instant, timestamp
from dbopsd.rpc.validation import SEGMENT
from dbopsd.security.caller import Caller, Role, current_caller
from dbopsd.security.errors import RoleMissing

_PARENT: Final = re.compile(rf"databases/({SEGMENT}|-)")
_EVERY: Final = "-"
_REQUEST_ID: Final = re.compile(r"[!-~]{1,64}")
_OPEN_STATES: Final = frozenset({AlertState.PENDING, AlertState.FIRING, AlertState.SILENCED})
_TEST_TITLE: Final = "dbopsd: test"
_TEST_BODY: Final = "This is a test of the channel '{channel}', asked for by {caller}."


@dataclass(eq=False)
class SilenceHidden(RoleMissing):
    """The silence is of a database that the caller may not see, or there is none.

    Which of the two is not said: whoever may not see it must not learn that it is there.
    """

    reason: ClassVar[str] = "SILENCE_HIDDEN"

    silence: str = ""

    @property
    def message(self) -> str:
        return (
            f"'{self.caller}' lacks the role {self.role} on the database of "
            f"silences/{self.silence}, or there is no such silence, or not any longer"
        )

    @property
    def metadata(self) -> dict[str, str]:
        return {"role": self.role, "silence": f"silences/{self.silence}"}


class AlertMethods:
    """Answers from the board; silences are in the control store.

    `databases` are the names of those configured.
    """

    def __init__(
        self,
        alerts: Alerts,
        databases: Collection[str],
    ) -> None:
        self._alerts = alerts.board
        self._silences = alerts.silences
        self._channels = alerts.channels
        self._alerts_of = databases
        self._judged = alerts.judged

    async def ListAlerts(  # noqa: N802 - gRPC's names
        self, request: metrics_pb2.ListAlertsRequest, context: Any
    ) -> metrics_pb2.ListAlertsResponse:
        """A page of the alerts that the caller may see."""
        databases = self._asked(request.parent)
        wanted = _states(request.states)
        if any(alert.firing for alert in self._alerts.alerts(databases)):
            # Another replica may have made or ended a silence.
            await self._silences.refresh()
        page = paginate(
            [each for each in self._alerts.alerts(databases) if each.state in wanted],
            key=order,
            of=f"ListAlerts {request.parent}",
            page_size=request.page_size,
            page_token=request.page_token,
        )
        return metrics_pb2.ListAlertsResponse(
            alerts=map(_encode, page.items), next_page_token=page.next_page_token
        )

    async def WatchAlerts(  # noqa: N802
        self, request: metrics_pb2.WatchAlertsRequest, context: Any
    ) -> AsyncIterator[metrics_pb2.WatchAlertsResponse]:
        """The alerts of now, and each change, until the daemon stops."""
        databases = self._asked(request.parent)
        async with aclosing(self._alerts.watch(databases)) as alerts:
            async for alert in alerts:
                if alert is None:
                    yield metrics_pb2.WatchAlertsResponse(caught_up=True)
                else:
                    yield metrics_pb2.WatchAlertsResponse(alert=_encode(alert))
        raise ShuttingDown

    async def CreateSilence(  # noqa: N802
        self, request: metrics_pb2.CreateSilenceRequest, context: Any
    ) -> metrics_pb2.Silence:
        """Silence alerts; with a request_id that came before, the silence of then."""
        if request.request_id and not _REQUEST_ID.fullmatch(request.request_id):
            raise InvalidField("request_id", "is not 1 to 64 printable ASCII characters")
        asked = request.silence
        caller = self._require_for(database_id(asked.database))
        silence = Silence(
            id="",
            rule=asked.rule,
            database=database_id(asked.database),
            labels=tuple(sorted(asked.labels.items())),
            end=instant(asked.end_time),
            comment=asked.comment,
            creator=caller.name,
        )
        wanted = WantedSilence(
            silence, request.request_id, caller.method, only_check=request.validate_only
        )
        return _encode_silence(await self._silences.create(wanted))

    async def DeleteSilence(  # noqa: N802
        self, request: metrics_pb2.DeleteSilenceRequest, context: Any
    ) -> Empty:
        """End a silence."""
        silence_id = request.name.removeprefix("silences/")
        silence = await self._find_silence(silence_id)
        self._require_for(silence.database)
        await self._silences.delete(silence_id)
        return Empty()

    async def ListSilences(  # noqa: N802
        self, request: metrics_pb2.ListSilencesRequest, context: Any
    ) -> metrics_pb2.ListSilencesResponse:
        """A page of the silences that the caller may see: those of every database too."""
        visible = visible_databases()
        page = paginate(
            [
                each
                for each in await self._silences.list()
                if visible is None or not each.database or each.database in visible
            ],
            key=lambda each: f"{round(each.end * 1000):014} {each.id}",
            of="ListSilences",
            page_size=request.page_size,
            page_token=request.page_token,
        )
        return metrics_pb2.ListSilencesResponse(
            silences=map(_encode_silence, page.items), next_page_token=page.next_page_token
        )

    async def TestAlertChannels(  # noqa: N802
        self, request: metrics_pb2.TestAlertChannelsRequest, context: Any
    ) -> metrics_pb2.TestAlertChannelsResponse:
        """Send a message through each channel."""
        for name in request.channels:
            if name not in self._channels:
                known = ", ".join(sorted(self._channels)) or "none"
                raise InvalidField("channels", f"has '{name[:63]}'; there are {known}")
        names = sorted(set(request.channels) or self._channels)
        caller = current_caller.get().name
        answers = await asyncio.gather(
            *(
                self._channels[name].send(
                    _TEST_TITLE, _TEST_BODY.format(channel=name, caller=caller), "info"
                )
                for name in names
            )
        )
        result = metrics_pb2.TestAlertChannelsResponse.Result
        return metrics_pb2.TestAlertChannelsResponse(
            results=[
                result(channel=name, delivered=sent.delivered, message=sent.problem)
                for name, sent in zip(names, answers, strict=True)
            ]
        )

    def _require_for(self, database: str) -> Caller:
        """The caller, who may silence this database; empty: each of them, and those to come."""
        if not database:
            for each in self._alerts_of:
                require(Role.OPERATOR, each)
        return require(Role.OPERATOR, database)

    async def _find_silence(self, silence_id: str) -> Silence:
        """A silence that the caller may see.

        To a caller who may not see those of every database, one that is not there looks like one
        that they may not see (AIP-211).
        """
        caller = current_caller.get()
        try:
            silence = await self._silences.find(silence_id)
        except SilenceNotFound:
            if caller.may(Role.VIEWER, None):
                raise
            raise SilenceHidden(caller.name, Role.VIEWER.name, silence=silence_id) from None
        if silence.database and not caller.may(Role.VIEWER, silence.database):
            raise SilenceHidden(caller.name, Role.VIEWER.name, silence=silence_id)
        return silence

    def _asked(self, parent: str) -> frozenset[str] | None:
        """The databases asked for that the caller may see; None: all of them."""
        match = _PARENT.fullmatch(parent)
        if match is None:
            raise InvalidField("parent", "is not of the form databases/{database}, nor databases/-")
        if match[1] == _EVERY:
            found = visible_databases()
        else:
            require(Role.VIEWER, match[1])
            if match[1] not in self._alerts_of:
                raise DatabaseNotFound(match[1])
            found = frozenset({match[1]})
        if not self._judged:
            raise AlertsOff
        return found


def _states(asked: Collection[int]) -> frozenset[AlertState]:
    if not asked:
        return _OPEN_STATES
    try:
        return frozenset(map(AlertState, asked))
    except ValueError:
        raise InvalidField("states", "has one that is not known") from None


def _encode(alert: Alert) -> metrics_pb2.Alert:
    return metrics_pb2.Alert(
        rule=alert.rule,
        database=resource_name(alert.database),
        labels=dict(alert.labels),
        state=metrics_pb2.Alert.State.Value(alert.state.name),
        severity=metrics_pb2.Alert.Severity.Value(alert.severity.name),
        summary=alert.summary,
        remedy=alert.remedy,
        value=alert.value,
        start_time=timestamp(alert.started_at),
        fire_time=timestamp(alert.fired_at),
        resolve_time=timestamp(alert.resolved_at),
        silence=f"silences/{alert.silence}" if alert.silence else "",
        notify_time=timestamp(alert.notified_at),
    )


def _encode_silence(silence: Silence) -> metrics_pb2.Silence:
    return metrics_pb2.Silence(
        name=f"silences/{silence.id}" if silence.id else "",
        rule=silence.rule,
        database=resource_name(silence.database) if silence.database else "",
        labels=dict(silence.labels),
        end_time=timestamp(silence.end),
        comment=silence.comment,
        creator=silence.creator,
        create_time=timestamp(silence.created),
    )
