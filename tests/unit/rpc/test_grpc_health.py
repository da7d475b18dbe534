"""grpc.health.v1 over a real channel."""

import asyncio

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from dbopsd.health.report import State
from tests.unit.rpc.answers import answer_of, refused
from tests.unit.rpc.boards import report, unasked

S = health_pb2.HealthCheckResponse
SERVICES = [
    "dbops.v1.HealthService",
    "dbops.v1.ProbeService",
    "grpc.channelz.v1.Channelz",
    "grpc.health.v1.Health",
    "grpc.reflection.v1alpha.ServerReflection",
]


@pytest.fixture
def stub(channel):
    return health_pb2_grpc.HealthStub(channel)


async def check(stub, name):
    return (await stub.Check(health_pb2.HealthCheckRequest(service=name))).status


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (State.HEALTHY, S.SERVING),
        (State.DEGRADED, S.SERVING),
        (State.UNHEALTHY, S.NOT_SERVING),
        (State.UNKNOWN, S.UNKNOWN),
    ],
)
async def test_a_database_is_as_its_report_says(stub, databases, state, status):
    databases.publish(report("main", state))
    assert await check(stub, "databases/main") == status
    serving = state in (State.HEALTHY, State.DEGRADED)
    for name in ("", "readiness"):
        assert await check(stub, name) == (S.SERVING if serving else S.NOT_SERVING)
    assert await check(stub, "databases/other") == S.SERVING


async def test_liveness_depends_on_no_database_and_no_drain(stub, databases):
    databases.publish(unasked("main"))
    databases.publish(report("other", State.UNHEALTHY))
    assert await check(stub, "liveness") == S.SERVING
    databases.drain()
    assert await check(stub, "liveness") == S.SERVING


async def test_a_drain_turns_the_rest_off(stub, databases):
    databases.drain()
    for name in ("", "readiness", *SERVICES):
        assert await check(stub, name) == S.NOT_SERVING, name
    assert await check(stub, "databases/main") == S.SERVING


async def test_list_has_every_name(stub, databases):
    databases.publish(report("main", State.UNHEALTHY))
    statuses = (await stub.List(health_pb2.HealthListRequest())).statuses
    assert sorted(statuses) == sorted(
        ["", "readiness", "liveness", "databases/main", "databases/other", *SERVICES]
    )
    for name, answer in statuses.items():
        assert answer.status == await check(stub, name)


async def test_check_of_an_unknown_name_is_not_found(stub):
    answer = await refused(stub.Check(health_pb2.HealthCheckRequest(service="databases/nope")))
    assert (answer.code, answer.reason) == (grpc.StatusCode.NOT_FOUND, "SERVICE_NOT_FOUND")
    assert answer.metadata == {"service": "databases/nope"}


async def read(watch):
    return (await asyncio.wait_for(watch.read(), 5)).status


async def test_watch_sends_the_present_and_then_only_changes(stub, databases):
    watch = stub.Watch(health_pb2.HealthCheckRequest(service="databases/main"))
    assert await read(watch) == S.SERVING
    databases.publish(report("main", State.DEGRADED))  # still SERVING
    await asyncio.sleep(0.05)
    databases.publish(report("main", State.UNHEALTHY))
    assert await read(watch) == S.NOT_SERVING
    databases.publish(report("main"))
    assert await read(watch) == S.SERVING


async def test_watch_of_readiness_hears_of_the_end_and_ends(stub, databases):
    watch = stub.Watch(health_pb2.HealthCheckRequest(service="readiness"))
    assert await read(watch) == S.SERVING
    databases.leave()
    assert await read(watch) == S.NOT_SERVING
    databases.drain()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await watch.read()
    assert answer_of(caught.value).reason == "SHUTTING_DOWN"


async def test_watch_of_an_unknown_name_stays_open(stub, databases):
    watch = stub.Watch(health_pb2.HealthCheckRequest(service="nope"))
    assert await read(watch) == S.SERVICE_UNKNOWN
    databases.publish(report("main", State.UNHEALTHY))
    _, pending = await asyncio.wait({asyncio.ensure_future(watch.read())}, timeout=0.1)
    assert pending
    assert not watch.done()
    watch.cancel()
