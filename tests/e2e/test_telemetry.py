"""What the daemon sends to an OTLP collector, and what happens when that one fails."""

import json
import socket
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import grpc
import pytest
from dbops_client import DbopsClient
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.e2e.conftest import PROMPT, database, wait_until_ready
from tests.support.daemon import Daemon
from tests.support.otlp import OtlpReceiver
from tests.support.patience import eventually_blocking
from tests.support.serverlog import LoggedStatement
from tests.support.servers import PostgresServer
from tests.support.spanlog import missing_spans

# The SDK's own delay, 5 s, is what tests would wait for.
SOON = {"OTEL_BSP_SCHEDULE_DELAY": "100"}
SMALL_QUEUE = {"OTEL_BSP_MAX_QUEUE_SIZE": "300", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "200"}
TRACE_ID, PARENT_SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = ("traceparent", f"00-{TRACE_ID}-{PARENT_SPAN_ID}-01")


def telemetry(endpoint: str, **keys: object) -> str:
    values = {"otlp_endpoint": endpoint, "metrics_interval_s": 0.5, **keys}
    return "\n".join(["[telemetry]", *(f"{k} = {json.dumps(v)}" for k, v in values.items()), ""])


@pytest.fixture(params=["grpc", "http/protobuf"])
def exporting(
    request: pytest.FixtureRequest,
    otlp: OtlpReceiver,
    start_daemon: Callable[..., Daemon],
    server: PostgresServer,
) -> Daemon:
    """A daemon that exports to `otlp`, by each protocol."""
    endpoint = otlp.grpc_endpoint if request.param == "grpc" else otlp.http_endpoint
    keys = telemetry(endpoint, otlp_protocol=request.param, service_name="dbopsd-e2e")
    attributes = '[telemetry.resource_attributes]\n"deployment.environment.name" = "e2e"\n'
    config = keys + attributes + database("main", server.dsn())
    return start_daemon(config, environment=SOON)


def test_spans_and_metrics_arrive(exporting: Daemon, otlp: OtlpReceiver) -> None:
    with DbopsClient(exporting.grpc_address) as client:
        client.health.get("main", metadata=[TRACEPARENT])
        list(client.databases.list())
    (call,) = otlp.wait_for(lambda r: r.spans("dbops.v1.HealthService/GetHealth"), 10)
    assert (call.trace_id, call.parent_span_id) == (TRACE_ID, PARENT_SPAN_ID)
    assert (call.kind, call.status) == ("SERVER", "UNSET")
    assert call.attributes["rpc.system.name"] == "grpc"
    assert call.attributes["rpc.method"] == "dbops.v1.HealthService/GetHealth"
    resource = call.resource
    assert resource["service.name"] == "dbopsd-e2e"
    assert resource["service.version"] == "0.1.0"
    assert resource["deployment.environment.name"] == "e2e"
    assert resource["host.name"] == socket.gethostname()
    assert resource["process.pid"] == exporting.pid
    assert resource["service.instance.id"]

    def probe(receiver: OtlpReceiver) -> object:
        clients = [span for span in receiver.spans() if span.kind == "CLIENT"]
        return [s for s in clients if s.attributes.get("db.system.name") == "postgresql"]

    statement = otlp.wait_for(probe, 10)[0]
    assert statement.resource == resource
    # None of it hangs on the caller's trace: nobody waits for the prober.
    assert statement.trace_id != TRACE_ID
    for name, unit in {
        "rpc.server.call.duration": "s",
        "db.client.operation.duration": "s",
        "db.client.connection.count": "{connection}",
        "db.client.connection.max": "{connection}",
    }.items():
        metric = otlp.wait_for(lambda r, name=name: r.metrics(name), 10)[0]
        assert (metric.unit, metric.resource) == (unit, resource)
        assert metric.points
    # What is left is sent when it stops, however much later the next export would be.
    otlp.clear()
    with DbopsClient(exporting.grpc_address) as client:
        list(client.databases.list())
        client.health.get("main", metadata=[TRACEPARENT])
        assert exporting.terminate() == 0
    (call,) = otlp.spans("dbops.v1.HealthService/GetHealth")
    assert call.trace_id == TRACE_ID
    assert otlp.metrics("rpc.server.call.duration")
    assert "gave up on sending" not in exporting.log_text()


@pytest.fixture(params=["hanging", pytest.param("refusing", marks=pytest.mark.thorough)])
def bad_collector(request: pytest.FixtureRequest, otlp: OtlpReceiver) -> Iterator[str]:
    """The endpoint of a collector that takes nothing."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        otlp.hang()
        refusing = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        yield refusing if request.param == "refusing" else otlp.grpc_endpoint


def test_a_bad_collector_slows_nothing(
    bad_collector: str, start_daemon: Callable[..., Daemon], server: PostgresServer
) -> None:
    config = telemetry(bad_collector, trace_health_checks=True) + database("main", server.dsn())
    running = start_daemon(config, environment={**SOON, **SMALL_QUEUE})
    wait_until_ready(running)
    durations_s = []
    with grpc.insecure_channel(running.grpc_address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        # More than the export queue and a batch hold, so that it runs full.
        for _ in range(1000):
            started = time.perf_counter()
            answer = stub.Check(health_pb2.HealthCheckRequest(service="databases/main"), timeout=5)
            durations_s.append(time.perf_counter() - started)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
    assert sorted(durations_s)[int(len(durations_s) * 0.99)] < 0.1
    started = time.monotonic()
    assert running.terminate() == 0
    assert time.monotonic() - started < 6
    complaints = [line for line in running.log_text().splitlines() if "WARNING" in line]
    assert len(complaints) <= 4, running.log_text()
    assert "Traceback" not in running.log_text()


def test_every_statement_leaves_a_span(
    otlp: OtlpReceiver,
    own_server: Callable[..., PostgresServer],
    start_daemon: Callable[..., Daemon],
) -> None:
    server = own_server()
    frequent = telemetry(otlp.grpc_endpoint) + database("main", server.dsn(), PROMPT)
    running = start_daemon(frequent, environment=SOON)
    wait_until_ready(running)
    with DbopsClient(running.grpc_address) as client, client.health.watch("main") as healths:
        states = (health.state for health in healths)
        healthy = next(states)
        with server.paused():
            assert next(state for state in states if state != healthy)
        assert next(state for state in states if state == healthy)
        for application in ("dbopsd-prober", None):
            server.terminate_backends(application)
            wait_until_probed_again(client)
        server.stop()
        assert next(state for state in states if state != healthy)
        server.start()
        assert next(state for state in states if state == healthy)

        def logged() -> list[LoggedStatement]:
            all_logged = server.statements_logged()
            return [s for s in all_logged if s.application.startswith("dbopsd")]

        eventually_blocking(lambda: len(logged()) > 60, 20, "a life's worth of statements")
    assert running.terminate() == 0
    assert len({statement.pid for statement in logged()}) > 3
    assert missing_spans(server, otlp.spans()) == Counter()


def test_an_import_is_one_trace_with_what_its_processes_did(
    otlp: OtlpReceiver,
    own_server: Callable[..., PostgresServer],
    start_daemon: Callable[..., Daemon],
    tmp_path: Path,
) -> None:
    server = own_server()
    source = tmp_path / "app.db"
    with closing(sqlite3.connect(source)) as connection:
        connection.executescript("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT);")
        connection.executescript("INSERT INTO notes (text) VALUES ('one'), ('two');")
    roots = f"import_roots = [{json.dumps(str(tmp_path))}]"
    config = telemetry(otlp.grpc_endpoint) + database("main", server.dsn(), roots)
    running = start_daemon(config, environment=SOON, server={"workers": 1})
    # The first call that needs the control store loads what reads it, beside a starting worker.
    with DbopsClient(running.grpc_address, timeout_s=60) as client:
        started = client.imports.run("main", str(source), metadata=[TRACEPARENT])
        assert started.wait(timeout_s=60).error is None
    assert running.terminate() == 0
    copies = [each for each in otlp.spans() if each.name.startswith("COPY notes")]
    assert {each.name for each in copies} == {"COPY notes", "COPY notes TO STDOUT"}
    by_id = {each.span_id: each for each in otlp.spans()}
    for copy in copies:
        assert (copy.trace_id, copy.kind, copy.status) == (TRACE_ID, "CLIENT", "UNSET")
        assert copy.attributes["db.system.name"] == "postgresql"
        stage = by_id[copy.parent_span_id]
        assert stage.name == ("import copy" if copy.name == "COPY notes" else "import verify")
        assert stage.start_ns <= copy.start_ns <= copy.end_ns <= stage.end_ns
    # The control store, which is a SQLite file here, leaves spans too.
    ours = [each for each in otlp.spans() if each.attributes.get("db.system.name") == "postgresql"]
    assert missing_spans(server, ours) == Counter()


def wait_until_probed_again(client: DbopsClient) -> None:
    before = client.health.get("main").answer_time.ToNanoseconds()
    eventually_blocking(
        lambda: client.health.get("main").answer_time.ToNanoseconds() > before, 10, "a later answer"
    )
