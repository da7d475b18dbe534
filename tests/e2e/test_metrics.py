"""Metrics of a running daemon: streamed over gRPC, scraped over HTTP, shown by `dbops`."""

import itertools
import json
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from dbops.v1 import metrics_pb2
from dbops_client import DbopsClient, UnavailableError
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.conftest import database, run
from tests.support.daemon import BIN, Daemon, clean_environment
from tests.support.otlp import OtlpReceiver, ReceivedMetric
from tests.support.patience import eventually_blocking
from tests.support.servers import PostgresServer

EVERY_SECOND = "metrics.interval_s = 1\n"
FRESH = "pg_stat_database_*"


def ask(daemon: Daemon, path: str, **headers: str) -> tuple[str, dict[str, str]]:
    request = urllib.request.Request(
        f"{daemon.http_url}{path}",
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode(), dict(answer.headers)


def scraped(daemon: Daemon, path: str) -> dict[str, Any]:
    """The families by name."""
    text, _ = ask(daemon, path)
    return {each.name: each for each in text_string_to_metric_families(text)}


@pytest.fixture(scope="module")
def sampled(server: PostgresServer) -> Iterator[Daemon]:
    """A daemon that samples two databases every second; it stays as it is."""
    config = "".join(database(name, server.dsn(), EVERY_SECOND) for name in ("main", "orders"))
    with Daemon(config) as running:
        running.wait_until_serving()

        def all_ran() -> bool:
            with DbopsClient(running.grpc_address) as client:
                found = client.metrics.get("main")
            pending = metrics_pb2.CollectorStatus.PENDING
            up = [each.value for each in found.samples if each.metric == "pg_up"]
            return up == [1.0] and all(each.state != pending for each in found.collectors)

        eventually_blocking(all_ran, 30, "every collector has run")
        yield running
        assert running.terminate() == 0


@pytest.fixture
def client(sampled: Daemon) -> Iterator[DbopsClient]:
    with DbopsClient(sampled.grpc_address) as client:
        yield client


def test_a_snapshot_has_samples_and_nothing_failed(client: DbopsClient) -> None:
    found = client.metrics.get("main")
    failed = metrics_pb2.CollectorStatus.FAILED
    assert [each for each in found.collectors if each.state == failed] == []
    names = {each.metric for each in found.samples}
    assert {"pg_up", "pg_stat_database_xact_commit", "dbops_health_state"} <= names
    known = {each.metric for each in client.metrics.list("main", page_size=1000)}
    assert names <= known


def test_a_watch_has_the_present_snapshot_at_once_and_then_new_ones(client: DbopsClient) -> None:
    began = time.monotonic()
    with client.metrics.watch("main", metrics=[FRESH], interval_s=1) as watch:
        first = next(watch).snapshot
        assert time.monotonic() - began < 5
        assert {each.metric.startswith("pg_stat_database_") for each in first.samples} == {True}
        second = next(watch).snapshot
    assert second.sample_time.ToNanoseconds() > first.sample_time.ToNanoseconds()
    assert len(second.samples) == len(first.samples)


def test_a_watch_of_changes_has_what_changed(client: DbopsClient) -> None:
    values: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    with client.metrics.watch("main", interval_s=1, changes_only=True) as watch:
        for number in range(3):
            update = next(watch)
            for each in update.gone:
                del values[each.metric, tuple(sorted(each.labels.items()))]
            for each in update.snapshot.samples:
                key = (each.metric, tuple(sorted(each.labels.items())))
                assert number == 0 or values.get(key) != each.value, key
                values[key] = each.value
            whole = len(values)
            assert number == 0 or len(update.snapshot.samples) < whole


def test_one_database_is_scraped_as_postgres_exporter_is(sampled: Daemon) -> None:
    families = scraped(sampled, "/metrics?database=main")
    assert families["pg_up"].samples[0].value == 1.0
    assert families["pg_stat_database_xact_commit"].type == "counter"
    labels = {name for each in families.values() for one in each.samples for name in one.labels}
    assert "server" not in labels
    assert "datname" in labels


def test_all_databases_are_scraped_with_a_label(sampled: Daemon) -> None:
    # First: there are ever more of them soon after the start.
    one = scraped(sampled, "/metrics?database=main")
    families = scraped(sampled, "/metrics")
    assert {each.labels["server"] for each in families["pg_up"].samples} == {"main", "orders"}
    assert set(one) <= set(families)


def test_openmetrics_and_gzip(sampled: Daemon) -> None:
    text, headers = ask(
        sampled, "/metrics?database=main", Accept="application/openmetrics-text;version=1.0.0"
    )
    assert headers["Content-Type"].startswith("application/openmetrics-text")
    names = {each.name for each in openmetrics.text_string_to_metric_families(text)}
    assert "pg_up" in names
    assert len(names) > 50
    request = urllib.request.Request(
        f"{sampled.http_url}/metrics?database=main", headers={"Accept-Encoding": "gzip"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert len(answer.read()) < len(text) / 4


def test_targets_lead_to_the_databases(sampled: Daemon) -> None:
    text, _ = ask(sampled, "/prometheus/targets")
    for each, name in zip(json.loads(text), ("main", "orders"), strict=True):
        (address,) = each["targets"]
        labels = each["labels"]
        path = f"{labels['__metrics_path__']}?database={labels['__param_database']}"
        assert labels["instance"] == name
        with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
            assert b"\npg_up 1\n" in answer.read()


def test_json_has_the_same_numbers_as_the_stream(sampled: Daemon, client: DbopsClient) -> None:
    text, _ = ask(sampled, "/api/health/database/metrics?database=main&detailed=true")
    (main,) = json.loads(text)["databases"]
    snapshot = client.metrics.get("main", metrics=["pg_settings_*"])
    assert len(snapshot.samples) > 100
    over_http = {
        (each["metric"], tuple(sorted(each["labels"].items()))): each["value"]
        for each in main["samples"]
    }
    for each in snapshot.samples:
        assert over_http[each.metric, tuple(sorted(each.labels.items()))] == each.value


def test_the_command_lists_gets_and_watches(sampled: Daemon) -> None:
    def dbops(*arguments: str) -> Any:
        answer = run("dbops", "metrics", *arguments, DBOPS_SERVER=sampled.grpc_address)
        assert (answer.code, answer.err) == (0, "")
        return answer

    listed = dbops("list", "main", "--output", "json").json()
    assert {each["metric"] for each in listed["descriptors"]} >= {"pg_up"}
    assert "pg_up" in dbops("list", "main").out
    got = dbops("get", "main", "--metric", "pg_up", "--output", "json").json()
    (up,) = got["samples"]
    assert (up["metric"], up["labels"], up["value"], up["type"]) == ("pg_up", {}, 1.0, "GAUGE")
    assert {"name", "state", "reason", "duration"} <= set(got["collectors"][0])
    command = [str(BIN / "dbops"), "metrics", "watch", "main", "--interval", "1"]
    with subprocess.Popen(
        [*command, "--output", "json", "--metric", FRESH],
        env=clean_environment(DBOPS_SERVER=sampled.grpc_address),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            first, second = (json.loads(process.stdout.readline()) for _ in range(2))
            assert first["sampleTime"] < second["sampleTime"]
            assert {"metric", "labels", "value", "unit", "type", "sampleTime"} == set(
                second["samples"][0]
            )
            process.send_signal(signal.SIGINT)
            assert (process.wait(10), process.stderr.read().strip()) == (130, "")
        finally:
            process.kill()


def test_watches_end_when_the_daemon_stops(
    start_daemon: Callable[..., Daemon], server: PostgresServer
) -> None:
    daemon = start_daemon(database("main", server.dsn()))
    with (
        DbopsClient(daemon.grpc_address) as client,
        client.metrics.watch("main", interval_s=3600, reconnect_for_s=0) as watch,
    ):
        next(watch)
        began = time.monotonic()
        daemon.signal(signal.SIGTERM)
        with pytest.raises(UnavailableError) as caught:
            next(watch)
        assert caught.value.reason == "SHUTTING_DOWN"
    assert daemon.wait() == 0
    assert time.monotonic() - began < 10


def test_without_samplers_that_is_said(
    start_daemon: Callable[..., Daemon], server: PostgresServer
) -> None:
    config = f"[metrics]\nenabled = false\n{database('main', server.dsn())}"
    daemon = start_daemon(config)
    answer = run("dbops", "metrics", "get", "main", DBOPS_SERVER=daemon.grpc_address)
    assert (answer.code, answer.out) == (3, "")
    assert "metrics.enabled is false" in answer.err
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(daemon, "/metrics")
    with caught.value as error:
        assert json.loads(error.read())["error"]["reason"] == "METRICS_OFF"


def values(metric: ReceivedMetric) -> dict[frozenset[tuple[str, str]], float]:
    return {
        frozenset((pair.key, pair.value.string_value) for pair in point.attributes): float(
            getattr(point, point.WhichOneof("value"))
        )
        for point in metric.points
    }


def commits(otlp: OtlpReceiver, datname: str) -> list[tuple[float, float, float]]:
    """The points of a database's commits: since when, when, how many; in seconds since 1970."""
    return [
        (point.start_time_unix_nano / 1e9, point.time_unix_nano / 1e9, float(point.as_int))
        for metric in otlp.metrics("postgresql.commits")
        for point in metric.points
        if datname in (pair.value.string_value for pair in point.attributes)
    ]


def test_a_reset_and_a_crash_begin_a_count_anew(
    otlp: OtlpReceiver,
    start_daemon: Callable[..., Daemon],
    own_server: Callable[..., PostgresServer],
) -> None:
    server = own_server()
    keys = f"otlp_endpoint = {json.dumps(otlp.grpc_endpoint)}\nmetrics_interval_s = 0.5"
    more = f"{EVERY_SECOND}health.interval_s = 0.2"
    start_daemon(f"[telemetry]\n{keys}\n{database('main', server.dsn(), more)}")
    otlp.wait_for(lambda r: len(commits(r, "postgres")) >= 3, 30)
    server.execute("SELECT pg_stat_reset()")
    ((reset_at,),) = server.execute(
        "SELECT extract(epoch FROM stats_reset)::float8 FROM pg_stat_database"
        " WHERE datname = 'postgres'"
    )

    def begun_again(receiver: OtlpReceiver) -> float:
        began = sorted({start for start, _, _ in commits(receiver, "postgres")})
        return began[1] if len(began) > 1 else 0.0

    # Then, or at a push after it that still had the samples from before.
    assert reset_at - 0.001 <= otlp.wait_for(begun_again, 30) <= reset_at + 10
    server.execute("CHECKPOINT")
    server.stop("immediate")
    server.start()
    # What was counted before the crash is lost.
    began_at, now, count = otlp.wait_for(
        lambda r: (
            commits(r, "postgres")[-1] if commits(r, "postgres")[-1][0] > reset_at + 0.01 else None
        ),
        30,
    )
    assert reset_at < began_at < now
    assert count >= 0
    for before, after in itertools.pairwise(commits(otlp, "postgres")):
        assert after[1] > before[1]
        assert after[2] >= before[2] or after[0] > before[0], (before, after)


def requests(client: DbopsClient) -> dict[str, float]:
    found = client.metrics.get("main", metrics=["dbops_otlp_requests_total"])
    return {each.labels["result"]: each.value for each in found.samples}


@pytest.mark.parametrize("temporality", ["cumulative", "delta"])
def test_a_collector_gets_the_same_numbers(
    otlp: OtlpReceiver,
    start_daemon: Callable[..., Daemon],
    server: PostgresServer,
    temporality: str,
) -> None:
    telemetry = {
        "otlp_endpoint": otlp.grpc_endpoint,
        "otlp_temporality": temporality,
        "metrics_interval_s": 0.5,
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in telemetry.items()]
    config = "\n".join(["[telemetry]", *lines, database("main", server.dsn(), EVERY_SECOND)])
    daemon = start_daemon(config)
    received = otlp.wait_for(lambda r: r.metrics("dbops.pg_settings_shared_buffers_bytes"), 30)[-1]
    assert received.resource["service.name"] == "dbopsd"
    assert received.resource["service.instance.id"] == "main"
    assert received.resource["server.port"] == server.port
    # Some counter of theirs has grown by the next push.
    (commits,) = otlp.wait_for(lambda r: r.metrics("postgresql.commits")[-1:], 30)
    assert commits.raw.sum.aggregation_temporality == (1 if temporality == "delta" else 2)
    own = otlp.wait_for(lambda r: r.metrics("db.client.operation.duration"), 30)[-1]
    assert own.raw.histogram.aggregation_temporality == (1 if temporality == "delta" else 2)
    with DbopsClient(daemon.grpc_address) as client:
        snapshot = client.metrics.get("main", metrics=["pg_settings_*"])
        names = {each.metric: each.otlp_name for each in client.metrics.list("main")}
        eventually_blocking(lambda: requests(client)["success"] > 0, 20)
        assert requests(client)["failure"] == 0
    assert len(snapshot.samples) > 100
    for each in snapshot.samples:
        (metric,) = otlp.metrics(names[each.metric])[-1:]
        assert values(metric)[frozenset(each.labels.items())] == each.value, each.metric
    otlp.clear()
    assert daemon.terminate() == 0
    # What was sampled since the last push is pushed at the end.
    assert otlp.metrics("dbops.pg_up")
