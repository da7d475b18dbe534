"""The push to a real OTLP receiver."""

import asyncio
from types import SimpleNamespace

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality
from opentelemetry.sdk.resources import Resource

from dbopsd.config import TelemetryConfig
from dbopsd.metrics.hub import MetricsHub
from dbopsd.metrics.model import Metric, MetricType
from dbopsd.metrics.otlp.names import load_names
from dbopsd.metrics.otlp.points import Temporality
from dbopsd.metrics.otlp.push import MetricsPush
from dbopsd.telemetry.otlp_metrics import MetricsSender, metric_exporter
from tests.unit.metrics.made import COMMITS, UP, collection

RATIO = Metric("pg_ratio", MetricType.GAUGE, "1", "A ratio.", ("a",))
CALLS = Metric("pg_calls_total", MetricType.COUNTER, "{call}", "Calls.", ("queryid",))
SECONDS = 1_000_000_000
PROTOCOLS = ("grpc", "http/protobuf")


class Pushing:
    """A push whose clock the test sets."""

    def __init__(self, otlp, protocol="grpc", *, temporality=Temporality.CUMULATIVE, timeout_s=5):
        config = TelemetryConfig(
            otlp_endpoint=otlp.grpc_endpoint if protocol == "grpc" else otlp.http_endpoint,
            otlp_protocol=protocol,
            otlp_timeout_s=timeout_s,
        )
        self.hub = MetricsHub(["main", "other"])
        self.now = 1000.0
        self.sender = MetricsSender(metric_exporter(config, config.otlp_endpoint, {}), timeout_s)
        self.push = MetricsPush(
            self.hub,
            self.sender.send,
            load_names(),
            lambda name: Resource({"dbops.database": name}),
            version="1.2.3",
            temporality=temporality,
            interval_s=0.05,
            clock=lambda: self.now,
        )

    def publish(self, commits: float, *, database="main"):
        self.hub.publish(
            database,
            {
                "up": collection("up", (UP, (), 1.0), (RATIO, ("x",), 0.25)),
                "database": collection("database", (COMMITS, ("app",), commits)),
            },
        )

    def counts(self, name):
        """How the push does: a metric's values by labels."""
        subject = SimpleNamespace(database=SimpleNamespace(name="main"), now=self.now)
        samples = self.push.source.samples(subject)
        return {
            each.series.labels: each.value for each in samples if each.series.metric.name == name
        }


@pytest.fixture
def pushing(otlp):
    made = Pushing(otlp)
    yield made
    made.sender.close()


def points(otlp, name):
    """(attributes, start, time, value) of each point, in seconds."""
    return [
        (
            {each.key: each.value.string_value for each in point.attributes},
            point.start_time_unix_nano / SECONDS,
            point.time_unix_nano / SECONDS,
            getattr(point, point.WhichOneof("value")),
        )
        for metric in otlp.metrics(name)
        for point in metric.points
    ]


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_collector_gets_each_database_as_a_resource(otlp, protocol):
    pushing = Pushing(otlp, protocol)
    pushing.publish(5.0)
    pushing.publish(7.0, database="other")
    assert await pushing.push.push()
    pushing.sender.close()
    by_database = {each.resource["dbops.database"]: each for each in otlp.metrics("dbops.pg_up")}
    assert set(by_database) == {"main", "other"}
    up = by_database["main"]
    assert (up.type, up.unit, up.scope) == ("gauge", "1", "dbopsd.metrics")
    assert (up.raw.description, up.resource) == ("Whether it answers.", {"dbops.database": "main"})
    commits = {each.resource["dbops.database"]: each for each in otlp.metrics("postgresql.commits")}
    assert {name: each.points[0].as_int for name, each in commits.items()} == {
        "main": 5,
        "other": 7,
    }
    assert (commits["main"].type, commits["main"].unit) == ("sum", "1")
    assert commits["main"].raw.sum.is_monotonic
    assert points(otlp, "dbops.pg_ratio")[0] == ({"a": "x"}, 0.0, 1000.0, 0.25)


async def test_cumulative_counts_have_their_beginning(otlp, pushing):
    for now, commits in ((1000.0, 100.0), (1015.0, 130.0), (1030.0, 4.0)):
        pushing.now = now
        pushing.publish(commits)
        await pushing.push.push()
    found = [each[1:] for each in points(otlp, "postgresql.commits")]
    assert found == [
        (1000.0, 1000.0, 100),
        (1000.0, 1015.0, 130),
        (1015.0, 1030.0, 4),  # reset
    ]
    raw = otlp.metrics("postgresql.commits")[0].raw.sum
    assert raw.aggregation_temporality == AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE


async def test_deltas_are_growth_since_the_last_push_that_arrived(otlp):
    pushing = Pushing(otlp, temporality=Temporality.DELTA, timeout_s=1)
    for now, commits, fails in (
        (1000.0, 100.0, False),
        (1015.0, 130.0, False),
        (1030.0, 131.0, True),
        (1045.0, 135.0, False),
        (1060.0, 4.0, False),
        (1075.0, 4.0, False),
    ):
        pushing.now = now
        pushing.publish(commits)
        if fails:
            otlp.fail()
        assert await pushing.push.push() is not fails
        otlp.heal()
    pushing.sender.close()
    assert [each[1:] for each in points(otlp, "postgresql.commits")] == [
        (1000.0, 1015.0, 30),
        (1015.0, 1045.0, 5),
        (1045.0, 1060.0, 4),  # reset
        (1060.0, 1075.0, 0),
    ]
    raw = otlp.metrics("postgresql.commits")[0].raw.sum
    assert raw.aggregation_temporality == AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
    # Gauges have a value at each push that arrived.
    assert [each[2] for each in points(otlp, "dbops.pg_up")] == [1000, 1015, 1045, 1060, 1075]


async def test_many_points_go_in_several_requests(otlp, pushing):
    for name in ("one", "two", "three"):
        many = [(CALLS, (f"{name}{number}",), 1.0) for number in range(1500)]
        pushing.hub.publish("main", {name: collection(name, *many)})
    await pushing.push.push()
    assert [len(each.points) for each in otlp.metrics("dbops.pg_calls_total")] == [3000, 1500]
    assert pushing.counts("dbops_otlp_points_total") == {(): 4500.0}


async def test_a_collector_that_is_down_costs_an_attempt_and_is_counted(otlp):
    pushing = Pushing(otlp, timeout_s=1)
    pushing.publish(1.0)
    pushing.publish(1.0, database="other")
    otlp.fail()
    assert not await pushing.push.push()
    assert pushing.counts("dbops_otlp_requests_total") == {("success",): 0.0, ("failure",): 1.0}
    assert pushing.counts("dbops_otlp_last_success_timestamp_seconds") == {}
    # At the end it is not asked once more.
    requests = otlp.requests
    await pushing.push.finish(5)
    assert otlp.requests == requests
    otlp.heal()
    assert await pushing.push.push()
    assert pushing.counts("dbops_otlp_requests_total") == {("success",): 2.0, ("failure",): 1.0}
    assert pushing.counts("dbops_otlp_last_success_timestamp_seconds") == {(): 1000.0}
    assert {each.resource["dbops.database"] for each in otlp.metrics("dbops.pg_up")} == {
        "main",
        "other",
    }
    pushing.sender.close()


async def test_one_that_hangs_holds_up_nothing_and_is_asked_once_at_a_time(otlp):
    pushing = Pushing(otlp, timeout_s=30)
    pushing.publish(1.0)
    otlp.hang()
    running = asyncio.create_task(pushing.push.run())
    async with asyncio.timeout(10):
        while not otlp.requests:
            await asyncio.sleep(0.01)
    # The event loop goes on meanwhile, and the end does not wait for it.
    began = asyncio.get_running_loop().time()
    await pushing.push.finish(0.3)
    assert otlp.requests == 1
    pushing.sender.close()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert asyncio.get_running_loop().time() - began < 5
    otlp.heal()


async def test_it_pushes_every_interval_and_once_more_at_the_end(otlp, pushing):
    pushing.publish(1.0)
    running = asyncio.create_task(pushing.push.run())
    await asyncio.to_thread(otlp.wait_for, lambda r: len(r.metrics("dbops.pg_up")) >= 2, 10)
    pushing.publish(2.0)
    await pushing.push.finish(5)
    assert points(otlp, "postgresql.commits")[-1][-1] == 2
    await running
    pushed = len(otlp.metrics("dbops.pg_up"))
    await asyncio.sleep(0.2)
    assert len(otlp.metrics("dbops.pg_up")) == pushed


async def test_a_push_that_runs_at_the_end_is_not_cut_short(otlp):
    """Its growth would be sent once more."""
    pushing = Pushing(otlp, temporality=Temporality.DELTA)
    pushing.publish(1.0)
    await pushing.push.push()
    pushing.publish(4.0)
    pushing.now = 1015.0
    otlp.hang()
    asked = otlp.requests
    running = asyncio.create_task(pushing.push.push())
    async with asyncio.timeout(10):
        while otlp.requests == asked:
            await asyncio.sleep(0.01)
    pushing.now = 1016.0
    finishing = asyncio.create_task(pushing.push.finish(5))
    await asyncio.sleep(0.1)
    otlp.heal()
    await asyncio.gather(running, finishing)
    pushing.sender.close()
    assert [each[-1] for each in points(otlp, "postgresql.commits")] == [3, 0]


async def test_a_database_that_is_refused_does_not_keep_others_back(otlp, pushing):
    """Its samples may be what the collector does not take."""
    pushing.publish(1.0)
    pushing.publish(1.0, database="other")
    send, taken = pushing.sender.send, []

    async def picky(data):
        name = data.resource_metrics[0].resource.attributes["dbops.database"]
        if name == "main":
            return False
        taken.append(name)
        return await send(data)

    pushing.push._send = picky
    for _ in range(4):
        assert not await pushing.push.push()
    assert len(taken) >= 2
