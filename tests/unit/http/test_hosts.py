"""The HTTP server answers to its own names only."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from dbopsd.config import ServerConfig, TelemetryConfig
from dbopsd.http.hosts import Hosts
from dbopsd.http.server import HttpServer
from dbopsd.telemetry.setup import start_telemetry
from tests.unit.rpc.boards import board

CONFIGURED = ("dbopsd.example", "*.Monitoring.svc.", "metrics_1")


@pytest.fixture
async def port() -> AsyncIterator[int]:
    config = ServerConfig(http_listen="127.0.0.1:0", http_hosts=CONFIGURED)
    server = HttpServer(config, board("main"), start_telemetry(TelemetryConfig(), version="1"))
    yield await server.start()
    await server.stop(0)


async def ask(port: int, *hosts: str, path: str = "/livez", version: str = "1.1") -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = [f"GET {path} HTTP/{version}", *(f"Host: {host}" for host in hosts)]
    lines.append("Connection: close")
    writer.write("\r\n".join([*lines, "", ""]).encode())
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return answer


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "LOCALHOST:8080", "localhost.", "a.localhost", "127.0.0.1", "10.1.2.3:9090"),
        *("[::1]", "[::1]:8080", "[fe80::1]:1", socket.gethostname(), f"{socket.gethostname()}:1"),
        *("dbopsd.example", "DBOPSD.example.:443", "a.b.monitoring.svc:8080", "metrics_1"),
    ],
)
async def test_its_own_names_and_any_address(port, host):
    assert (await ask(port, host)).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example"),
        *("xlocalhost", "dbopsd.example.evil", "a.dbopsd.example", "monitoring.svc", "", ":8080"),
        *("127.0.0.1@evil.example", "evil.example#localhost", "[::1].evil.example", "2130706433"),
        *("0x7f000001", "127.1", "[::1", "::1]:80:evil"),
    ],
)
async def test_a_name_that_was_made_to_resolve_here(port, host):
    """DNS rebinding: the browser says the name of the page that asks."""
    for path in ("/livez", "/readyz", "/api/health/database?detailed=true", "/nope"):
        answer = await ask(port, host, path=path)
        assert answer.split(b" ")[1] in (b"421", b"400"), answer
        assert b"main" not in answer.replace(b"domain", b"")
    assert b"HOST_UNKNOWN" in await ask(port, "evil.example")


async def test_two_hosts_must_both_be_known(port):
    answer = await ask(port, "localhost", "evil.example")
    assert answer.split(b" ")[1] in (b"421", b"400")


async def test_without_a_host_it_is_no_browser(port):
    assert (await ask(port, version="1.0")).split(b" ")[1] == b"200"


def test_any_name_where_that_is_configured():
    assert Hosts(["*"]).known("evil.example:80")
    assert not Hosts([]).known("evil.example:80")
    assert Hosts.of(ServerConfig(http_listen="db.internal:8080")).known("db.internal:1")


@pytest.mark.parametrize("name", ["", "a b", "a:80", "http://a", "*.", "a.*", "**", "a" * 300])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(ValueError, match="no name of a host"):
        ServerConfig(http_hosts=(name,))
