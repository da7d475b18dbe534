"""Sessions and settings of a running daemon by `dbops`, and what the audit log has of it."""

import json
from collections.abc import Callable, Iterator

import psycopg
import pytest

from tests.e2e.conftest import Answer, database, run
from tests.support.daemon import Daemon
from tests.support.patience import eventually_blocking
from tests.support.servers import PostgresServer

AUDITED = """
[audit]
enabled = true
"""


@pytest.fixture(scope="module")
def daemon(server: PostgresServer) -> Iterator[Daemon]:
    with Daemon(database("main", server.dsn()) + AUDITED) as running:
        yield running.wait_until_serving()


@pytest.fixture
def dbops(daemon: Daemon) -> Callable[..., Answer]:
    return lambda *command: run("dbops", "--server", daemon.grpc_address, *command)


def audited(daemon: Daemon, method: str) -> list[dict[str, object]]:
    """The resources of the calls of a method."""
    lines = (daemon.state_dir / "audit" / "audit.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    return [
        each["resource"]
        for each in records
        if each["event"] == "call" and each["method"] == f"dbops.v1.MetricsService/{method}"
    ]


def test_a_blocker_is_found_and_ended(
    daemon: Daemon, dbops: Callable[..., Answer], server: PostgresServer
) -> None:
    server.execute("CREATE TABLE blocked_table (n int)")
    head = psycopg.connect(server.dsn(application_name="forgotten"))
    waits = psycopg.connect(server.dsn(application_name="waits"), autocommit=True)
    try:
        head.execute("LOCK TABLE blocked_table")
        waits.pgconn.send_query(b"SELECT * FROM blocked_table")

        def blocked() -> list[dict[str, object]]:
            answer = dbops("sessions", "list", "main", "--blocked", "--output", "json")
            assert answer.code == 0, answer
            return json.loads(answer.out).get("sessions", [])

        found = eventually_blocking(blocked)
        first, second = sorted(found, key=lambda each: str(each["application"]))
        assert (first["pid"], first["blockedCount"]) == (head.info.backend_pid, 1)
        assert (second["pid"], second["blockedBy"]) == (waits.info.backend_pid, [first["pid"]])
        assert second["statement"] == "SELECT * FROM blocked_table"
        pid = str(head.info.backend_pid)
        checked = dbops("sessions", "terminate", "main", pid, "--validate-only")
        assert (checked.code, checked.out) == (
            0, f"session {pid} of {head.info.user} (forgotten): could be ended\n"
        )  # fmt: skip
        ended = dbops("sessions", "terminate", "main", pid)
        assert (ended.code, ended.out) == (
            0, f"session {pid} of {head.info.user} (forgotten): ended\n"
        )  # fmt: skip
        result = waits.pgconn.get_result()
        assert result is not None
        assert result.status == psycopg.pq.ExecStatus.TUPLES_OK
        gone = dbops("sessions", "terminate", "main", pid)
        assert (gone.code, gone.out) == (3, "")
        assert (
            audited(daemon, "TerminateSession")
            == [{"name": "databases/main", "pid": pid, "start_time": first["startTime"]}] * 2
        )
    finally:
        head.close()
        waits.close()
        server.execute("DROP TABLE blocked_table")


def test_a_statement_is_cancelled(
    daemon: Daemon, dbops: Callable[..., Answer], server: PostgresServer
) -> None:
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.pgconn.send_query(b"SELECT pg_sleep(60)")
        pid = str(connection.info.backend_pid)

        def runs() -> bool:
            (count,) = server.execute(
                f"SELECT count(*) FROM pg_stat_activity WHERE pid = {pid} AND state = 'active'"
            )[0]
            return bool(count)

        eventually_blocking(runs)
        cancelled = dbops("sessions", "cancel", "main", pid)
        assert (cancelled.code, cancelled.err) == (0, "")
        assert cancelled.out.endswith(": cancelled\n")
        result = connection.pgconn.get_result()
        assert result is not None
        assert b"canceling statement due to user request" in result.error_message
        while connection.pgconn.get_result() is not None:
            pass
        assert connection.execute("SELECT 1").fetchone() == (1,)
    (resource,) = audited(daemon, "CancelSession")
    assert resource["pid"] == pid


def test_processes_of_the_server_are_refused(
    dbops: Callable[..., Answer], server: PostgresServer
) -> None:
    ((pid,),) = server.execute(
        "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'"
    )
    refused = dbops("sessions", "terminate", "main", str(pid))
    assert (refused.code, refused.out) == (3, "")
    assert "the server's checkpointer: it is left alone" in refused.err


def test_settings(dbops: Callable[..., Answer]) -> None:
    every = json.loads(dbops("settings", "list", "main", "--output", "json").out)["settings"]
    changed = dbops("settings", "list", "main", "--changed", "--output", "json")
    some = {each["setting"] for each in json.loads(changed.out)["settings"]}
    assert len(every) > 300 > len(some) > 0
    assert {"shared_buffers", "fsync"} & some
    shown = dbops("settings", "list", "main", "--changed")
    assert shown.code == 0
    assert all(name in shown.out for name in some)
