"""`/metrics`, `/prometheus/targets` and `/api/health/database/metrics`, over a real connection."""

import asyncio
import contextlib
import gc
import gzip
import time
import weakref
from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from dbopsd.config import AuthConfig, ServerConfig, TelemetryConfig, TokenConfig
from dbopsd.http.metrics import MetricsPaths
from dbopsd.http.server import HttpServer
from dbopsd.metrics.hub import MetricsHub
from dbopsd.metrics.model import Collection, CollectorState, CollectorStatus, Metric, MetricType
from dbopsd.security.access import Access
from dbopsd.security.tokens import hash_token, new_token
from dbopsd.telemetry.setup import start_telemetry
from tests.unit.metrics.made import COMMITS, UP, collection
from tests.unit.rpc.boards import board

JSON = "/api/health/database/metrics"
PATHS = ("/metrics", "/prometheus/targets", JSON)
OPENMETRICS = "application/openmetrics-text; version=1.0.0,text/plain;q=0.5"
VIEWER, MAIN = new_token(), new_token()
ROWS = Metric("pg_rows", MetricType.GAUGE, "{row}", "Rows.", ("datname", "relname"))


@pytest.fixture
def hub() -> MetricsHub:
    hub = MetricsHub(["main", "other"])
    hub.publish(
        "main",
        {
            "up": collection("up", (UP, (), 1.0), at=20.5),
            "database": collection("database", (COMMITS, ('a"\\\n',), 5.0)),
            "tables": collection("tables", (ROWS, ("a", "t"), 3.0)),
        },
    )
    failed = CollectorStatus("database", CollectorState.FAILED, "QUERY_TIMEOUT", "too long")
    hub.publish("other", {"up": collection("up", (UP, (), 0.0)), "database": Collection(failed)})
    return hub


@contextlib.asynccontextmanager
async def serving(
    hub: MetricsHub,
    auth: AuthConfig | None = None,
    *,
    clock: Callable[[], float] = time.monotonic,
    **session,
):
    config = ServerConfig(http_listen="127.0.0.1:0")
    server = HttpServer(
        config,
        board("main", "other"),
        start_telemetry(TelemetryConfig(), version="1"),
        access=Access.load(config, auth or AuthConfig()),
        routes=MetricsPaths(hub, clock=clock).routes(),
    )
    port = await server.start()
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", **session) as client:
            yield client
    finally:
        await server.stop(1)


@pytest.fixture
async def client(hub) -> AsyncIterator[aiohttp.ClientSession]:
    # As it came over the line: not unpacked.
    async with serving(hub, auto_decompress=False) as client:
        yield client


async def text(client, path, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    async with client.get(path, headers={"Accept-Encoding": "identity", **headers}) as response:
        assert response.status == 200
        return await response.text(), response.headers


async def samples(client, path):
    found, headers = await text(client, path)
    assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    # Prometheus's own client appends `_total` to a counter's name when it reads it, too.
    return {
        (each.name.removesuffix("_total"), tuple(sorted(each.labels.items()))): each.value
        for family in text_string_to_metric_families(found)
        for each in family.samples
    }


async def error(client, path, token=None):
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with client.get(path, headers=headers) as response:
        body = await response.json() if response.content_type == "application/json" else {}
        found = body.get("error", {}) if isinstance(body, dict) else {}
        return response.status, found.get("reason", "")


class TestMetrics:
    async def test_one_database_has_no_label_of_ours(self, client):
        assert await samples(client, "/metrics?database=main") == {
            ("pg_up", ()): 1.0,
            (COMMITS.name, (("datname", 'a"\\\n'),)): 5.0,
            ("pg_rows", (("datname", "a"), ("relname", "t"))): 3.0,
        }

    async def test_all_databases_are_told_apart_by_a_label(self, client):
        found = await samples(client, "/metrics")
        assert found["pg_up", (("server", "main"),)] == 1.0
        assert found["pg_up", (("server", "other"),)] == 0.0
        assert found[COMMITS.name, (("datname", 'a"\\\n'), ("server", "main"))] == 5.0
        assert len(found) == 4

    async def test_openmetrics_for_who_accepts_it(self, client):
        found, headers = await text(client, "/metrics?database=main", Accept=OPENMETRICS)
        assert headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
        assert found.endswith("# EOF\n")
        families = {each.name: each for each in openmetrics.text_string_to_metric_families(found)}
        assert families["pg_up"].samples[0].value == 1.0
        assert families["pg_up"].type == "gauge"

    @pytest.mark.parametrize(
        ("accept", "chosen"),
        [
            ("*/*", "text/plain"),
            ("text/plain", "text/plain"),
            ("text/plain, application/openmetrics-text", "application/openmetrics-text"),
            ("application/openmetrics-text;version=1.0.0", "application/openmetrics-text"),
            # As Prometheus 2 and 3 ask.
            (
                (
                    "application/openmetrics-text;version=1.0.0;q=0.5,"
                    "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3"
                ),
                "application/openmetrics-text",
            ),
            (
                (
                    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;q=0.6,"
                    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
                    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,*/*;q=0.2"
                ),
                "application/openmetrics-text",
            ),
            ("application/openmetrics-text;q=0.2,text/plain;q=0.9", "text/plain"),
            ("application/openmetrics-text;q=0,*/*", "text/plain"),
            ("application/openmetrics-text;version=2.0.0,text/plain;q=0.1", "text/plain"),
            ("application/openmetrics-text;q=nonsense", "text/plain"),
            ("image/png", "text/plain"),
        ],
    )
    async def test_the_format_is_the_one_that_is_preferred(self, client, accept, chosen):
        _, headers = await text(client, "/metrics?database=main", Accept=accept)
        assert headers["Content-Type"].startswith(chosen)
        assert headers["Vary"] == "Accept, Accept-Encoding"

    @pytest.mark.parametrize(
        ("encodings", "compressed"),
        [
            ("gzip", True),
            ("deflate, gzip;q=0.5", True),
            ("*", True),
            ("gzip;q=0", False),
            ("identity;q=1, gzip;q=0.0", False),
            ("br", False),
            ("x-gzipped", False),
        ],
    )
    async def test_gzip_for_who_accepts_it(self, client, encodings, compressed):
        plain, _ = await text(client, "/metrics?database=main")
        asked = {"Accept-Encoding": encodings}
        async with client.get("/metrics?database=main", headers=asked) as response:
            body = await response.read()
            assert response.headers.get("Content-Encoding") == ("gzip" if compressed else None)
        assert (gzip.decompress(body) if compressed else body) == plain.encode()

    async def test_what_is_published_is_in_the_next_scrape_and_else_it_is_the_last_text(
        self, client, hub
    ):
        path = "/metrics?database=main"
        assert (await samples(client, path))["pg_up", ()] == 1.0
        hub.publish("main", {"up": collection("up", (UP, (), 0.0))})
        assert (await samples(client, path))["pg_up", ()] == 0.0
        assert (await samples(client, "/metrics"))["pg_up", (("server", "main"),)] == 0.0

    async def test_a_large_text_is_compressed_beside_other_requests(self, client, hub):
        many = [(ROWS, ("a", f"t{number}"), 1.0) for number in range(5000)]
        hub.publish("main", {"tables": collection("tables", *many)})
        asked = {"Accept-Encoding": "gzip"}

        async def scrape() -> bytes:
            async with client.get("/metrics?database=main", headers=asked) as response:
                return await response.read()

        first, *others = await asyncio.gather(*(scrape() for _ in range(10)))
        assert gzip.decompress(first).count(b"pg_rows{") == 5000
        assert all(each == first for each in others)

    async def test_a_text_that_nobody_asks_for_is_not_kept(self, hub):
        """Nor are the samples that it was made of."""
        now = [0.0]
        async with serving(hub, clock=lambda: now[0]) as client:
            await text(client, JSON)
            old = weakref.ref(hub.snapshot("main").collections["up"])
            await text(client, "/metrics?database=main")
            hub.publish("main", {"up": collection("up", (UP, (), 0.0))})
            await text(client, "/metrics?database=main")
            assert old() is not None
            now[0] = 2.5
            hub.publish("main", {"up": collection("up", (UP, (), 1.0))})
            await text(client, "/metrics?database=main")
            gc.collect()
            assert old() is None

    async def test_a_head_request_has_no_body(self, client):
        async with client.head("/metrics?database=main") as response:
            assert (response.status, await response.read()) == (200, b"")


class TestTargets:
    async def test_each_database_is_a_target_at_the_address_that_was_asked(self, hub):
        async with serving(hub) as client, client.get("/prometheus/targets") as response:
            assert response.content_type == "application/json"
            found = await response.json()
            host = f"127.0.0.1:{response.url.port}"
        assert [each["targets"] for each in found] == [[host], [host]]
        assert [each["labels"] for each in found] == [
            {"__metrics_path__": "/metrics", "__param_database": name, "instance": name}
            for name in ("main", "other")
        ]


class TestJson:
    async def test_all_databases_with_how_their_collectors_do(self, hub):
        async with serving(hub) as client, client.get(JSON) as response:
            assert (response.status, response.content_type) == (200, "application/json")
            main, other = (await response.json())["databases"]
        assert (main["name"], main["sample_time"]) == ("main", "1970-01-01T00:00:20.500Z")
        assert {each["name"]: each["state"] for each in main["collectors"]} == {
            "up": "OK",
            "database": "OK",
            "tables": "OK",
        }
        failed = next(each for each in other["collectors"] if each["name"] == "database")
        assert (failed["state"], failed["reason"]) == ("FAILED", "QUERY_TIMEOUT")
        assert failed["message"] == "too long"
        assert {each["metric"]: each for each in main["samples"]} == {
            "pg_up": {
                "metric": "pg_up",
                "labels": {},
                "value": 1.0,
                "unit": "1",
                "type": "GAUGE",
                "sample_time": "1970-01-01T00:00:20.500Z",
            },
            COMMITS.name: {
                "metric": COMMITS.name,
                "labels": {"datname": 'a"\\\n'},
                "value": 5.0,
                "unit": "{transaction}",
                "type": "COUNTER",
                "sample_time": "1970-01-01T00:00:01.000Z",
            },
        }

    @pytest.mark.parametrize("form", ["json", "prometheus"])
    async def test_detailed_adds_tables_indexes_and_statements(self, hub, form):
        async def names(more: str) -> set[str]:
            path = f"{JSON}?database=main&format={form}{more}"
            if form == "prometheus":
                return {name for name, _ in await samples(client, path)}
            async with client.get(path) as response:
                (only,) = (await response.json())["databases"]
                return {each["metric"] for each in only["samples"]}

        async with serving(hub) as client:
            brief = {"pg_up", COMMITS.name}
            assert await names("") == await names("&detailed=false") == brief
            assert await names("&detailed=true") == {*brief, "pg_rows"}

    async def test_prometheus_format_is_as_metrics_has_it(self, client):
        for query in ("?", "?database=main&"):
            as_health, _ = await text(client, f"{JSON}{query}format=prometheus&detailed=true")
            as_metrics, _ = await text(client, f"/metrics{query}")
            assert as_health == as_metrics

    async def test_before_the_first_sample_there_is_no_time(self):
        async with serving(MetricsHub(["main"])) as client, client.get(JSON) as response:
            (main,) = (await response.json())["databases"]
        assert main == {"name": "main", "sample_time": None, "collectors": [], "samples": []}


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        ("/metrics?database=nope", 404, "DATABASE_NOT_FOUND"),
        ("/metrics?database=", 404, "DATABASE_NOT_FOUND"),
        ("/metrics?database=main&database=main", 400, "INVALID_FIELD"),
        ("/metrics?server=main", 400, "INVALID_FIELD"),
        ("/prometheus/targets?database=main", 400, "INVALID_FIELD"),
        (f"{JSON}?database=nope", 404, "DATABASE_NOT_FOUND"),
        (f"{JSON}?format=xml", 400, "INVALID_FIELD"),
        (f"{JSON}?detailed=1", 400, "INVALID_FIELD"),
        (f"{JSON}?detail=true", 400, "INVALID_FIELD"),
    ],
)
async def test_a_wrong_request_is_named(hub, path, status, reason):
    async with serving(hub) as client:
        assert await error(client, path) == (status, reason)


async def test_without_samplers_that_is_said(hub):
    async with serving(MetricsHub(["main"], sampled=False)) as client:
        for path in ("/metrics", "/metrics?database=main", JSON):
            assert await error(client, path) == (400, "METRICS_OFF")


class TestAccess:
    @pytest.fixture
    async def client(self, hub) -> AsyncIterator[aiohttp.ClientSession]:
        auth = AuthConfig(
            tokens={
                "viewer": TokenConfig(hash=hash_token(VIEWER), role="VIEWER"),
                "main": TokenConfig(hash=hash_token(MAIN), databases={"main": "OPERATOR"}),
            }
        )
        async with serving(hub, auth) as client:
            yield client

    @pytest.mark.parametrize("path", PATHS)
    async def test_each_wants_to_know_who_asks(self, client, path):
        assert await error(client, path) == (401, "CREDENTIAL_MISSING")
        assert await error(client, path, new_token()) == (401, "TOKEN_UNKNOWN")
        assert await error(client, path, VIEWER) == (200, "")

    @pytest.mark.parametrize("path", ["/metrics", JSON, f"{JSON}?format=prometheus"])
    async def test_one_database_is_shown_to_who_may_see_it(self, client, path):
        mark = "&" if "?" in path else "?"
        assert await error(client, f"{path}{mark}database=main", MAIN) == (200, "")
        denied = (403, "ROLE_MISSING")
        assert await error(client, f"{path}{mark}database=other", MAIN) == denied
        # Whether there is such a database is no business of theirs.
        assert await error(client, f"{path}{mark}database=nope", MAIN) == denied
        assert await error(client, f"{path}{mark}database=other", VIEWER) == (200, "")

    async def test_of_all_only_those_that_one_may_see(self, client):
        headers = {"Authorization": f"Bearer {MAIN}"}
        for path in (*PATHS, f"{JSON}?format=prometheus"):
            async with client.get(path, headers=headers) as response:
                found = await response.text()
            assert "main" in found, path
            assert "other" not in found, path
