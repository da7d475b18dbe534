"""The contract through a real grpcurl and a real `buf curl`, by reflection and by the protos."""

import base64
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from google.rpc import error_details_pb2

from tests.e2e.conftest import DATABASES, Answer, Fragile, run
from tests.support.daemon import BIN, ROOT, Daemon, clean_environment

GET_HEALTH = "dbops.v1.HealthService/GetHealth"
LIST_DATABASES = "dbops.v1.HealthService/ListDatabases"
WATCH_HEALTH = "dbops.v1.HealthService/WatchHealth"
SERVICES = [
    "dbops.v1.BackupService",
    "dbops.v1.HealthService",
    "dbops.v1.MetricsService",
    "dbops.v1.MigrateService",
    "dbops.v1.OperationsService",
    "google.longrunning.Operations",
    "grpc.channelz.v1.Channelz",
    "grpc.health.v1.Health",
    "grpc.reflection.v1alpha.ServerReflection",
]
SCHEMAS = pytest.mark.parametrize("schema", [[], ["--schema", str(ROOT)]], ids=["reflected", "own"])

# grpcurl's exit code for a call that failed is 64 and the status code.
INVALID_ARGUMENT, NOT_FOUND, UNIMPLEMENTED = 64 + 3, 64 + 5, 64 + 12


def grpcurl(daemon: Daemon, method: str, request: object = None, *options: str) -> Answer:
    data = [] if request is None else ["-d", json.dumps(request)]
    return run("grpcurl", "-plaintext", *options, *data, daemon.grpc_address, method)


def grpcurl_error(daemon: Daemon, method: str, request: object) -> tuple[int, dict[str, Any]]:
    """The exit code and the error, with its details as reflection decodes them."""
    answer = grpcurl(daemon, method, request, "-format-error")
    assert answer.out == ""
    return answer.code, json.loads(answer.err)


def buf_curl(daemon: Daemon, method: str, request: object, *options: str) -> Answer:
    url = f"http://{daemon.grpc_address}/{method}"
    how = ("--protocol", "grpc", "--http2-prior-knowledge", "-d", json.dumps(request))
    return run("buf", "curl", *how, *options, url)


@contextmanager
def stream(daemon: Daemon, method: str, request: object) -> Iterator[Iterator[dict[str, Any]]]:
    """The messages of a stream as grpcurl prints them, one after the other."""
    command = ["-plaintext", "-max-time", "30", "-d", json.dumps(request)]
    with subprocess.Popen(
        [str(BIN / "grpcurl"), *command, daemon.grpc_address, method],
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:

        def messages() -> Iterator[dict[str, Any]]:
            assert process.stdout is not None
            text = ""
            for line in process.stdout:
                text += line
                if line == "}\n":
                    yield json.loads(text)
                    text = ""

        try:
            yield messages()
        finally:
            process.kill()


def test_list_names_every_service(daemon: Daemon) -> None:
    answer = run("grpcurl", "-plaintext", daemon.grpc_address, "list")
    assert answer.out.split() == SERVICES
    url = f"http://{daemon.grpc_address}"
    how = ("--protocol", "grpc", "--http2-prior-knowledge", "--list-services")
    assert run("buf", "curl", *how, url).out.split() == SERVICES


def test_describe_shows_roles_and_required_fields(daemon: Daemon) -> None:
    address = ("grpcurl", "-plaintext", daemon.grpc_address, "describe")
    service = run(*address, "dbops.v1.HealthService").out
    assert service.count("rpc ") == service.count("option (.dbops.v1.role) = VIEWER;") == 3
    assert "returns ( stream .dbops.v1.WatchHealthResponse )" in service
    request = run(*address, "dbops.v1.GetHealthRequest").out
    assert "(.google.api.field_behavior) = REQUIRED" in request
    assert 'type:"dbops.v1/Database"' in request


def test_list_databases(daemon: Daemon) -> None:
    listed = grpcurl(daemon, LIST_DATABASES).json()["databases"]
    assert [each["name"] for each in listed] == [f"databases/{name}" for name in DATABASES]
    for each in listed:
        assert each["state"] == "HEALTHY"
        assert each["server_role"] == "PRIMARY"
        assert each["server_version"].startswith("18.")
        assert "embedded" not in each


@pytest.mark.parametrize("page_size", [1, 2, 3])
def test_pages_hold_each_database_once(daemon: Daemon, page_size: int) -> None:
    seen, token = [], ""
    while True:
        page = grpcurl(daemon, LIST_DATABASES, {"page_size": page_size, "page_token": token}).json()
        assert len(page["databases"]) <= page_size
        seen += [each["name"] for each in page["databases"]]
        token = page.get("next_page_token", "")
        if not token:
            break
    assert seen == [f"databases/{name}" for name in DATABASES]


@SCHEMAS
def test_get_health_through_buf(daemon: Daemon, schema: list[str]) -> None:
    health = buf_curl(daemon, GET_HEALTH, {"name": "databases/orders"}, *schema).json()
    assert (health["name"], health["state"]) == ("databases/orders", "HEALTHY")
    checks = {check["check"]: check for check in health["checks"]}
    reachable = checks["reachable"]
    assert reachable["unit"] == "s"
    assert 0 < reachable["value"] < reachable["warningThreshold"] < reachable["criticalThreshold"]
    assert reachable["age"].endswith("s")
    assert next(iter(checks)) == "reachable"
    assert {"connections", "storage", "transaction_id_age", "pool_leaks"} <= set(checks)


@SCHEMAS
def test_an_error_through_buf(daemon: Daemon, schema: list[str]) -> None:
    answer = buf_curl(daemon, GET_HEALTH, {"name": "databases/nosuch"}, *schema)
    error = json.loads(answer.err)
    assert (answer.code != 0, answer.out, error["code"]) == (True, "", "not_found")
    (detail,) = error["details"]
    assert detail["type"] == "google.rpc.ErrorInfo"
    raw = base64.b64decode(detail["value"] + "=" * (-len(detail["value"]) % 4))
    info = error_details_pb2.ErrorInfo.FromString(raw)
    assert (info.reason, info.domain) == ("DATABASE_NOT_FOUND", "dbops.v1")


def test_get_health(daemon: Daemon) -> None:
    health = grpcurl(daemon, GET_HEALTH, {"name": "databases/main"}).json()
    assert health["state"] == "HEALTHY"
    assert "explanation" not in health
    for check in health["checks"]:
        assert check["state"] == "HEALTHY", check
        assert check["measure_time"].endswith("Z")


@pytest.mark.parametrize("method", [GET_HEALTH, WATCH_HEALTH])
def test_an_unknown_database(daemon: Daemon, method: str) -> None:
    code, error = grpcurl_error(daemon, method, {"name": "databases/nosuch"})
    assert code == NOT_FOUND
    assert "'nosuch' is not configured" in error["message"]
    assert error["details"] == [
        {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "DATABASE_NOT_FOUND",
            "domain": "dbops.v1",
            "metadata": {"database": "nosuch"},
        }
    ]


@pytest.mark.parametrize(
    ("method", "request_", "field"),
    [
        (GET_HEALTH, {}, "name"),
        (GET_HEALTH, {"name": " "}, "name"),
        (GET_HEALTH, {"name": "main"}, "name"),
        (GET_HEALTH, {"name": "databases/Main"}, "name"),
        (GET_HEALTH, {"name": "databases/main/checks"}, "name"),
        (WATCH_HEALTH, {}, "name"),
        (WATCH_HEALTH, {"name": "databases/"}, "name"),
        (LIST_DATABASES, {"page_token": "made up"}, "page_token"),
        (LIST_DATABASES, {"page_size": -1}, "page_size"),
    ],
)
def test_a_wrong_field_is_named(daemon: Daemon, method: str, request_: Any, field: str) -> None:
    code, error = grpcurl_error(daemon, method, request_)
    assert code == INVALID_ARGUMENT
    assert f"'{field}'" in error["message"]
    info, bad_request = error["details"]
    assert (info["reason"], info["domain"]) == ("INVALID_FIELD", "dbops.v1")
    assert info["metadata"]["field"] == field
    (violation,) = bad_request["field_violations"]
    assert violation["field"] == field


def test_an_unknown_method(daemon: Daemon, tmp_path: Path) -> None:
    newer = "service HealthService { rpc Nothing(Empty) returns (Empty); } message Empty {}"
    (tmp_path / "newer.proto").write_text(f'syntax = "proto3"; package dbops.v1; {newer}')
    proto = ("-import-path", str(tmp_path), "-proto", "newer.proto")
    answer = grpcurl(daemon, "dbops.v1.HealthService/Nothing", {}, *proto)
    assert answer.code == UNIMPLEMENTED
    assert "method 'dbops.v1.HealthService/Nothing' is not served here" in answer.err


def test_grpc_health(daemon: Daemon) -> None:
    for service in ("", "readiness", "liveness", "databases/main", "dbops.v1.HealthService"):
        answer = grpcurl(daemon, "grpc.health.v1.Health/Check", {"service": service})
        assert answer.json() == {"status": "SERVING"}, service
    code, error = grpcurl_error(daemon, "grpc.health.v1.Health/Check", {"service": "nosuch"})
    assert code == NOT_FOUND
    assert error["details"][0]["reason"] == "SERVICE_NOT_FOUND"
    listed = grpcurl(daemon, "grpc.health.v1.Health/List").json()["statuses"]
    names = {"", "readiness", "liveness", *SERVICES, *(f"databases/{name}" for name in DATABASES)}
    assert listed == {name: {"status": "SERVING"} for name in names}


def test_channelz_knows_the_server(daemon: Daemon) -> None:
    (server,) = grpcurl(daemon, "grpc.channelz.v1.Channelz/GetServers").json()["server"]
    assert int(server["data"]["calls_started"]) > 0
    assert "listener" in server["listen_socket"][0]["name"]


def test_watches_tell_the_present_state_and_each_change(fragile: Fragile) -> None:
    daemon, server = fragile.daemon, fragile.server
    name = {"name": "databases/main"}
    serving = {"status": "SERVING"}
    with (
        stream(daemon, WATCH_HEALTH, name) as healths,
        stream(daemon, "grpc.health.v1.Health/Watch", {"service": "databases/main"}) as statuses,
        stream(daemon, "grpc.health.v1.Health/Watch", {"service": "readiness"}) as readiness,
        stream(daemon, "grpc.health.v1.Health/Watch", {"service": "liveness"}) as liveness,
    ):
        assert next(healths)["health"]["state"] == "HEALTHY"
        assert [next(each) for each in (statuses, readiness, liveness)] == [serving] * 3
        with server.paused():
            unhealthy = next(h["health"] for h in healths if h["health"]["state"] == "UNHEALTHY")
            assert unhealthy["checks"][0]["reason"] == "NO_ANSWER"
            assert "no answer for" in unhealthy["explanation"]
            assert next(statuses) == next(readiness) == {"status": "NOT_SERVING"}
            check = grpcurl(daemon, "grpc.health.v1.Health/Check", {"service": "liveness"})
            assert check.json() == serving
        assert next(h["health"] for h in healths if h["health"]["state"] == "HEALTHY")
        assert next(statuses) == next(readiness) == serving
