"""The HTTP health paths, asked as curl would."""

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.conftest import DATABASES, Fragile, run
from tests.support.daemon import Daemon
from tests.support.patience import eventually_blocking


@dataclass(frozen=True)
class Response:
    status: int
    headers: dict[str, str]
    body: Any


def ask(daemon: Daemon, path: str, method: str = "GET") -> Response:
    request = urllib.request.Request(f"{daemon.http_url}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return _response(answer)
    except urllib.error.HTTPError as error:
        with error:
            return _response(error)


def _response(answer: Any) -> Response:
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    text = answer.read()
    return Response(answer.status, dict(answer.headers), json.loads(text) if text else None)


def test_live_and_ready(daemon: Daemon) -> None:
    assert (ask(daemon, "/livez").status, ask(daemon, "/livez").body) == (200, {"alive": True})
    assert (ask(daemon, "/readyz").status, ask(daemon, "/readyz").body) == (200, {"ready": True})
    head = ask(daemon, "/livez", "HEAD")
    assert (head.status, head.body) == (200, None)


def test_all_databases(daemon: Daemon) -> None:
    answer = ask(daemon, "/api/health/database")
    assert (answer.status, answer.body["state"]) == (200, "HEALTHY")
    assert [each["name"] for each in answer.body["databases"]] == list(DATABASES)
    for each in answer.body["databases"]:
        assert each["server_role"] == "PRIMARY"
        assert each["server_version"].startswith("18.")
        assert 0 <= each["age_s"] < 10
        assert each["answer_time"].endswith("Z")
        assert "checks" not in each


@pytest.mark.parametrize("detailed", ["true", "false"])
def test_one_database(daemon: Daemon, detailed: str) -> None:
    answer = ask(daemon, f"/api/health/database?database=orders&detailed={detailed}")
    assert answer.status == 200
    (only,) = answer.body["databases"]
    assert only["name"] == "orders"
    assert ("checks" in only) == (detailed == "true")
    if detailed == "true":
        over_grpc = run(
            "dbops", "--server", daemon.grpc_address, "health", "orders", "--output=json"
        )
        assert [each["check"] for each in only["checks"]] == [
            each["check"] for each in over_grpc.json()["checks"]
        ]
        reachable = only["checks"][0]
        assert (reachable["check"], reachable["unit"]) == ("reachable", "s")
        assert (reachable["warning_threshold"], reachable["critical_threshold"]) == (1.0, 5.0)


@pytest.mark.parametrize(
    ("path", "method", "status", "reason", "says"),
    [
        ("/", "GET", 404, "PATH_NOT_FOUND", "nothing is served"),
        ("/api/health", "GET", 404, "PATH_NOT_FOUND", "nothing is served"),
        ("/livez/", "GET", 404, "PATH_NOT_FOUND", "nothing is served"),
        ("/api/health/database?database=nosuch", "GET", 404, "DATABASE_NOT_FOUND", "'nosuch'"),
        ("/livez", "POST", 405, "METHOD_NOT_ALLOWED", "GET, HEAD"),
        ("/api/health/database", "DELETE", 405, "METHOD_NOT_ALLOWED", "GET, HEAD"),
        ("/api/health/database?detailed=yes", "GET", 400, "INVALID_FIELD", "'detailed'"),
        ("/api/health/database?detail=true", "GET", 400, "INVALID_FIELD", "'detail'"),
        ("/api/health/database?database=", "GET", 404, "DATABASE_NOT_FOUND", "''"),
        ("/readyz?verbose", "GET", 400, "INVALID_FIELD", "'verbose'"),
        (
            "/api/health/database?detailed=true&detailed=false",
            "GET",
            400,
            "INVALID_FIELD",
            "given twice",
        ),
    ],
)
def test_a_wrong_request(
    daemon: Daemon, path: str, method: str, status: int, reason: str, says: str
) -> None:
    answer = ask(daemon, path, method)
    assert answer.status == status
    assert set(answer.body) == {"error"}
    assert answer.body["error"]["reason"] == reason
    assert says in answer.body["error"]["message"]
    assert answer.headers["Server"] == "dbopsd"
    assert (answer.headers.get("Allow") == "GET, HEAD") == (status == 405)


def test_503_while_the_database_is_down(fragile: Fragile) -> None:
    daemon = fragile.daemon
    path = "/api/health/database?database=main&detailed=true"
    assert (ask(daemon, path).status, ask(daemon, "/readyz").status) == (200, 200)
    with fragile.server.paused():
        down = eventually_blocking(lambda: _with_status(daemon, path, 503), 10, "503")
        assert down.body["state"] == "UNHEALTHY"
        (main,) = down.body["databases"]
        assert "no answer for" in main["explanation"]
        assert main["checks"][0]["reason"] == "NO_ANSWER"
        assert main["server_version"].startswith("18.")
        ready = ask(daemon, "/readyz")
        assert (ready.status, ready.body) == (503, {"ready": False})
        assert ask(daemon, "/api/health/database").status == 503
        assert ask(daemon, "/livez").status == 200
    eventually_blocking(lambda: _with_status(daemon, "/readyz", 200), 10, "ready again")
    eventually_blocking(lambda: ask(daemon, path).body["state"] == "HEALTHY", 10, "well again")


def _with_status(daemon: Daemon, path: str, status: int) -> Response | None:
    answer = ask(daemon, path)
    return answer if answer.status == status else None
