"""The HTTP listener with more, or other, connections than it is there for."""

import asyncio
import contextlib
import os
import resource
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from dbopsd.config import ServerConfig, TelemetryConfig
from dbopsd.http.listener import Listener
from dbopsd.http.server import HttpServer
from dbopsd.security.connections import Connections
from dbopsd.telemetry.setup import start_telemetry
from tests.support.flood import FIRST_BYTES, Flood
from tests.support.patience import eventually
from tests.unit.rpc.boards import board

MOST = 20


async def livez(port: int) -> int:
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
        session.get(f"http://127.0.0.1:{port}/livez") as response,
    ):
        return response.status


@pytest.fixture
async def port() -> AsyncIterator[int]:
    config = ServerConfig(http_listen="127.0.0.1:0", max_connections=MOST)
    server = HttpServer(config, board("main"), start_telemetry(TelemetryConfig(), version="1"))
    yield await server.start()
    await server.stop(0)


@pytest.mark.parametrize("first_bytes", FIRST_BYTES)
async def test_a_full_listener_serves_who_comes(port, caplog, first_bytes):
    with await asyncio.to_thread(Flood, port, 5 * MOST, FIRST_BYTES[first_bytes]) as flood:
        for _ in range(10):
            assert await livez(port) == 200
        await eventually(lambda: flood.open <= MOST, 10)
        said = [record for record in caplog.records if "HTTP listener is full" in record.message]
        # What is no HTTP is answered at once, with the end: that flood may never fill the listener.
        fewest = 0 if first_bytes == "half of a TLS handshake" else 1
        assert fewest <= len(said) <= 1
    assert await livez(port) == 200


async def test_a_connection_in_use_stays_while_others_flood(port):
    """Keep-alive over which requests are made, as a scraper's is."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(3):
        writer.write(FIRST_BYTES["an HTTP request"])
        answer = await asyncio.wait_for(reader.readuntil(b'{"alive": true}'), 10)
        assert answer.startswith(b"HTTP/1.1 200")
        with await asyncio.to_thread(Flood, port, 5 * MOST) as flood:
            await eventually(lambda flood=flood: flood.open < MOST, 10)
    writer.close()


@contextlib.asynccontextmanager
async def listening(first_request_s: float) -> AsyncIterator[int]:
    async def hello(request: web.BaseRequest) -> web.Response:
        peer = request.transport.get_extra_info("peername")
        listener.request_begun((peer[0], peer[1]))
        return web.Response(text="hello")

    server = web.Server(hello)
    listener = Listener(server, Connections(MOST), None, first_request_s=first_request_s)
    try:
        yield await listener.open("127.0.0.1", 0)
    finally:
        listener.close()
        await server.shutdown(0)
        await listener.end()


@pytest.mark.parametrize("first_bytes", ["nothing", "half of an HTTP request"])
async def test_who_sends_no_request_is_hung_up_on(first_bytes):
    async with listening(0.2) as port:
        with await asyncio.to_thread(Flood, port, 3, FIRST_BYTES[first_bytes]) as flood:
            assert flood.open == 3
            await eventually(lambda: flood.open == 0, 5)


async def test_who_has_sent_one_may_take_its_time_for_the_next():
    async with listening(0.2) as port:
        with (
            await asyncio.to_thread(Flood, port, 1) as silent,
            await asyncio.to_thread(Flood, port, 1, FIRST_BYTES["an HTTP request"]) as used,
        ):
            await eventually(lambda: silent.open == 0, 5)
            # As long again: the one that was opened after the other had its whole time, too.
            with await asyncio.to_thread(Flood, port, 1) as silent:
                await eventually(lambda: silent.open == 0, 5)
            assert used.open == 1


async def test_nothing_is_kept_of_connections_that_made_room():
    server = web.Server(never_asked)
    listener = Listener(server, Connections(MOST), None, first_request_s=0.5)
    try:
        port = await listener.open("127.0.0.1", 0)
        with await asyncio.to_thread(Flood, port, 3 * MOST) as flood:
            await eventually(lambda: flood.open == 0, 10)
        await eventually(lambda: not listener._deadlines, 5)
    finally:
        listener.close()
        await server.shutdown(0)
        await listener.end()


async def never_asked(_request: web.BaseRequest) -> web.Response:
    raise AssertionError("no request was sent")


async def test_without_descriptors_it_pauses_and_says_so_once(caplog):
    async with listening(10) as port:
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        client = socket.socket()
        client.setblocking(False)
        highest = max(int(entry.name) for entry in Path("/proc/self/fd").iterdir())
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, limits[1]))
            held = []
            with contextlib.suppress(OSError):
                while True:
                    held.append(os.dup(client.fileno()))
            await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", port))
            said = await eventually(
                lambda: [record for record in caplog.records if "cannot accept" in record.message]
            )
            await asyncio.sleep(0.3)
        finally:
            for descriptor in held:
                os.close(descriptor)
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        # Since when it has taken the one that waits.
        await asyncio.get_running_loop().sock_sendall(client, FIRST_BYTES["an HTTP request"])
        answer = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(client, 12), 10)
        assert answer == b"HTTP/1.1 200"
        client.close()
        assert len(said) == len([r for r in caplog.records if "cannot accept" in r.message]) == 1
        assert [record.name for record in caplog.records if record.name == "asyncio"] == []


async def test_both_addresses_of_localhost_are_served():
    config = ServerConfig(http_listen="localhost:0")
    server = HttpServer(config, board("main"), start_telemetry(TelemetryConfig(), version="1"))
    port = await server.start()
    assert await livez(port) == 200
    await server.stop(0)
