"""A gRPC server with more connections, or calls without a request, than it is there for."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import grpc.aio
import pytest
from dbops.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1 import health_pb2 as grpc_health_pb2
from grpc_health.v1 import health_pb2_grpc as grpc_health_pb2_grpc

from dbopsd.config import ServerConfig
from dbopsd.errors import MalformedRequest
from dbopsd.rpc.first_request import FirstRequest
from dbopsd.rpc.server import RpcServer
from dbopsd.security.access import Access
from dbopsd.security.errors import RequestMissing, TooManyCalls
from tests.support.flood import FIRST_BYTES, PREFACE, Flood, frame, headers
from tests.support.patience import eventually
from tests.unit.rpc.api import AUTH

MOST = 20
MOST_CALLS = 30
GET_HEALTH = "/dbops.v1.HealthService/GetHealth"
MAIN = health_pb2.GetHealthRequest(name="databases/main")
# A connection of its own for each channel.
OWN = [("grpc.use_local_subchannel_pool", 1)]
ADMIN = (("authorization", "Bearer admin"),)


@pytest.fixture(params=["127.0.0.1", "localhost"])
async def port(request, databases, kept) -> AsyncIterator[int]:
    config = ServerConfig(
        grpc_listen=f"{request.param}:0",
        max_connections=MOST,
        max_calls_per_client=MOST_CALLS,
    )
    rpc = RpcServer(config, databases, kept.telemetry, access=Access.load(config, AUTH))
    port = await rpc.start()
    databases.accept()
    yield port
    databases.drain()
    await rpc.stop(0)


async def check(port: int) -> int:
    """Ask a load balancer's question over a connection of its own, until it is answered."""

    async def ask() -> int:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=OWN) as channel:
            stub = grpc_health_pb2_grpc.HealthStub(channel)
            answer = await stub.Check(grpc_health_pb2.HealthCheckRequest(), timeout=5)
            return answer.status

    return await eventually(ask, 10)


@pytest.mark.parametrize("first_bytes", ["nothing", "an HTTP/2 connection"])
async def test_a_full_listener_serves_who_comes(port, caplog, first_bytes):
    with await asyncio.to_thread(Flood, port, 5 * MOST, FIRST_BYTES[first_bytes]) as flood:
        await eventually(lambda: flood.open <= MOST, 10)
        for _ in range(10):
            assert await check(port) == grpc_health_pb2.HealthCheckResponse.SERVING
        assert 0 < flood.open <= MOST
        said = [record for record in caplog.records if "gRPC listener is full" in record.message]
        assert len(said) == 1
    assert await check(port) == grpc_health_pb2.HealthCheckResponse.SERVING


async def test_who_has_called_or_watches_keeps_the_connection(port):
    async with contextlib.AsyncExitStack() as stack:
        channels = [
            await stack.enter_async_context(
                grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=OWN)
            )
            for _ in range(5)
        ]
        watched, *idle = [health_pb2_grpc.HealthServiceStub(channel) for channel in channels]
        watch = watched.WatchHealth(
            health_pb2.WatchHealthRequest(name="databases/main"), metadata=ADMIN
        )
        assert (await watch.read()).health.name
        for stub in idle:
            await stub.GetHealth(MAIN, metadata=ADMIN)
        for _ in range(3):
            with await asyncio.to_thread(Flood, port, 3 * MOST) as flood:
                await eventually(lambda flood=flood: flood.open <= MOST - len(channels), 10)
        assert {channel.get_state() for channel in channels} == {grpc.ChannelConnectivity.READY}
        assert not watch.done()


async def test_calls_without_a_request_are_limited_and_keep_nobody_out(port, kept):
    calls = b"".join(headers(2 * number + 1, GET_HEALTH) for number in range(50))
    first_bytes = PREFACE + frame(4, 0) + calls
    with await asyncio.to_thread(Flood, port, 10, first_bytes):
        # The others were answered, each with its end.
        await kept.finished(10 * 50 - MOST_CALLS)
        assert len(asyncio.all_tasks()) < 3 * MOST_CALLS + 50
        for _ in range(10):
            assert await check(port) == grpc_health_pb2.HealthCheckResponse.SERVING
    codes = {
        span.attributes["rpc.response.status_code"] for span in kept.spans.get_finished_spans()
    }
    assert codes == {"RESOURCE_EXHAUSTED"}


class Context:
    def peer(self) -> str:
        return "ipv4:192.0.2.1:1"


async def never():
    await asyncio.Event().wait()
    yield


async def none():
    for nothing in ():
        yield nothing


async def test_a_request_that_does_not_come_is_given_up():
    first_request = FirstRequest(1, 0.2)
    waiting = first_request.unary("x/Y", refuse)
    with pytest.raises(RequestMissing):
        await asyncio.wait_for(waiting(never(), Context()), 10)
    assert first_request.waiting == 0


async def test_one_more_takes_the_place_of_the_oldest():
    first_request = FirstRequest(2)
    waiting = first_request.stream("x/Y", refuse)
    calls = [asyncio.create_task(waiting(never(), Context(), None)) for _ in range(5)]
    done, pending = await asyncio.wait(calls, timeout=0.5)
    assert done == set(calls[:3])
    assert [type(call.exception()) for call in done] == [TooManyCalls] * 3
    assert first_request.waiting == 2
    for call in pending:
        call.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    assert first_request.waiting == 0


async def test_one_whose_time_is_up_already_makes_room_too():
    first_request = FirstRequest(1, 0.05)
    waiting = first_request.unary("x/Y", refuse)
    first = asyncio.create_task(waiting(never(), Context()))
    await asyncio.sleep(0)
    # The loop finds both due in one round: the second one comes to a first whose time is up, but
    # which has not run since.
    second: list[asyncio.Task[None]] = []
    asyncio.get_running_loop().call_later(
        0.01, lambda: second.append(asyncio.create_task(waiting(never(), Context())))
    )
    time.sleep(0.1)
    with pytest.raises(RequestMissing):
        await first
    with pytest.raises(RequestMissing):
        await second[0]
    assert first_request.waiting == 0


async def test_a_call_that_ends_without_its_request_is_malformed():
    with pytest.raises(MalformedRequest):
        await FirstRequest(1).unary("x/Y", refuse)(none(), Context())


async def refuse(*_):
    raise AssertionError("there is no request")
