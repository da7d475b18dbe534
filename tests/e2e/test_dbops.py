"""The `dbops` command as a process, against a running daemon."""

import json
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.e2e.conftest import DATABASES, Answer, Fragile, database, run
from tests.support.daemon import BIN, Daemon, clean_environment
from tests.support.patience import eventually_blocking
from tests.support.servers import PostgresServer


def dbops(daemon: Daemon, *arguments: str) -> Answer:
    return run("dbops", *arguments, DBOPS_SERVER=daemon.grpc_address)


@contextmanager
def watching(daemon: Daemon, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [str(BIN / "dbops"), *arguments, "--watch"],
        env=clean_environment(DBOPS_SERVER=daemon.grpc_address),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def lines(process: subprocess.Popen[str]) -> Iterator[str]:
    assert process.stdout is not None
    yield from process.stdout


def test_health_is_a_table_of_every_check(daemon: Daemon) -> None:
    answer = dbops(daemon, "health", "main")
    assert (answer.code, answer.err) == (0, "")
    headline, header, _, *rows = [line.split() for line in answer.out.splitlines() if line.strip()]
    assert headline[:4] == ["main", "HEALTHY", "primary,", "PostgreSQL"]
    assert header == ["CHECK", "STATE", "VALUE", "WARNING", "CRITICAL", "AGE", "MESSAGE"]
    assert rows[0][:2] == ["reachable", "HEALTHY"]
    health = dbops(daemon, "health", "main", "--output", "json").json()
    assert [row[0] for row in rows] == [check["check"] for check in health["checks"]]


def test_health_of_all_databases_is_an_array(daemon: Daemon) -> None:
    answer = dbops(daemon, "health", "--output=json")
    assert (answer.code, answer.err) == (0, "")
    healths = answer.json()
    assert [each["name"] for each in healths] == [f"databases/{name}" for name in DATABASES]
    assert {each["state"] for each in healths} == {"HEALTHY"}
    assert all(check["check"] for each in healths for check in each["checks"])


def test_databases_list(daemon: Daemon) -> None:
    answer = dbops(daemon, "databases", "list")
    header, _, *rows = [line.split() for line in answer.out.splitlines()]
    assert header == ["DATABASE", "STATE", "ROLE", "VERSION", "POSTGRES", "HOSTS"]
    assert [row[:3] for row in rows] == [[name, "HEALTHY", "primary"] for name in DATABASES]
    listed = dbops(daemon, "databases", "list", "--output=json").json()["databases"]
    assert [row[-1] for row in rows] == [each["hosts"][0] for each in listed]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--server", "ADDRESS", "--output", "json", "databases", "list"],
        ["databases", "--server", "ADDRESS", "list", "--output", "json"],
        ["databases", "list", "--output", "json", "--server", "ADDRESS"],
        ["--server", "127.0.0.1:1", "databases", "list", "--output=json", "--server", "ADDRESS"],
        [
            "--output",
            "table",
            "databases",
            "list",
            "--output",
            "json",
            "--server",
            "http://ADDRESS",
        ],
    ],
)
def test_options_stand_before_and_after_the_command(daemon: Daemon, arguments: list[str]) -> None:
    address = [text.replace("ADDRESS", daemon.grpc_address) for text in arguments]
    answer = run("dbops", *address, DBOPS_SERVER="127.0.0.1:2")
    assert (answer.code, answer.err) == (0, "")
    assert len(answer.json()["databases"]) == len(DATABASES)


@pytest.mark.parametrize(
    "arguments",
    [
        ["health", "main", "orders"],
        ["health", "--output", "xml"],
        ["nosuch"],
        ["databases", "list", "--timeout", "0"],
        ["health", "--token", "t0ken", "--server", "db.example:50051"],
    ],
)
def test_wrong_usage_is_2_and_one_line(daemon: Daemon, arguments: list[str]) -> None:
    answer = dbops(daemon, *arguments)
    assert (answer.code, answer.out) == (2, "")
    (line,) = answer.err.splitlines()
    assert line.startswith("dbops: ")
    assert "t0ken" not in line


@pytest.mark.parametrize(
    ("name", "says"),
    [("nosuch", "'nosuch' is not configured"), ("No Such", "field 'name' is not of the form")],
)
def test_a_refusal_is_3_and_one_line(daemon: Daemon, name: str, says: str) -> None:
    answer = dbops(daemon, "health", name)
    assert (answer.code, answer.out) == (3, "")
    (line,) = answer.err.splitlines()
    assert line.startswith("dbops: ")
    assert says in line


def test_a_server_that_is_not_there_is_3() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen: refused, and nobody else's
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        answer = run("dbops", "--server", address, "health", "--timeout", "3")
    assert (answer.code, answer.out) == (3, "")
    (line,) = answer.err.splitlines()
    assert line.startswith(f"dbops: cannot reach dbopsd at {address}: ")


def test_an_unhealthy_database_is_1(start_daemon: Callable[..., Daemon]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        away = f"host=127.0.0.1 port={taken.getsockname()[1]} user=nobody dbname=app"
        started = start_daemon(database("away", away))

        def answered() -> Any:
            answer = dbops(started, "health", "away", "--output=json")
            return answer if answer.json()["state"] == "UNHEALTHY" else None

        answer = eventually_blocking(answered, 10, "the refused connection is told")
        assert answer.code == 1
        assert answer.json()["checks"][0]["reason"] == "CONNECTION_REFUSED"
        table = dbops(started, "health")
        assert table.code == 1
        assert "away  UNHEALTHY" in table.out
        # A list is a list: what it says of the databases is not how the command went.
        assert dbops(started, "databases", "list").code == 0


def test_watch_shows_a_change_as_a_json_line(fragile: Fragile) -> None:
    with watching(fragile.daemon, "health", "main", "--output", "json") as process:
        messages = (json.loads(line) for line in lines(process))
        assert next(messages)["state"] == "HEALTHY"
        with fragile.server.paused():
            assert next(each for each in messages if each["state"] == "UNHEALTHY")
        assert next(each for each in messages if each["state"] == "HEALTHY")
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
        assert process.stderr is not None
        assert process.stderr.read().strip() == ""


def test_watch_for_people_is_a_line_a_change(fragile: Fragile) -> None:
    with watching(fragile.daemon, "databases", "list") as process:
        shown = (line.split(maxsplit=3)[1:] for line in lines(process))
        assert next(shown) == ["main", "HEALTHY"]
        with fragile.server.paused():
            unwell = next(each for each in shown if each[1] == "UNHEALTHY")
            assert "no answer for" in unwell[2]


def test_watch_goes_on_with_a_daemon_that_comes_back(
    start_daemon: Callable[..., Daemon], server: PostgresServer
) -> None:
    config = database("main", server.dsn())
    first = start_daemon(config)
    listen = {"grpc_listen": first.grpc_address, "http_listen": f"127.0.0.1:{first.http_port}"}
    with watching(first, "health", "main", "--output", "json") as process:
        messages = (json.loads(line) for line in lines(process))
        assert next(each for each in messages if each["state"] == "HEALTHY")
        assert first.terminate() == 0
        start_daemon(config, server=listen)
        assert next(each for each in messages if each["state"] == "HEALTHY")
