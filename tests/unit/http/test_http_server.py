"""The health paths over a real connection."""

import socket
from collections.abc import AsyncIterator
from math import inf

import aiohttp
import pytest
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from dbopsd.config import ServerConfig, TelemetryConfig
from dbopsd.errors import ListenerUnavailable
from dbopsd.health.board import HealthBoard
from dbopsd.health.report import State
from dbopsd.http.server import HttpServer
from dbopsd.telemetry.setup import start_telemetry
from tests.unit.rpc.answers import durations
from tests.unit.rpc.boards import NOW, board, report, unasked

HEALTH = "/api/health/database"
TRACE_ID, PARENT_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def databases() -> HealthBoard:
    return board("main", "other")


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def metrics() -> InMemoryMetricReader:
    return InMemoryMetricReader()


@pytest.fixture
def telemetry(spans, metrics):
    return start_telemetry(
        TelemetryConfig(),
        version="1",
        span_processors=[SimpleSpanProcessor(spans)],
        metric_readers=[metrics],
    )


@pytest.fixture
async def client(databases, telemetry) -> AsyncIterator[aiohttp.ClientSession]:
    server = HttpServer(
        ServerConfig(http_listen="127.0.0.1:0"), databases, telemetry, clock=lambda: NOW
    )
    port = await server.start()
    databases.accept()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        yield session
    await server.stop(1)


async def get(client, path, **options):
    async with client.get(path, **options) as response:
        assert response.headers["Cache-Control"] == "no-store"
        assert response.content_type == "application/json"
        return response.status, await response.json()


async def reason(client, path):
    status, body = await get(client, path)
    assert set(body) == {"error"}
    assert body["error"]["message"]
    return status, body["error"]["reason"]


async def test_livez_never_depends_on_a_database(client, databases):
    databases.publish(report("main", State.UNHEALTHY))
    databases.drain()
    assert await get(client, "/livez") == (200, {"alive": True})


async def test_readyz_follows_the_board(client, databases):
    assert await get(client, "/readyz") == (200, {"ready": True})
    databases.publish(report("main", State.UNHEALTHY))
    assert await get(client, "/readyz") == (503, {"ready": False})
    databases.publish(report("main", State.DEGRADED))
    assert (await get(client, "/readyz"))[0] == 200
    databases.drain()
    assert (await get(client, "/readyz"))[0] == 503


async def test_all_databases(client):
    status, body = await get(client, HEALTH)
    assert status == 200
    assert body["state"] == "HEALTHY"
    main, other = body["databases"]
    assert other["name"] == "other"
    assert main == {
        "name": "main",
        "state": "HEALTHY",
        "explanation": "",
        "server_role": "PRIMARY",
        "server_version": "18.6",
        "answer_time": "2023-11-14T22:13:20.500Z",
        "age_s": 9.75,
    }


async def test_one_database_in_detail(client):
    status, body = await get(client, f"{HEALTH}?database=main&detailed=true")
    assert status == 200
    (main,) = body["databases"]
    reachable, lag = main["checks"]
    assert reachable == {
        "check": "reachable",
        "state": "HEALTHY",
        "value": 0.002,
        "unit": "s",
        "warning_threshold": 1,
        "critical_threshold": 5,
        "reason": "",
        "message": "answered in 2 ms",
        "measure_time": "2023-11-14T22:13:20.500Z",
        "age_s": 9.75,
    }
    assert lag["value"] is lag["age_s"] is lag["measure_time"] is None


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (State.HEALTHY, 200),
        (State.DEGRADED, 200),
        (State.UNHEALTHY, 503),
        (State.UNKNOWN, 503),
    ],
)
async def test_the_status_is_the_worst_state(client, databases, state, status):
    databases.publish(report("other", state))
    got, body = await get(client, HEALTH)
    assert (got, body["state"]) == (status, state.value)
    assert (await get(client, f"{HEALTH}?database=other"))[0] == status
    assert (await get(client, f"{HEALTH}?database=main"))[0] == 200


async def test_before_the_first_answer_nothing_is_made_up(client, databases):
    databases.publish(unasked("main"))
    _, body = await get(client, f"{HEALTH}?database=main")
    main = body["databases"][0]
    assert main["answer_time"] is main["age_s"] is main["server_role"] is None
    assert main["server_version"] is None


async def test_a_value_that_json_does_not_have_is_null(client, databases):
    databases.publish(report("main", value=inf))
    _, body = await get(client, f"{HEALTH}?detailed=true&database=main")
    assert body["databases"][0]["checks"][0]["value"] is None


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/nope", (404, "PATH_NOT_FOUND")),
        ("/", (404, "PATH_NOT_FOUND")),
        (f"{HEALTH}?database=nope", (404, "DATABASE_NOT_FOUND")),
        (f"{HEALTH}?database=", (404, "DATABASE_NOT_FOUND")),
        (f"{HEALTH}?detailed=yes", (400, "INVALID_FIELD")),
        (f"{HEALTH}?detailed=", (400, "INVALID_FIELD")),
        (f"{HEALTH}?detailed=true&detailed=false", (400, "INVALID_FIELD")),
        (f"{HEALTH}?verbose=true", (400, "INVALID_FIELD")),
        ("/livez?x=1", (400, "INVALID_FIELD")),
    ],
)
async def test_bad_requests_say_why(client, path, answer):
    assert await reason(client, path) == answer


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"])
async def test_other_methods_are_refused_as_json(client, method):
    async with client.request(method, "/livez", data=b"") as response:
        assert response.status == 405
        assert response.headers["Allow"] == "GET, HEAD"
        assert (await response.json())["error"]["reason"] == "METHOD_NOT_ALLOWED"


async def test_head_works(client, databases):
    for path in ("/livez", "/readyz", HEALTH):
        async with client.head(path) as response:
            assert response.status == 200
            assert await response.read() == b""
    databases.publish(report("main", State.UNHEALTHY))
    async with client.head(HEALTH) as response:
        assert response.status == 503


async def test_an_unforeseen_error_keeps_its_text_to_the_log(client, databases, caplog):
    def crash():
        raise RuntimeError("the secret is squirrel")

    databases._reports = property(crash)
    status, body = await get(client, HEALTH)
    assert (status, body["error"]["reason"]) == (500, "INTERNAL")
    assert "squirrel" not in str(body)
    assert "trace id" in body["error"]["message"]
    assert "Traceback" in caplog.text


class TestTelemetry:
    async def test_a_request_has_a_span_in_the_callers_trace(self, client, spans):
        headers = {"traceparent": f"00-{TRACE_ID}-{PARENT_ID}-01"}
        await get(client, f"{HEALTH}?database=main", headers=headers)
        (span,) = spans.get_finished_spans()
        assert (span.name, span.kind) == (f"GET {HEALTH}", SpanKind.SERVER)
        assert f"{span.context.trace_id:032x}" == TRACE_ID
        assert f"{span.parent.span_id:016x}" == PARENT_ID
        assert dict(span.attributes) == {
            "http.request.method": "GET",
            "http.route": HEALTH,
            "http.response.status_code": 200,
            "url.path": HEALTH,
            "url.scheme": "http",
        }

    async def test_one_request_does_not_leak_into_the_next_of_its_connection(self, client, spans):
        headers = {"traceparent": f"00-{TRACE_ID}-{PARENT_ID}-01"}
        await get(client, "/livez", headers=headers)
        await get(client, "/livez")
        _, second = spans.get_finished_spans()
        assert second.parent is None

    async def test_a_503_is_an_error_and_a_404_is_none(self, client, databases, spans):
        databases.drain()
        await get(client, "/readyz")
        await get(client, "/secret/path")
        unready, lost = spans.get_finished_spans()
        assert unready.status.status_code is StatusCode.ERROR
        assert unready.attributes["error.type"] == "503"
        assert lost.status.status_code is StatusCode.UNSET
        assert (lost.name, lost.attributes["url.path"]) == ("GET", "/secret/path")
        assert "http.route" not in lost.attributes

    async def test_requests_are_measured_by_route_and_status(self, client, metrics):
        await get(client, "/livez")
        await get(client, "/nope/1")
        await get(client, "/nope/2")
        async with client.request("PROPFIND", "/livez"):
            pass
        series = durations(metrics, "http.server.request.duration")
        assert {
            (a["http.request.method"], a.get("http.route"), a["http.response.status_code"]): count
            for a, count in series
        } == {("GET", "/livez", 200): 1, ("GET", None, 404): 2, ("_OTHER", None, 405): 1}


async def test_a_port_in_use_is_said(databases, telemetry):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        server = HttpServer(ServerConfig(http_listen=address), databases, telemetry)
        with pytest.raises(ListenerUnavailable) as caught:
            await server.start()
        assert str(caught.value) == (
            f"cannot listen on {address}: the port is in use by another process; "
            "choose other addresses with [server] grpc_listen and http_listen"
        )
        await server.stop(1)


async def test_a_stop_closes_idle_connections_at_once(databases, telemetry):
    server = HttpServer(ServerConfig(http_listen="127.0.0.1:0"), databases, telemetry)
    port = await server.start()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        await get(session, "/livez")
        with socket.create_connection(("127.0.0.1", port)) as half:
            half.sendall(b"GET /livez HTTP/1.1\r\n")
            await server.stop(0.2)
        with pytest.raises(aiohttp.ClientError):
            await session.get("/livez")
