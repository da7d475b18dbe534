"""dbops.v1.HealthService over a real channel."""

import asyncio

import grpc
import grpc.aio
import pytest
from dbops.v1 import health_pb2, resources_pb2

from dbopsd.config import ServerConfig
from dbopsd.health.board import HealthBoard
from dbopsd.health.report import State
from dbopsd.rpc.server import RpcServer
from tests.unit.rpc.answers import answer_of, refused
from tests.unit.rpc.boards import board, report, unasked
from tests.unit.rpc.probe import ProbeText

S = resources_pb2.Database


async def test_a_report_arrives_whole(health):
    got = await health.GetHealth(health_pb2.GetHealthRequest(name="databases/main"))
    assert (got.name, got.state, got.server_role, got.server_version) == (
        "databases/main",
        S.HEALTHY,
        S.PRIMARY,
        "18.6",
    )
    assert got.answer_time.ToMilliseconds() == 1_700_000_000_500
    assert got.age.ToMilliseconds() == 9_750
    reachable, lag = got.checks
    assert (reachable.check, reachable.value, reachable.unit) == ("reachable", 0.002, "s")
    assert (reachable.warning_threshold, reachable.critical_threshold) == (1, 5)
    assert reachable.age.ToMilliseconds() == 9_750
    assert not lag.HasField("value")
    assert not lag.HasField("warning_threshold")
    assert not lag.HasField("measure_time")
    assert not lag.HasField("age")


async def test_before_the_first_answer_nothing_is_made_up(health, databases):
    databases.publish(unasked("main"))
    got = await health.GetHealth(health_pb2.GetHealthRequest(name="databases/main"))
    assert got.state == S.UNKNOWN
    assert got.server_role == S.SERVER_ROLE_UNSPECIFIED
    assert not got.HasField("answer_time")
    assert not got.HasField("age")


async def test_an_unknown_database_is_not_found(health):
    answer = await refused(health.GetHealth(health_pb2.GetHealthRequest(name="databases/nope")))
    assert (answer.code, answer.reason) == (grpc.StatusCode.NOT_FOUND, "DATABASE_NOT_FOUND")
    assert answer.metadata == {"database": "nope"}


@pytest.mark.parametrize(
    "name", ["", "  ", "main", "databases/", "databases/Main", "databases/a/b"]
)
async def test_a_bad_name_is_named(health, name):
    answer = await refused(health.GetHealth(health_pb2.GetHealthRequest(name=name)))
    assert (answer.code, answer.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert answer.metadata["field"] == "name"
    assert [field for field, _ in answer.violations] == ["name"]


async def test_a_streaming_call_is_validated_too(health):
    watch = health.WatchHealth(health_pb2.WatchHealthRequest(name="nope"))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await watch.read()
    assert answer_of(caught.value).reason == "INVALID_FIELD"


class TestPages:
    @pytest.fixture
    def databases(self) -> HealthBoard:
        return board(*(f"db{number:03}" for number in range(250)))

    async def names(self, health, **fields) -> tuple[list[str], str]:
        page = await health.ListDatabases(health_pb2.ListDatabasesRequest(**fields))
        return [database.name for database in page.databases], page.next_page_token

    async def test_every_database_comes_once_in_order(self, health):
        got, token, sizes = [], "", []
        while True:
            names, token = await self.names(health, page_size=99, page_token=token)
            got += names
            sizes.append(len(names))
            if not token:
                break
        assert got == [f"databases/db{number:03}" for number in range(250)]
        assert sizes == [99, 99, 52]

    async def test_the_default_and_the_largest_page(self, health):
        assert len((await self.names(health))[0]) == 100
        names, token = await self.names(health, page_size=2**31 - 1)
        assert (len(names), token) == (250, "")

    async def test_no_page_after_one_that_ends_exactly(self, health):
        _, token = await self.names(health, page_size=125)
        names, token = await self.names(health, page_size=125, page_token=token)
        assert (len(names), token) == (125, "")

    async def test_a_negative_size_is_named(self, health):
        answer = await refused(health.ListDatabases(health_pb2.ListDatabasesRequest(page_size=-1)))
        assert answer.metadata["field"] == "page_size"

    @pytest.mark.parametrize("token", ["x", "ZGIwMDE", "é", "AAAAAAAAAAAAZGIwMDE=", " "])
    async def test_a_foreign_token_is_named(self, health, token):
        answer = await refused(
            health.ListDatabases(health_pb2.ListDatabasesRequest(page_token=token))
        )
        assert answer.code is grpc.StatusCode.INVALID_ARGUMENT
        assert answer.metadata["field"] == "page_token"


class TestWatch:
    async def next(self, watch) -> health_pb2.DatabaseHealth:
        return (await asyncio.wait_for(watch.read(), 5)).health

    async def test_the_present_state_and_each_change(self, health, databases):
        watch = health.WatchHealth(health_pb2.WatchHealthRequest(name="databases/main"))
        assert (await self.next(watch)).state == S.HEALTHY
        databases.publish(report("main", value=0.5))  # same states: not told
        databases.publish(report("other", State.UNHEALTHY))  # another database: not told
        databases.publish(report("main", State.DEGRADED))
        changed = await self.next(watch)
        assert (changed.state, changed.explanation) == (S.DEGRADED, "reachable: slow")

    async def test_every_probe_when_asked(self, health, databases):
        watch = health.WatchHealth(
            health_pb2.WatchHealthRequest(name="databases/main", every_probe=True)
        )
        await self.next(watch)
        databases.publish(report("main", value=0.5))
        assert (await self.next(watch)).checks[0].value == 0.5

    async def test_it_ends_when_the_daemon_stops(self, health, databases):
        watch = health.WatchHealth(health_pb2.WatchHealthRequest(name="databases/main"))
        await self.next(watch)
        databases.drain()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.next(watch)
        answer = answer_of(caught.value)
        assert (answer.code, answer.reason) == (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN")

    async def test_an_unknown_database_ends_it(self, health):
        watch = health.WatchHealth(health_pb2.WatchHealthRequest(name="databases/nope"))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.next(watch)
        assert answer_of(caught.value).reason == "DATABASE_NOT_FOUND"

    async def test_a_cancelled_watch_leaves_nothing_behind(self, health, databases):
        await health.ListDatabases(health_pb2.ListDatabasesRequest())
        before = asyncio.all_tasks()
        watches = [
            health.WatchHealth(health_pb2.WatchHealthRequest(name="databases/main"))
            for _ in range(50)
        ]
        for watch in watches:
            await self.next(watch)
        assert len(asyncio.all_tasks() - before) >= len(watches)
        for watch in watches:
            watch.cancel()
        deadline = asyncio.get_running_loop().time() + 2
        while len(asyncio.all_tasks()) > len(before):
            assert asyncio.get_running_loop().time() < deadline, asyncio.all_tasks() - before
            await asyncio.sleep(0.01)

    async def test_a_reader_that_stands_still_holds_nobody_up(self, health, databases):
        """Its flow-control window fills up; it then gets the newest state, not each one."""
        stuck = health.WatchHealth(
            health_pb2.WatchHealthRequest(name="databases/main", every_probe=True)
        )
        await self.next(stuck)
        quick = health.WatchHealth(
            health_pb2.WatchHealthRequest(name="databases/main", every_probe=True)
        )
        await self.next(quick)
        published = 2000
        for value in range(published):
            databases.publish(report("main", value=value))
            assert (await self.next(quick)).checks[0].value == value
        received = []
        while not received or received[-1] != published - 1:
            received.append((await self.next(stuck)).checks[0].value)
        assert received == sorted(received)


async def test_a_graceful_stop_lets_a_running_call_end(databases, kept, probe):
    begun, finish = asyncio.Event(), asyncio.Event()

    async def slow(request, context):
        begun.set()
        await finish.wait()
        return ProbeText(text="done")

    probe.ask = slow
    rpc = RpcServer(
        ServerConfig(grpc_listen="127.0.0.1:0"),
        databases,
        kept.telemetry,
        services=[probe.service()],
    )
    port = await rpc.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary("/dbops.v1.ProbeService/Ask")(b"")
        running = asyncio.ensure_future(call)
        await begun.wait()
        stopping = asyncio.create_task(rpc.stop(5))
        await asyncio.sleep(0.05)
        assert not stopping.done()
        finish.set()
        assert ProbeText.FromString(await running).text == "done"
        await asyncio.wait_for(stopping, 2)


async def test_a_call_that_outlives_the_grace_is_cancelled(databases, kept, probe):
    begun, ended = asyncio.Event(), asyncio.Event()

    async def forever(request, context):
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    probe.ask = forever
    rpc = RpcServer(
        ServerConfig(grpc_listen="127.0.0.1:0"),
        databases,
        kept.telemetry,
        services=[probe.service()],
    )
    port = await rpc.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        running = asyncio.ensure_future(channel.unary_unary("/dbops.v1.ProbeService/Ask")(b""))
        await begun.wait()
        await asyncio.wait_for(rpc.stop(0.1), 3)
        await asyncio.wait_for(ended.wait(), 2)
        with pytest.raises(grpc.aio.AioRpcError):
            await running
