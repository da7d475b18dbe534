"""`dbops metrics watch`: lines, JSON lines, and a display that is redrawn."""

import json
import re

import pytest
from dbops.v1 import metrics_pb2
from dbops_client.cli.metric_board import Board
from dbops_client.cli.watch_metrics import Lines
from rich.console import Console

from tests.unit.client.metrics import Status, counter, failing, sample, snapshot, update
from tests.unit.client.metrics_server import Failure
from tests.unit.client.terminal import CTRL_C, TerminalSession

Alert = metrics_pb2.Alert
END = Failure("INTERNAL", "enough")
CHECK = "dbops_health_check_state"


def alert(rule, severity=Alert.WARNING, state=Alert.FIRING, summary="", **labels):
    return Alert(
        rule=rule,
        database="databases/main",
        labels=labels,
        state=state,
        severity=severity,
        summary=summary or f"{rule} is so",
        remedy="do something",
    )


@pytest.fixture
def now():
    return [1000.0]


@pytest.fixture
def board(now):
    return Board("main", interval_s=10.0, monotonic=lambda: now[0])


def shown(board, width=80, height=24):
    console = Console(width=width, height=height, record=True, _environ={})
    with console.capture() as capture:
        console.print(board.view(width, height))
    return capture.get().splitlines()


class TestBoard:
    def test_the_worst_comes_first(self, board):
        for number in range(8):
            board.add(
                snapshot(
                    sample("aaa_still", 1.0),
                    sample("bbb_moves", float(number % 2)),
                    sample("ccc_jumps", 100.0 if number == 7 else number % 2 + 1.0),
                    sample(CHECK, 1.0, check="storage"),
                    sample(CHECK, 0.0, check="login"),
                    sample("pg_stat_database_numbackends", 40.0, "{connection}", datname="a"),
                    sample("pg_stat_database_numbackends", 35.0, "{connection}", datname="b"),
                    sample("pg_settings_max_connections", 100.0),
                    sample("dbops_disk_size_bytes", 100.0, "By", mount="/"),
                    sample("dbops_disk_free_bytes", 5.0, "By", mount="/"),
                    sample("pg_sequence_used_ratio", 0.5, sequencename="s"),
                    sample("pg_database_xid_age", 2e9, "{transaction}", datname="a"),
                    collectors=[failing("stat_io"), Status(name="ok", state=Status.OK)],
                    at_s=1000 + number,
                )
                if number
                else snapshot(sample("ccc_jumps", 1.0, at_s=1), at_s=1)
            )
        board.set_alert(alert("ConnectionsHigh"))
        board.set_alert(alert("DatabaseDown", Alert.CRITICAL))
        board.set_alert(alert("Pending", state=Alert.PENDING))
        head, *lines = shown(board)
        assert re.fullmatch(r"main \d\d:\d\d:\d\d 12 series", head)
        starts = [line.split()[0] for line in lines]
        assert starts[:3] == ["CRITICAL", "WARNING", "collector"]
        assert lines[0] == "CRITICAL DatabaseDown: DatabaseDown is so → do something"
        assert lines[2] == "collector stat_io FAILED QUERY_TIMEOUT: it took too long"
        assert starts[3:6] == ["disk", "transaction", "connections:"]
        assert " ".join(lines[5].split()[:5]) == "connections: 75 of 100 75.0"
        assert " ".join(lines[6].split()[:2]) == f"{CHECK} check=storage"

    def test_what_is_unusual_is_before_what_moves_and_that_before_the_rest(self, board):
        for number in range(8):
            board.add(
                snapshot(
                    sample("aaa_still", 1.0, at_s=number + 1),
                    sample("bbb_moves", float(number % 2), at_s=number + 1),
                    sample("ccc_jumps", 100.0 if number == 7 else 1.0, at_s=number + 1),
                )
            )
        _, *lines = shown(board)
        assert [line.split()[0] for line in lines] == ["ccc_jumps", "bbb_moves", "aaa_still"]
        assert lines[0].endswith("▁▁▁▁▁▁▁█")
        assert lines[1].endswith("▁█▁█▁█▁█")

    def test_a_counter_is_shown_by_the_second_and_its_reset_as_a_gap(self, board):
        for at_s, value in ((10, 100.0), (20, 200.0), (30, 5.0), (40, 25.0)):
            board.add(snapshot(counter("pg_commits", value, at_s=at_s)))
        _, line = shown(board)
        assert line.split() == ["pg_commits", "2/s", "█", "▁"]
        assert line.endswith(" █ ▁")

    def test_the_same_sample_again_is_no_new_value(self, board):
        for _ in range(3):
            board.add(snapshot(sample("pg_up", 1.0, at_s=5)))
        assert shown(board)[1].endswith("  ▁")

    @pytest.mark.parametrize("width", [40, 80, 100, 200])
    def test_it_keeps_to_the_terminal(self, board, width):
        long = {"application_name": "x" * 300, "datname": "y\x1b[2J"}
        for number in range(50):
            board.add(
                snapshot(
                    *(sample(f"pg_{n}", float(n), at_s=number + 1, **long) for n in range(99)),
                    collectors=[failing(f"c{n}", message="m" * 300) for n in range(9)],
                )
            )
        for number in range(9):
            board.set_alert(alert(f"Alert{number}", summary="s" * 300))
        lines = shown(board, width, 24)
        assert len(lines) <= 24
        assert max(map(len, lines)) <= width
        assert "\x1b" not in "".join(lines)
        assert "8 more alerts" in "\n".join(lines)
        assert "more series" in lines[-1]

    def test_what_is_over_is_gone(self, board):
        board.add(snapshot(sample("a", 1.0), sample("b", 1.0), collectors=[failing("c")]))
        board.set_alert(alert("Deadlocks", datname="x"))
        board.set_alert(alert("Deadlocks", state=Alert.RESOLVED, datname="x"))
        board.add(snapshot(sample("b", 1.0), collectors=[Status(name="c", state=Status.OK)]))
        assert [line.split()[0] for line in shown(board)[1:]] == ["b"]

    def test_it_says_when_nothing_came_for_long(self, board, now):
        board.add(snapshot(sample("a", 1.0)))
        now[0] += 30.0
        assert shown(board)[0].startswith("main ")
        now[0] += 10.0
        assert shown(board)[0] == "main: no message for 40 s, dbopsd is away. What came last:"
        board.add(snapshot(sample("a", 1.0)))
        assert shown(board)[0].startswith("main ")

    def test_before_the_first_snapshot_it_is_empty(self, board):
        assert len(shown(board)) == 1


class TestLines:
    def test_each_change_is_a_line(self):
        lines = Lines()
        first = update(sample("pg_up", 1.0), sample("n", 0.1 + 0.2, a="b"))
        assert list(lines.of(first)) == [
            "1970-01-01T00:16:40Z pg_up 1",
            "1970-01-01T00:16:40Z n a=b 0.3",
        ]
        second = update(sample("pg_up", 0.0), gone=[sample("n", 0.3, a="b")], missed=2)
        assert list(lines.of(second)) == [
            "1970-01-01T00:16:40Z missed 2 messages",
            "1970-01-01T00:16:40Z n a=b gone",
            "1970-01-01T00:16:40Z pg_up 0",
        ]

    def test_after_a_reconnection_only_what_is_different_is_said(self):
        lines = Lines()
        list(lines.of(update(sample("a", 1.0), sample("b", 1.0))))
        again = update(sample("a", 1.0), sample("b", 2.0))
        assert list(lines.of(again)) == ["1970-01-01T00:16:40Z b 2"]

    def test_a_collector_that_fails_and_works_again(self):
        lines = Lines()
        fine = Status(name="c", state=Status.OK)
        assert list(lines.of(update(collectors=[fine]))) == []
        (failed,) = lines.of(update(collectors=[failing("c")]))
        assert failed == ("1970-01-01T00:16:40Z collector c FAILED QUERY_TIMEOUT it took too long")
        assert list(lines.of(update(collectors=[failing("c")]))) == []
        assert list(lines.of(update(collectors=[fine]))) == ["1970-01-01T00:16:40Z collector c OK"]


class TestCommand:
    def test_a_pipe_gets_lines_and_the_end_an_exit_code(self, dbops_metrics, metrics_server):
        metrics_server.answer("WatchSnapshots", update(sample("pg_up", 1.0)), END)
        result = dbops_metrics(
            "metrics", "watch", "main", "--metric", "pg_*", "--label", "a=b", "--interval", "2s"
        )
        assert result.exit_code == 3
        assert result.stdout == "1970-01-01T00:16:40Z pg_up 1\n"
        assert "enough" in result.stderr
        sent = metrics_server.sent("WatchSnapshots")
        assert sent.changes_only
        assert (sent.interval.seconds, list(sent.filter.metrics)) == (2, ["pg_*"])
        assert dict(sent.filter.labels) == {"a": "b"}

    def test_json_is_a_snapshot_a_line(self, dbops_metrics, metrics_server):
        metrics_server.answer(
            "WatchSnapshots", update(sample("pg_up", 0.0)), update(sample("pg_up", 1.0)), END
        )
        result = dbops_metrics("metrics", "watch", "main", "--output", "json")
        first, second = map(json.loads, result.stdout.splitlines())
        assert (first["database"], first["samples"][0]["value"]) == ("databases/main", 0.0)
        assert second["samples"][0]["value"] == 1.0
        assert not metrics_server.sent("WatchSnapshots").changes_only


class TestTerminal:
    @pytest.fixture
    def watch(self, metrics_server):
        metrics_server.answer("WatchAlerts", metrics_pb2.WatchAlertsResponse(alert=alert("Rule")))
        metrics_server.answer(
            "WatchSnapshots",
            update(sample("pg_up", 1.0), collectors=[failing("stat_io")]),
            Failure("UNAVAILABLE", "restarting"),
            update(sample("pg_up", 0.0), sample("pg_new", 0.0)),
        )
        sessions = []

        def start(**env):
            sessions.append(
                TerminalSession(
                    *("--server", metrics_server.target, "metrics", "watch", "main"),
                    columns=80,
                    shows_output=True,
                    **env,
                )
            )
            return sessions[-1]

        yield start
        for each in sessions:
            each.close()

    def test_it_is_redrawn_reconnects_and_ends_at_ctrl_c(self, watch):
        terminal = watch()
        terminal.wait_for("collector stat_io FAILED")
        terminal.wait_for("WARNING Rule: Rule is so")
        # From the connection after the one that was lost.
        terminal.wait_for("2 series")
        terminal.wait_for("pg_new")
        terminal.type(CTRL_C)
        code, _, rest = terminal.end()
        assert code == 130
        # The cursor is shown again, and nothing is complained of.
        assert "\x1b[?25h" in rest
        assert "Traceback" not in rest

    def test_no_color_is_heeded(self, watch):
        terminal = watch(NO_COLOR="1")
        terminal.wait_for("WARNING Rule")
        terminal.type(CTRL_C)
        terminal.end()
        assert not re.search(r"\x1b\[[0-9;]*3[0-7][;m]", terminal.shown)
