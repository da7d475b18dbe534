"""The methods of `dbops.v1.MetricsService` about alerts, over a real channel and control store."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import grpc.aio
import pytest
from dbops.v1 import metrics_pb2, metrics_pb2_grpc
from google.protobuf.timestamp_pb2 import Timestamp

from dbopsd.config import ChannelConfig, ServerConfig
from dbopsd.metrics.alerts.alert import Alert
from dbopsd.metrics.alerts.board import AlertBoard
from dbopsd.metrics.alerts.channels import Channel
from dbopsd.metrics.alerts.rules import Severity
from dbopsd.metrics.hub import MetricsHub
from dbopsd.rpc.audit_fields import WITHHELD, compile_quoting
from dbopsd.rpc.server import RpcServer
from dbopsd.security.access import Access
from tests.unit.rpc.answers import refused
from tests.unit.rpc.api import AUTH
from tests.unit.rpc.metrics_service import metrics_service

MAIN, EVERY = "databases/main", "databases/-"
State = metrics_pb2.Alert.State
DEAD_ROWS = Alert(
    *("DeadRows", "main", (("relname", "t"),), Severity.WARNING, "t has dead rows", "vacuum it"),
    value=5.0,
    started_at=1_700_000_000.25,
    fired_at=1_700_000_060.0,
)
DOWN = replace(DEAD_ROWS, rule="DatabaseDown", database="other", severity=Severity.CRITICAL)
SOON = replace(DEAD_ROWS, rule="Deadlocks", fired_at=None)
OVER = replace(DEAD_ROWS, rule="DiskFull", resolved_at=1_700_000_100.0)
# Nothing listens there.
NOBODY = Channel("nobody", ChannelConfig.model_validate({"url": "json://127.0.0.1:9/hook"}))


@pytest.fixture
def alerts() -> AlertBoard:
    board = AlertBoard()
    board.publish("main", [OVER, SOON, DEAD_ROWS], time.time())
    board.publish("other", [DOWN], time.time())
    return board


@pytest.fixture
async def channel(databases, kept, desk, alerts) -> AsyncIterator[grpc.aio.Channel]:
    config = ServerConfig(grpc_listen="127.0.0.1:0")
    rpc = RpcServer(
        config,
        databases,
        kept.telemetry,
        services=[
            metrics_service(MetricsHub(["main", "other"]), desk.alerts(alerts, nobody=NOBODY))
        ],
        access=Access.load(config, AUTH),
    )
    port = await rpc.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as opened:
        yield opened
    alerts.drain()
    await rpc.stop(0)


class Caller:
    """Calls as one of the callers of `AUTH`."""

    def __init__(self, channel: grpc.aio.Channel, name: str = "admin") -> None:
        self._stub = metrics_pb2_grpc.MetricsServiceStub(channel)
        self._metadata = [("authorization", f"Bearer {name}")]

    def listed(self, parent: str = EVERY, **fields: Any) -> Any:
        request = metrics_pb2.ListAlertsRequest(parent=parent, **fields)
        return self._stub.ListAlerts(request, metadata=self._metadata)

    async def rules(self, parent: str = EVERY, **fields: Any) -> list[str]:
        return [each.rule for each in (await self.listed(parent, **fields)).alerts]

    def watch(self, parent: str = EVERY) -> Any:
        request = metrics_pb2.WatchAlertsRequest(parent=parent)
        return self._stub.WatchAlerts(request, metadata=self._metadata)

    def silence(self, rule: str = "DeadRows", *, for_s: float = 60, **fields: Any) -> Any:
        end = Timestamp(seconds=int(time.time() + for_s))
        more = {
            name: fields.pop(name) for name in ("request_id", "validate_only") if name in fields
        }
        wanted = metrics_pb2.Silence(**{"rule": rule, "end_time": end, "comment": "why", **fields})
        request = metrics_pb2.CreateSilenceRequest(silence=wanted, **more)
        return self._stub.CreateSilence(request, metadata=self._metadata)

    def unsilence(self, name: str) -> Any:
        request = metrics_pb2.DeleteSilenceRequest(name=name)
        return self._stub.DeleteSilence(request, metadata=self._metadata)

    async def silences(self) -> list[str]:
        request = metrics_pb2.ListSilencesRequest()
        found = await self._stub.ListSilences(request, metadata=self._metadata)
        return [each.name for each in found.silences]

    def test(self, *channels: str) -> Any:
        request = metrics_pb2.TestAlertChannelsRequest(channels=channels)
        return self._stub.TestAlertChannels(request, metadata=self._metadata)


async def test_alerts_arrive_whole_and_the_most_pressing_first(channel):
    admin = Caller(channel)
    assert await admin.rules() == ["DatabaseDown", "DeadRows", "Deadlocks"]
    (alert,) = (await admin.listed(MAIN, states=[State.FIRING])).alerts
    assert alert == metrics_pb2.Alert(
        rule="DeadRows",
        database=MAIN,
        labels={"relname": "t"},
        state=State.FIRING,
        severity=metrics_pb2.Alert.WARNING,
        summary="t has dead rows",
        remedy="vacuum it",
        value=5.0,
        start_time=Timestamp(seconds=1_700_000_000, nanos=250_000_000),
        fire_time=Timestamp(seconds=1_700_000_060),
    )
    assert await admin.rules(states=[State.RESOLVED, State.PENDING]) == ["Deadlocks", "DiskFull"]
    first = await admin.listed(page_size=2)
    assert [each.rule for each in first.alerts] == ["DatabaseDown", "DeadRows"]
    assert await admin.rules(page_token=first.next_page_token) == ["Deadlocks"]


async def test_a_caller_sees_the_alerts_of_their_databases_alone(channel):
    assert await Caller(channel, "main-operator").rules() == ["DeadRows", "Deadlocks"]
    other = Caller(channel, "other-viewer")
    assert await other.rules() == ["DatabaseDown"]
    assert (await refused(other.listed(MAIN))).reason == "ROLE_MISSING"
    watch = other.watch()
    assert (await watch.read()).alert.rule == "DatabaseDown"
    assert (await watch.read()).caught_up
    watch.cancel()


@pytest.mark.parametrize(
    ("parent", "reason"),
    [
        ("databases/none", "DATABASE_NOT_FOUND"),
        ("databases/", "INVALID_FIELD"),
        ("main", "INVALID_FIELD"),
        ("", "INVALID_FIELD"),
    ],
)
async def test_a_parent_that_is_none_is_refused(channel, parent, reason):
    assert (await refused(Caller(channel).listed(parent))).reason == reason
    assert (await refused(Caller(channel).watch(parent).read())).reason == reason


async def test_an_unknown_state_is_refused(channel):
    assert (await refused(Caller(channel).listed(states=[99]))).reason == "INVALID_FIELD"


async def test_nothing_judged_is_said(databases, kept):
    rpc = RpcServer(
        ServerConfig(grpc_listen="127.0.0.1:0"),
        databases,
        kept.telemetry,
        services=[metrics_service(MetricsHub(["main"]))],
    )
    port = await rpc.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as opened:
        assert (await refused(Caller(opened).listed(MAIN))).reason == "ALERTS_OFF"
    await rpc.stop(0)


async def test_a_watch_has_those_of_now_and_each_change_until_the_daemon_stops(channel, alerts):
    watch = Caller(channel).watch(MAIN)
    async with asyncio.timeout(10):
        seen = [(await watch.read()).alert for _ in range(2)]
        assert [each.rule for each in seen] == ["DeadRows", "Deadlocks"]
        assert await watch.read() == metrics_pb2.WatchAlertsResponse(caught_up=True)
        alerts.publish("main", [OVER, SOON, DEAD_ROWS.resolved(1_700_000_200.0)], time.time())
        changed = (await watch.read()).alert
        assert (changed.rule, changed.state) == ("DeadRows", State.RESOLVED)
        alerts.drain()
        assert (await refused(watch.read())).reason == "SHUTTING_DOWN"


async def test_a_silence_covers_alerts_and_is_listed_and_ended(channel):
    operator = Caller(channel, "operator")
    made = await operator.silence(labels={"relname": "t"}, database=MAIN)
    assert (made.rule, made.database, made.creator) == ("DeadRows", MAIN, "operator")
    assert dict(made.labels) == {"relname": "t"}
    assert made.create_time.seconds > 1_700_000_000
    assert await operator.silences() == [made.name]
    (alert,) = (await operator.listed(states=[State.SILENCED])).alerts
    assert (alert.rule, alert.silence) == ("DeadRows", made.name)
    await operator.unsilence(made.name)
    assert await operator.silences() == []
    assert await operator.rules(states=[State.SILENCED]) == []
    assert (await refused(operator.unsilence(made.name))).reason == "SILENCE_NOT_FOUND"


async def test_another_replica_goes_by_it_too(channel, desk, alerts):
    other = AlertBoard()
    other.publish("main", [DEAD_ROWS], time.time())
    await Caller(channel).silence()
    await desk.alerts(other).silences.refresh()
    assert [each.silence != "" for each in other.alerts()] == [True]


async def test_the_same_request_twice_is_one_silence(channel):
    operator = Caller(channel, "operator")
    end = Timestamp(seconds=int(time.time()) + 60)
    first = await operator.silence(request_id="a", end_time=end)
    assert await operator.silence(request_id="a", end_time=end) == first
    reused = await refused(operator.silence("DatabaseDown", request_id="a", end_time=end))
    assert reused.reason == "REQUEST_ID_REUSED"
    others = await Caller(channel).silence(request_id="a", end_time=end)
    assert others.name != first.name


async def test_only_checking_creates_nothing(channel):
    operator = Caller(channel, "operator")
    assert (await operator.silence(validate_only=True)).name == ""
    assert await operator.silences() == []
    assert (await refused(operator.silence("Nothing", validate_only=True))).code is (
        grpc.StatusCode.INVALID_ARGUMENT
    )


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"rule": "Nothing"}, "is no rule; there are * and DatabaseDown, DeadRows"),
        ({"rule": ""}, "is required"),
        ({"comment": " "}, "is required"),
        ({"comment": "x" * 501}, "more than 500 characters"),
        ({"comment": "a\nb"}, "line break"),
        ({"for_s": -5}, "not in the future"),
        ({"for_s": 31 * 86_400}, "more than 30 days"),
        ({"labels": {str(number): "x" for number in range(21)}}, "more than 20 labels"),
        ({"database": "databases/none"}, "'none' is not configured"),
        ({"database": "main"}, "is not of the form"),
        ({"request_id": "a b"}, "1 to 64 printable"),
    ],
)
async def test_a_silence_that_cannot_be_is_refused(channel, fields, text):
    answer = await refused(Caller(channel).silence(**fields))
    assert text in answer.text


async def test_who_may_silence_what(channel):
    main = Caller(channel, "main-operator")
    own = await main.silence(database=MAIN)
    assert (await refused(main.silence())).reason == "ROLE_MISSING"
    assert (await refused(main.silence(database="databases/other"))).reason == "ROLE_MISSING"
    every = await Caller(channel, "operator").silence()
    theirs = await Caller(channel, "operator").silence(database="databases/other")
    assert set(await main.silences()) == {own.name, every.name}
    assert (await refused(main.unsilence(every.name))).reason == "ROLE_MISSING"
    assert (await refused(main.unsilence(theirs.name))).reason == "SILENCE_HIDDEN"
    assert (await refused(main.unsilence("silences/none"))).reason == "SILENCE_HIDDEN"
    viewer = Caller(channel, "viewer")
    assert (await refused(viewer.silence(database=MAIN))).reason == "ROLE_MISSING"
    assert (await refused(viewer.unsilence(own.name))).reason == "ROLE_MISSING"
    # A silence of every database covers that one, too.
    but_main = Caller(channel, "operator-but-main")
    assert (await refused(but_main.silence())).reason == "ROLE_MISSING"
    assert (await refused(but_main.unsilence(every.name))).reason == "ROLE_MISSING"
    await but_main.unsilence(theirs.name)
    await main.unsilence(own.name)


async def test_each_channel_says_how_it_answered(channel):
    operator = Caller(channel, "operator")
    (result,) = (await operator.test()).results
    assert (result.channel, result.delivered) == ("nobody", False)
    assert "connection error" in result.message.lower()
    assert (await refused(operator.test("other"))).text.endswith("there are nobody")
    assert (await refused(Caller(channel, "viewer").test())).reason == "ROLE_MISSING"
    assert (await refused(Caller(channel, "main-operator").test())).reason == "ROLE_MISSING"


@pytest.mark.parametrize(
    ("silence", "quoted"),
    [
        (
            {"rule": "DeadRows", "database": MAIN, "comment": "a secret", "labels": {"a": "b"}},
            {"silence.rule": "DeadRows", "silence.database": MAIN},
        ),
        (
            {"rule": "*", "end_time": Timestamp(seconds=1_700_000_000)},
            {"silence.rule": "*", "silence.end_time": "2023-11-14T22:13:20Z"},
        ),
        (
            {"rule": "my password", "database": "my password"},
            {"silence.rule": WITHHELD, "silence.database": WITHHELD},
        ),
    ],
)
def test_the_audit_log_quotes_what_is_silenced_until_when(silence, quoted):
    request = metrics_pb2.CreateSilenceRequest(silence=silence, request_id="a")
    found = compile_quoting(metrics_pb2.CreateSilenceRequest.DESCRIPTOR)(request)
    assert dict(found.resource) == quoted
    assert found.request_id == "a"
    ended = metrics_pb2.DeleteSilenceRequest(name="silences/s1")
    found = compile_quoting(metrics_pb2.DeleteSilenceRequest.DESCRIPTOR)(ended)
    assert found.resource == (("name", "silences/s1"),)
