"""`dbops sessions` and `dbops settings`, against a real server."""

import json

import pytest
from dbops.v1 import metrics_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from tests.unit.client.metrics_server import Failure

Sessions = metrics_pb2.ListSessionsResponse
Settings = metrics_pb2.ListSettingsResponse


def session(pid, **fields):
    return metrics_pb2.Session(
        pid=pid,
        start_time=Timestamp(seconds=1000 + pid, nanos=5000),
        **{"role": "ann", "backend_type": "client backend", "state": "active", **fields},
    )


HEAD = session(1, state="idle in transaction", blocked_count=2)
MIDDLE = session(2, blocked_by=[1], blocked_count=1, wait_event_type="Lock", wait_event="tuple")
LAST = session(3, blocked_by=[2, 0], wait_event="relation", statement="SELECT\x1b[2J 1")


def lines(result):
    assert (result.exit_code, result.stderr) == (0, "")
    return [line.rstrip() for line in result.stdout.splitlines() if line.strip()]


class TestList:
    def test_a_table_of_all_pages(self, dbops_metrics, metrics_server):
        metrics_server.answer(
            "ListSessions",
            Sessions(sessions=[LAST, HEAD], next_page_token="t"),
            Sessions(sessions=[MIDDLE]),
        )
        header, _, *found = lines(dbops_metrics("sessions", "list", "main"))
        assert header.split()[:2] == ["PID", "ROLE"]
        assert [line.split()[0] for line in found] == ["3", "1", "2"]
        assert "2, a prepared transaction (relation)" in found[0]
        assert "SELECT [2J 1" in found[0]

    def test_blocked_ones_stand_below_whom_they_wait_for(self, dbops_metrics, metrics_server):
        metrics_server.answer("ListSessions", Sessions(sessions=[LAST, MIDDLE, HEAD]))
        _, _, *found = lines(dbops_metrics("sessions", "list", "main", "--blocked"))
        assert [line[: line.index("ann")].rstrip() for line in found] == ["1", "└ 2", "  └ 3"]
        assert metrics_server.sent("ListSessions").blocked

    def test_a_ring_is_shown_whole(self, dbops_metrics, metrics_server):
        ring = [session(1, blocked_by=[2]), session(2, blocked_by=[1])]
        metrics_server.answer("ListSessions", Sessions(sessions=ring))
        _, _, *found = lines(dbops_metrics("sessions", "list", "main", "--blocked"))
        assert len(found) == 2

    def test_what_is_asked_for_and_nothing_found(self, dbops_metrics, metrics_server):
        metrics_server.answer("ListSessions", Sessions())
        (line,) = lines(dbops_metrics("sessions", "list", "main", "--active", "--background"))
        assert line == "There are no such sessions."
        sent = metrics_server.sent("ListSessions")
        assert (sent.active, sent.background, sent.blocked) == (True, True, False)

    def test_json_is_one_response_of_all_pages(self, dbops_metrics, metrics_server):
        metrics_server.answer(
            "ListSessions",
            Sessions(sessions=[HEAD], next_page_token="t"),
            Sessions(sessions=[session(4, leader_pid=1)]),
        )
        found = json.loads(dbops_metrics("sessions", "list", "main", "--output", "json").stdout)
        assert [each["pid"] for each in found["sessions"]] == [1, 4]
        assert found["sessions"][1]["leaderPid"] == 1
        assert found["sessions"][0]["startTime"] == "1970-01-01T00:16:41.000005Z"


@pytest.mark.parametrize(
    ("command", "method", "done"),
    [("cancel", "CancelSession", "cancelled"), ("terminate", "TerminateSession", "ended")],
)
class TestEnd:
    @pytest.fixture(autouse=True)
    def _sessions(self, metrics_server):
        metrics_server.answer("ListSessions", Sessions(sessions=[HEAD, MIDDLE]))

    def answer(self, metrics_server, method, *, ended):
        response = getattr(metrics_pb2, f"{method}Response")
        metrics_server.answer(method, response(session=MIDDLE, ended=ended))

    def test_the_start_time_is_looked_up(
        self, dbops_metrics, metrics_server, command, method, done
    ):
        self.answer(metrics_server, method, ended=True)
        (line,) = lines(dbops_metrics("sessions", command, "main", "2"))
        assert line == f"session 2 of ann: {done}"
        sent = metrics_server.sent(method)
        assert (sent.name, sent.pid, sent.validate_only) == ("databases/main", 2, False)
        assert sent.start_time == MIDDLE.start_time
        # Those that the server itself has may be named too.
        assert metrics_server.sent("ListSessions").background

    def test_one_that_goes_on_is_exit_code_1(
        self, dbops_metrics, metrics_server, command, method, done
    ):
        self.answer(metrics_server, method, ended=False)
        result = dbops_metrics("sessions", command, "main", "2")
        assert (result.exit_code, result.stdout) == (
            1,
            f"session 2 of ann: not seen to be {done}\n",
        )

    def test_validate_only_is_exit_code_0(
        self, dbops_metrics, metrics_server, command, method, done
    ):
        self.answer(metrics_server, method, ended=False)
        result = dbops_metrics("sessions", command, "main", "2", "--validate-only")
        assert (result.exit_code, result.stdout) == (0, f"session 2 of ann: could be {done}\n")
        assert metrics_server.sent(method).validate_only

    def test_one_that_is_gone_is_exit_code_3(
        self, dbops_metrics, metrics_server, command, method, done
    ):
        result = dbops_metrics("sessions", command, "main", "99")
        assert (result.exit_code, result.stdout) == (3, "")
        assert "has no session 99" in result.stderr
        assert [name for name, *_ in metrics_server.calls] == ["ListSessions"]

    def test_a_refusal_is_exit_code_3_and_says_why(
        self, dbops_metrics, metrics_server, command, method, done
    ):
        metrics_server.answer(
            method, Failure("FAILED_PRECONDITION", "superusers alone may", "SIGNAL_DENIED")
        )
        result = dbops_metrics("sessions", command, "main", "2")
        assert (result.exit_code, result.stdout) == (3, "")
        assert "superusers alone may" in result.stderr

    @pytest.mark.parametrize("pid", ["0", "-1", "x", ""])
    def test_what_is_no_process_id_is_exit_code_2(self, dbops_metrics, command, method, done, pid):
        assert dbops_metrics("sessions", command, "main", "--", pid).exit_code == 2


class TestSettings:
    @pytest.fixture(autouse=True)
    def _settings(self, metrics_server):
        override = metrics_pb2.Setting.Override
        metrics_server.answer(
            "ListSettings",
            Settings(
                settings=[
                    metrics_pb2.Setting(
                        setting="shared_buffers", value="16384", unit="8kB", display_value="128MB",
                        default_value="1024", source="configuration file",
                        source_file="/etc/postgresql.conf", source_line=7, pending_restart=True,
                    )
                ],
                next_page_token="t",
            ),
            Settings(
                settings=[
                    metrics_pb2.Setting(
                        setting="work_mem", value="4096", unit="kB", display_value="4MB",
                        default_value="4096", source="default", context="user",
                        overrides=[
                            override(role="ann", postgres_database="app", value="1GB"),
                            override(postgres_database="app", value="2GB"),
                        ],
                    )
                ]
            ),
        )  # fmt: skip

    def test_a_table_of_all_pages(self, dbops_metrics, metrics_server):
        _, _, buffers, memory = lines(dbops_metrics("settings", "list", "main", "--changed"))
        assert "/etc/postgresql.conf:7" in buffers
        assert "at the next restart" in buffers
        assert "128MB" in buffers
        assert "1GB (role ann, database app); 2GB (database app)" in memory
        assert all(request.changed for _, request, _ in metrics_server.calls)

    def test_json(self, dbops_metrics):
        found = json.loads(dbops_metrics("settings", "list", "main", "--output", "json").stdout)
        assert [each["setting"] for each in found["settings"]] == ["shared_buffers", "work_mem"]
        assert found["settings"][0]["sourceLine"] == 7

    def test_none(self, dbops_metrics, metrics_server):
        metrics_server.answer("ListSettings", Settings())
        assert lines(dbops_metrics("settings", "list", "main")) == ["There are no such settings."]
