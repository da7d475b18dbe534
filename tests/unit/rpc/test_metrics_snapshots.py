"""The methods of `dbops.v1.MetricsService` that answer from the hub, over a real channel."""

import asyncio
from collections.abc import AsyncIterator

import grpc.aio
import pytest
from dbops.v1 import metrics_pb2, metrics_pb2_grpc

from dbopsd.config import ServerConfig
from dbopsd.metrics.hub import MetricsHub
from dbopsd.metrics.model import Collection, CollectorState, CollectorStatus
from dbopsd.rpc.server import RpcServer
from tests.unit.metrics.made import COMMITS, UP, collection
from tests.unit.rpc.answers import answer_of, refused
from tests.unit.rpc.metrics_service import metrics_service

MAIN = "databases/main"
Filter = metrics_pb2.SampleFilter
Get = metrics_pb2.GetSnapshotRequest
Watch = metrics_pb2.WatchSnapshotsRequest
Describe = metrics_pb2.ListMetricDescriptorsRequest


@pytest.fixture
def hub() -> MetricsHub:
    hub = MetricsHub(["main", "other"])
    hub.publish(
        "main",
        {
            "up": collection("up", (UP, (), 1.0), at=1_700_000_000.25),
            "stat_database": collection(
                "stat_database", (COMMITS, ("app",), 5.0), (COMMITS, ("",), 7.0), at=1_699_999_990.0
            ),
            "stat_statements": Collection(
                CollectorStatus(
                    "stat_statements",
                    CollectorState.FAILED,
                    "QUERY_TIMEOUT",
                    "it took too long",
                    duration_s=0.5,
                    interval_s=60.0,
                )
            ),
        },
    )
    return hub


@pytest.fixture
async def served(hub, databases, kept) -> AsyncIterator[int]:
    """The port."""
    config = ServerConfig(grpc_listen="127.0.0.1:0")
    rpc = RpcServer(config, databases, kept.telemetry, services=[metrics_service(hub)])
    yield await rpc.start()
    hub.drain()
    await rpc.stop(0)


@pytest.fixture
async def stub(served) -> AsyncIterator[metrics_pb2_grpc.MetricsServiceStub]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{served}") as channel:
        yield metrics_pb2_grpc.MetricsServiceStub(channel)


def commits(hub: MetricsHub, *values: tuple[str, float], at: float = 1_700_000_000.0) -> None:
    samples = [(COMMITS, (name,), value) for name, value in values]
    hub.publish("main", {"stat_database": collection("stat_database", *samples, at=at)})


def shown(snapshot) -> dict[tuple[str, ...], float]:
    return {(each.metric, *each.labels.values()): each.value for each in snapshot.samples}


async def following(call) -> metrics_pb2.WatchSnapshotsResponse:
    async with asyncio.timeout(10):
        return await call.read()


async def test_a_snapshot_arrives_whole(stub):
    got = await stub.GetSnapshot(Get(name=MAIN))
    assert (got.database, got.sample_time.ToMilliseconds()) == (MAIN, 1_700_000_000_250)
    stat, statements, up = got.collectors
    assert (stat.name, stat.state) == ("stat_database", metrics_pb2.CollectorStatus.OK)
    assert (up.name, up.reason, up.message) == ("up", "", "")
    assert statements.state == metrics_pb2.CollectorStatus.FAILED
    assert (statements.reason, statements.message) == ("QUERY_TIMEOUT", "it took too long")
    assert (statements.duration.ToMilliseconds(), statements.interval.seconds) == (500, 60)
    assert not statements.HasField("sample_time")
    app, everything, alive = got.samples
    assert (app.metric, dict(app.labels)) == (COMMITS.name, {"datname": "app"})
    assert (app.value, app.unit, app.type) == (5.0, "{transaction}", metrics_pb2.COUNTER)
    assert app.sample_time.ToMilliseconds() == 1_699_999_990_000
    assert dict(everything.labels) == {}
    assert (alive.metric, alive.value, alive.type) == ("pg_up", 1.0, metrics_pb2.GAUGE)


async def test_a_filter_chooses_samples_and_keeps_every_status(stub):
    by_name = await stub.GetSnapshot(Get(name=MAIN, filter=Filter(metrics=["pg_?p", "nope"])))
    assert shown(by_name) == {("pg_up",): 1.0}
    assert len(by_name.collectors) == 3
    by_label = await stub.GetSnapshot(Get(name=MAIN, filter=Filter(labels={"datname": "app"})))
    assert shown(by_label) == {(COMMITS.name, "app"): 5.0}
    without = await stub.GetSnapshot(Get(name=MAIN, filter=Filter(labels={"datname": ""})))
    assert shown(without) == {(COMMITS.name,): 7.0, ("pg_up",): 1.0}


async def test_before_the_first_sample_nothing_is_made_up(stub):
    got = await stub.GetSnapshot(Get(name="databases/other"))
    assert not got.HasField("sample_time")
    assert (len(got.samples), len(got.collectors)) == (0, 0)


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (Get(name=MAIN, filter=Filter(metrics=[""])), "filter.metrics"),
        (Get(name=MAIN, filter=Filter(metrics=["x" * 201])), "filter.metrics"),
        (Get(name=MAIN, filter=Filter(metrics=["x"] * 101)), "filter.metrics"),
        (Get(name=MAIN, filter=Filter(labels={str(n): "" for n in range(21)})), "filter.labels"),
        (Get(name="main"), "name"),
        (Watch(name=MAIN, interval={"nanos": 999_999_999}), "interval"),
        (Watch(name=MAIN, interval={"seconds": 3601}), "interval"),
        (Watch(name=MAIN, interval={"seconds": -5}), "interval"),
        (Watch(name=MAIN, filter=Filter(metrics=[""])), "filter.metrics"),
        (Describe(parent=MAIN, page_size=-1), "page_size"),
        (Describe(parent=MAIN, page_token="nope"), "page_token"),
    ],
)
async def test_a_wrong_field_is_named(stub, request_, field):
    if isinstance(request_, Watch):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.WatchSnapshots(request_).read()
        answer = answer_of(caught.value)
    elif isinstance(request_, Get):
        answer = await refused(stub.GetSnapshot(request_))
    else:
        answer = await refused(stub.ListMetricDescriptors(request_))
    assert (answer.code, answer.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert answer.metadata["field"] == field


@pytest.mark.parametrize("name", ["databases/nope", "databases/main"])
@pytest.mark.parametrize("method", ["GetSnapshot", "WatchSnapshots", "ListMetricDescriptors"])
async def test_no_database_and_no_sampler_are_told_of(method, name, databases, kept):
    hub = MetricsHub(["main"], sampled=False)
    config = ServerConfig(grpc_listen="127.0.0.1:0")
    rpc = RpcServer(config, databases, kept.telemetry, services=[metrics_service(hub)])
    port = await rpc.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = getattr(metrics_pb2_grpc.MetricsServiceStub(channel), method)
        if method == "WatchSnapshots":
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call(Watch(name=name)).read()
            answer = answer_of(caught.value)
        elif method == "GetSnapshot":
            answer = await refused(call(Get(name=name)))
        else:
            answer = await refused(call(Describe(parent=name)))
    await rpc.stop(0)
    missing = (grpc.StatusCode.NOT_FOUND, "DATABASE_NOT_FOUND")
    off = (grpc.StatusCode.FAILED_PRECONDITION, "METRICS_OFF")
    assert (answer.code, answer.reason) == (off if name == MAIN else missing)


class TestDescriptors:
    async def test_each_says_what_its_metric_means_and_how_its_collector_does(self, stub):
        page = await stub.ListMetricDescriptors(Describe(parent=MAIN, page_size=1000))
        found = {each.metric: each for each in page.descriptors}
        assert sorted(found) == [each.metric for each in page.descriptors]
        commits = found[COMMITS.name]
        assert (commits.type, commits.unit) == (metrics_pb2.COUNTER, "{transaction}")
        assert (list(commits.labels), commits.help) == (["datname"], "Commits.")
        assert (commits.collector, commits.state) == (
            "stat_database",
            metrics_pb2.CollectorStatus.OK,
        )
        # Declared by a collector that has given no sample here.
        failed = next(each for each in page.descriptors if each.collector == "stat_statements")
        assert failed.state == metrics_pb2.CollectorStatus.FAILED
        assert failed.message == "it took too long"

    async def test_pages_hold_each_once(self, stub):
        whole = await stub.ListMetricDescriptors(Describe(parent=MAIN, page_size=1000))
        names, token = [], ""
        while True:
            page = await stub.ListMetricDescriptors(
                Describe(parent=MAIN, page_size=2, page_token=token)
            )
            assert len(page.descriptors) <= 2
            names += [each.metric for each in page.descriptors]
            token = page.next_page_token
            if not token:
                break
        assert names == [each.metric for each in whole.descriptors]
        assert len(names) > 2

    async def test_a_database_that_is_not_sampled_yet_has_none(self, stub):
        page = await stub.ListMetricDescriptors(Describe(parent="databases/other"))
        assert list(page.descriptors) == []


class TestWatch:
    async def test_the_present_snapshot_comes_at_once_and_each_new_one_after_it(self, stub, hub):
        watch = stub.WatchSnapshots(Watch(name=MAIN, interval={"seconds": 1}))
        first = await following(watch)
        assert shown(first.snapshot)[(COMMITS.name, "app")] == 5.0
        assert (first.missed_count, list(first.gone)) == (0, [])
        began = asyncio.get_running_loop().time()
        commits(hub, ("app", 6.0))
        second = await following(watch)
        assert shown(second.snapshot) == {("pg_up",): 1.0, (COMMITS.name, "app"): 6.0}
        assert asyncio.get_running_loop().time() - began > 0.5
        watch.cancel()

    async def test_the_interval_is_ten_seconds_by_default(self, stub, hub):
        watch = stub.WatchSnapshots(Watch(name=MAIN))
        await following(watch)
        commits(hub, ("app", 6.0))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.5):
                await watch.read()

    async def test_changes_are_what_changed_since_the_message_before(self, stub, hub):
        watch = stub.WatchSnapshots(Watch(name=MAIN, interval={"seconds": 1}, changes_only=True))
        first = await following(watch)
        assert len(first.snapshot.samples) == 3
        commits(hub, ("app", 6.0), ("new", 1.0))
        second = await following(watch)
        assert shown(second.snapshot) == {(COMMITS.name, "app"): 6.0, (COMMITS.name, "new"): 1.0}
        assert shown(metrics_pb2.Snapshot(samples=second.gone)) == {(COMMITS.name,): 7.0}
        assert len(second.snapshot.collectors) == 3
        watch.cancel()

    async def test_a_filter_holds_for_every_message(self, stub, hub):
        chosen = Filter(labels={"datname": "app"})
        watch = stub.WatchSnapshots(Watch(name=MAIN, filter=chosen, interval={"seconds": 1}))
        assert shown((await following(watch)).snapshot) == {(COMMITS.name, "app"): 5.0}
        commits(hub, ("app", 6.0), ("new", 1.0))
        assert shown((await following(watch)).snapshot) == {(COMMITS.name, "app"): 6.0}
        watch.cancel()

    async def test_it_ends_when_the_daemon_stops(self, stub, hub):
        watch = stub.WatchSnapshots(Watch(name=MAIN))
        await following(watch)
        hub.drain()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await following(watch)
        answer = answer_of(caught.value)
        assert (answer.code, answer.reason) == (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN")

    async def test_one_who_does_not_read_misses_some_and_holds_up_nobody(self, stub, hub, served):
        """Its connection takes no more than it has room for; the rest is never kept."""
        # A window that does not grow with what the reader could take.
        room = [("grpc.http2.bdp_probe", 0), ("grpc.use_local_subchannel_pool", 1)]
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{served}", room)

        def publish(value: float) -> None:
            # More than fits into the buffers of a connection.
            commits(hub, *((f"database {number:>100}", value) for number in range(10_000)))

        publish(0.0)
        asked = Watch(name=MAIN, interval={"seconds": 1}, changes_only=True)
        slow = metrics_pb2_grpc.MetricsServiceStub(channel).WatchSnapshots(asked)
        quick = stub.WatchSnapshots(asked)
        for watch in (slow, quick):
            await following(watch)
        for number in range(1, 5):
            publish(float(number))
            seen = await following(quick)
            assert {each.value for each in seen.snapshot.samples} == {float(number)}
            assert seen.missed_count == 0
        arrived = []
        while not arrived or arrived[-1][0] < 4.0:
            late = await following(slow)
            arrived.append((late.snapshot.samples[0].value, late.missed_count))
        # What was on its way when it stopped reading, and then the newest.
        assert arrived == [(1.0, 0), (4.0, 2)]
        for watch in (slow, quick):
            watch.cancel()
        await channel.close()
