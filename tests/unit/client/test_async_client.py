"""The asyncio client, against a real server."""

import asyncio

import grpc
import pytest
from dbops.v1 import health_pb2
from dbops_client import (
    AsyncDbopsClient,
    CallCancelledError,
    DeadlineExceededError,
    InternalError,
    NotFoundError,
    UnavailableError,
)

from tests.unit.client.messages import Database, database, database_not_found, health, watched

TRACE = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")


@pytest.fixture
async def client(server):
    async with AsyncDbopsClient(server.target, token="t0ken") as client:
        yield client


async def say_healthy(request, context):
    return health()


async def hang(request, context):
    await asyncio.Event().wait()


def fails(times, code, then):
    """A handler that fails the first `times` calls with `code`, and answers `then` afterwards."""
    left = iter(range(times))

    async def handler(request, context):
        if next(left, None) is not None:
            await context.abort(code, "not now")
        return then

    return handler


class Script:
    """A WatchHealth handler: each call sends one list of messages, then waits to be ended."""

    def __init__(self, *calls):
        self._calls = iter(calls)
        self.ended = asyncio.Event()

    async def __call__(self, request, context):
        try:
            for response in next(self._calls, ()):
                yield response
            await asyncio.Event().wait()
        finally:
            self.ended.set()


async def test_databases_come_over_all_pages(server, client):
    async def pages(request, context):
        start = int(request.page_token or 0)
        return health_pb2.ListDatabasesResponse(
            databases=[database(f"db{start}"), database(f"db{start + 1}")],
            next_page_token=str(start + 2) if start < 4 else "",
        )

    server.list_databases = pages
    listing = client.databases.list(page_size=2, metadata=iter([TRACE]))
    names = [each.name async for each in listing]
    assert names == [f"databases/db{n}" for n in range(6)]
    assert [request.page_size for _, request, _ in server.calls] == [2, 2, 2]
    assert server.metadata["traceparent"] == TRACE[1]


@pytest.mark.parametrize("name", ["main", "databases/main"])
async def test_health_is_asked_by_either_name(server, client, name):
    server.get_health = say_healthy
    assert await client.health.get(name, metadata=[TRACE]) == health()
    ((_, request, _),) = server.calls
    assert request.name == "databases/main"
    assert server.metadata["authorization"] == "Bearer t0ken"
    assert server.metadata["traceparent"] == TRACE[1]
    assert server.metadata["user-agent"].startswith("dbops-client/0.")


async def test_a_refusal_is_its_own_exception(server, client):
    async def refuse(request, context):
        await context.abort(*database_not_found("shop"))

    server.get_health = refuse
    with pytest.raises(NotFoundError) as caught:
        await client.health.get("shop")
    assert caught.value.reason == "DATABASE_NOT_FOUND"
    assert caught.value.metadata == {"database": "shop"}


async def test_unavailable_is_tried_four_times_and_no_more(server, client):
    server.get_health = fails(4, grpc.StatusCode.UNAVAILABLE, then=health())
    with pytest.raises(UnavailableError, match="not now"):
        await client.health.get("main")
    assert len(server.calls) == 4


async def test_nothing_else_is_tried_again(server, client):
    server.get_health = fails(1, grpc.StatusCode.INTERNAL, then=health())
    with pytest.raises(InternalError):
        await client.health.get("main")
    assert len(server.calls) == 1


async def test_a_hung_server_does_not_hold_the_caller(server):
    server.get_health = hang
    async with AsyncDbopsClient(server.target, timeout_s=0.1) as client:
        with pytest.raises(DeadlineExceededError):
            await client.health.get("main")


async def test_a_deadline_can_be_set_for_one_call(server, client):
    server.get_health = hang
    with pytest.raises(DeadlineExceededError):
        await client.health.get("main", timeout_s=0.1)


async def test_a_refused_connection_is_unavailable_and_has_no_reason(server):
    await server.stop()
    async with AsyncDbopsClient(server.target) as client:
        with pytest.raises(UnavailableError) as caught:
            await client.health.get("main")
    assert caught.value.reason == ""


async def test_a_watch_yields_what_the_server_sends(server, client):
    server.watch_health = script = Script([watched(), watched(state=Database.UNHEALTHY)])
    async with client.health.watch("main", every_probe=True, metadata=[TRACE]) as watch:
        states = [(await anext(watch)).state, (await anext(watch)).state]
    assert states == [Database.HEALTHY, Database.UNHEALTHY]
    ((_, request, _),) = server.calls
    assert (request.name, request.every_probe) == ("databases/main", True)
    assert server.metadata["authorization"] == "Bearer t0ken"
    assert server.metadata["traceparent"] == TRACE[1]
    await asyncio.wait_for(script.ended.wait(), 10)  # leaving the block ends the call


async def test_a_watch_outlives_a_restart_of_the_server(server, client):
    server.watch_health = Script([watched()], [watched(state=Database.DEGRADED)])
    watch = client.health.watch("main")
    assert (await anext(watch)).state == Database.HEALTHY
    after = asyncio.create_task(anext(watch))
    await server.stop()
    await server.start()
    assert (await asyncio.wait_for(after, 10)).state == Database.DEGRADED
    watch.close()


async def test_a_watch_waits_for_a_server_that_starts_later(server, client):
    await server.stop()
    server.watch_health = Script([watched()])
    watch = client.health.watch("main")
    first = asyncio.create_task(anext(watch))
    done, _ = await asyncio.wait({first}, timeout=0.1)
    assert not done
    await server.start()
    assert (await asyncio.wait_for(first, 10)).state == Database.HEALTHY
    watch.close()


async def test_a_watch_that_the_server_ends_is_taken_up_again(server, client):
    async def one_message(request, context):
        yield watched()

    server.watch_health = one_message
    watch = client.health.watch("main")
    for _ in range(2):
        await anext(watch)
    watch.close()
    assert len(server.calls) == 2


async def test_a_watch_gives_up_in_the_end_and_is_closed(server, client):
    await server.stop()
    watch = client.health.watch("main", reconnect_for_s=0.3)
    with pytest.raises(UnavailableError):
        await anext(watch)
    assert [each async for each in watch] == []


async def test_another_error_ends_a_watch_at_once(server, client):
    async def refuse(request, context):
        await context.abort(*database_not_found("shop"))
        yield

    server.watch_health = refuse
    with pytest.raises(NotFoundError, match="shop"):
        await anext(client.health.watch("shop"))
    assert len(server.calls) == 1


async def test_a_silent_server_does_not_hold_the_watcher(server, client):
    server.watch_health = script = Script([])
    with pytest.raises(DeadlineExceededError, match=r"no first message within 0\.1 s"):
        await anext(client.health.watch("main", timeout_s=0.1))
    await asyncio.wait_for(script.ended.wait(), 10)


async def test_after_the_first_message_silence_is_not_an_error(server, client):
    server.watch_health = Script([watched()])
    watch = client.health.watch("main", timeout_s=0.1)
    await anext(watch)
    second = asyncio.create_task(anext(watch))
    done, _ = await asyncio.wait({second}, timeout=0.3)
    assert not done
    watch.close()
    with pytest.raises(StopAsyncIteration):
        await second


async def test_closing_a_watch_stops_its_reader_and_the_call(server, client):
    server.watch_health = script = Script([watched()])
    watch = client.health.watch("main")
    await anext(watch)

    async def rest():
        return [each async for each in watch]

    reader = asyncio.create_task(rest())
    done, _ = await asyncio.wait({reader}, timeout=0.05)
    assert not done
    watch.close()
    assert await asyncio.wait_for(reader, 10) == []
    await asyncio.wait_for(script.ended.wait(), 10)


async def test_cancelling_the_reader_cancels_the_call(server, client):
    server.watch_health = script = Script([watched()])
    watch = client.health.watch("main")
    await anext(watch)
    reader = asyncio.create_task(anext(watch))
    done, _ = await asyncio.wait({reader}, timeout=0.05)
    assert not done
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    await asyncio.wait_for(script.ended.wait(), 10)


async def test_closing_the_client_under_a_watch_is_said(server):
    server.watch_health = Script([watched()])
    client = AsyncDbopsClient(server.target)
    watch = client.health.watch("main")
    await anext(watch)
    reader = asyncio.create_task(anext(watch))
    done, _ = await asyncio.wait({reader}, timeout=0.05)
    assert not done
    await client.close()
    with pytest.raises(CallCancelledError):
        await reader


async def test_closing_the_client_under_a_call_is_said(server):
    arrived = asyncio.Event()

    async def arrive_and_hang(request, context):
        arrived.set()
        await hang(request, context)

    server.get_health = arrive_and_hang
    client = AsyncDbopsClient(server.target)
    asking = asyncio.create_task(client.health.get("main"))
    await asyncio.wait_for(arrived.wait(), 10)
    await client.close()
    with pytest.raises(CallCancelledError):
        await asking


async def test_cancelling_the_caller_stays_a_cancellation(server, client):
    server.get_health = hang
    asking = asyncio.create_task(client.health.get("main"))
    done, _ = await asyncio.wait({asking}, timeout=0.05)
    assert not done
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_a_channel_that_was_handed_in_is_used_and_stays_open(server):
    server.get_health = say_healthy
    async with grpc.aio.insecure_channel(server.target) as channel:
        for _ in range(2):
            async with AsyncDbopsClient("nowhere.invalid", channel=channel) as client:
                assert await client.health.get("main") == health()


def test_a_client_can_be_made_before_the_loop_runs(unused_tcp_port):
    client = AsyncDbopsClient(f"127.0.0.1:{unused_tcp_port}", timeout_s=0.2)

    async def ask():
        async with client:
            await client.health.get("main")

    with pytest.raises((UnavailableError, DeadlineExceededError)):
        asyncio.run(ask())
