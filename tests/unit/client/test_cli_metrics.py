"""`dbops metrics list|get|history`, against a real server."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import click
import pytest
from dbops.v1 import metrics_pb2
from dbops_client.cli.metric_options import Label, Moment, Span
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console

from tests.unit.client.metrics import Status, counter, descriptor, failing, sample, snapshot
from tests.unit.client.metrics_server import Failure

Descriptors = metrics_pb2.ListMetricDescriptorsResponse
History = metrics_pb2.QueryHistoryResponse
Query = metrics_pb2.QueryHistoryRequest


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal():
    return Console(
        file=Terminal(), force_terminal=True, width=80, height=40, _environ={"NO_COLOR": "1"}
    )


def rows(output):
    return [line.split() for line in output.splitlines() if line.strip()]


class TestList:
    @pytest.fixture(autouse=True)
    def _descriptors(self, metrics_server):
        metrics_server.answer(
            "ListMetricDescriptors",
            Descriptors(
                descriptors=[descriptor("pg_up", help="Whether it answers.")], next_page_token="t"
            ),
            Descriptors(
                descriptors=[
                    descriptor(
                        "pg_x_total",
                        type=metrics_pb2.COUNTER,
                        unit="By",
                        collector="x",
                        state=Status.NOT_APPLICABLE,
                        message="it is for a standby\x1b[2J",
                    ),
                    descriptor("pg_new", type=99, state=98, labels=["a"]),
                ]
            ),
        )

    def test_a_table_of_all_pages(self, dbops_metrics):
        result = dbops_metrics("metrics", "list", "main")
        assert (result.exit_code, result.stderr) == (0, "")
        header, _, up, x, new = rows(result.stdout)
        assert header == ["METRIC", "TYPE", "UNIT", "COLLECTOR", "STATE", "MEANING"]
        assert up == ["pg_up", "gauge", "1", "c", "OK", "Whether", "it", "answers."]
        assert x[:5] == ["pg_x_total", "counter", "By", "x", "NOT_APPLICABLE"]
        assert " ".join(x[5:]) == "What it is. it is for a standby [2J"
        # Of a newer server.
        assert (new[1], new[4]) == ("type_99", "STATE_98")

    def test_json_is_one_response_with_every_field(self, dbops_metrics):
        found = json.loads(dbops_metrics("metrics", "list", "main", "--output", "json").stdout)
        assert [each["metric"] for each in found["descriptors"]] == [
            "pg_up",
            "pg_x_total",
            "pg_new",
        ]
        assert found["nextPageToken"] == ""
        assert (found["descriptors"][0]["labels"], found["descriptors"][0]["message"]) == ([], "")

    def test_no_metrics_are_said_so(self, dbops_metrics, metrics_server):
        metrics_server.answer("ListMetricDescriptors", Descriptors())
        assert dbops_metrics("metrics", "list", "main").stdout == "There are no such metrics.\n"


class TestGet:
    def test_values_are_in_their_units_and_troubled_collectors_below(
        self, dbops_metrics, metrics_server
    ):
        metrics_server.answer(
            "GetSnapshot",
            snapshot(
                sample("pg_size_bytes", 5 * 2**30, "By", datname="app", a="1"),
                counter("pg_commits", 1234.0),
                collectors=[
                    Status(name="good", state=Status.OK),
                    Status(name="other", state=Status.NOT_APPLICABLE, message="not shown"),
                    failing("bad"),
                ],
            ),
        )
        result = dbops_metrics("metrics", "get", "main")
        assert (result.exit_code, result.stderr) == (0, "")
        header, _, size, commits, head, _, bad = rows(result.stdout)
        assert header == ["METRIC", "LABELS", "VALUE"]
        assert size == ["pg_size_bytes", "a=1", "datname=app", "5.0", "GiB"]
        assert commits == ["pg_commits", "1,234"]
        assert head == ["COLLECTOR", "STATE", "WHY"]
        assert bad == ["bad", "FAILED", "QUERY_TIMEOUT:", "it", "took", "too", "long"]

    def test_what_is_asked_for(self, dbops_metrics, metrics_server):
        metrics_server.answer("GetSnapshot", snapshot())
        result = dbops_metrics(
            *("metrics", "get", "main", "--metric", "pg_*", "--metric", "x"),
            *("--label", "datname=a=b", "--label", "empty="),
        )
        assert result.stdout == "There are no such samples.\n"
        asked = metrics_server.sent("GetSnapshot").filter
        assert list(asked.metrics) == ["pg_*", "x"]
        assert dict(asked.labels) == {"datname": "a=b", "empty": ""}

    def test_json_has_every_field_of_a_sample_though_it_is_zero(
        self, dbops_metrics, metrics_server
    ):
        metrics_server.answer(
            "GetSnapshot", snapshot(sample("pg_up", 0.0), collectors=[Status(name="up")])
        )
        found = json.loads(dbops_metrics("metrics", "get", "main", "--output", "json").stdout)
        assert (found["database"], found["sampleTime"]) == (
            "databases/main",
            "1970-01-01T00:16:40Z",
        )
        assert found["samples"] == [
            {
                "metric": "pg_up",
                "labels": {},
                "value": 0.0,
                "unit": "1",
                "type": "GAUGE",
                "sampleTime": "1970-01-01T00:16:40Z",
            }
        ]
        assert found["collectors"][0]["name"] == "up"
        assert found["collectors"][0]["reason"] == ""

    def test_a_refusal_is_3_and_a_line(self, dbops_metrics, metrics_server):
        metrics_server.answer("GetSnapshot", Failure("FAILED_PRECONDITION", "not sampled"))
        result = dbops_metrics("metrics", "get", "main")
        assert (result.exit_code, result.stdout) == (3, "")
        assert result.stderr.startswith("dbops: ")
        assert "not sampled" in result.stderr

    @pytest.mark.parametrize("label", ["datname", "=x", ""])
    def test_a_label_without_both_is_wrong_usage(self, dbops_metrics, label):
        result = dbops_metrics("metrics", "get", "main", "--label", label)
        assert (result.exit_code, result.stdout) == (2, "")
        assert "is no K=V, such as datname=app" in result.stderr


class TestHistory:
    @pytest.fixture(autouse=True)
    def _history(self, metrics_server):
        points = [
            History.Point(time=Timestamp(seconds=60 * number), value=value)
            for number, value in enumerate((0.0, 1024.0, 2048.5))
        ]
        metrics_server.answer(
            "QueryHistory",
            History(
                metric="pg_size_bytes",
                unit="By",
                step=Duration(seconds=60),
                series=[
                    History.Series(labels={"datname": "a,b"}, points=points),
                    History.Series(labels={"datname": "c"}, points=points[:1]),
                ],
                left_out_count=7,
            ),
        )

    def test_a_pipe_gets_csv_and_a_note_of_what_was_left_out(self, dbops_metrics):
        result = dbops_metrics("metrics", "history", "main", "pg_size_bytes")
        assert result.exit_code == 0
        assert list(csv.reader(io.StringIO(result.stdout))) == [
            ["time", "labels", "value"],
            ["1970-01-01T00:00:00Z", "datname=a,b", "0.0"],
            ["1970-01-01T00:01:00Z", "datname=a,b", "1024.0"],
            ["1970-01-01T00:02:00Z", "datname=a,b", "2048.5"],
            ["1970-01-01T00:00:00Z", "datname=c", "0.0"],
        ]
        assert result.stderr == "7 more series were left out: narrow them by --label.\n"

    def test_a_terminal_gets_a_chart_a_series(self, dbops_metrics, terminal):
        result = dbops_metrics("metrics", "history", "main", "pg_size_bytes", console=terminal)
        assert result.exit_code == 0
        shown = terminal.file.getvalue()
        assert "pg_size_bytes datname=a,b" in shown
        assert "2.0 KiB ┤  █" in shown
        assert max(map(len, shown.splitlines())) <= 80

    def test_json_has_points_that_are_zero(self, dbops_metrics):
        result = dbops_metrics("metrics", "history", "main", "pg_size_bytes", "--output=json")
        found = json.loads(result.stdout)
        assert found["series"][0]["points"][0] == {"time": "1970-01-01T00:00:00Z", "value": 0.0}

    def test_what_is_asked_for(self, dbops_metrics, metrics_server):
        result = dbops_metrics(
            *("metrics", "history", "main", "m", "--label", "a=b", "--step", "5m"),
            *("--since", "2026-01-01T00:00Z", "--until", "2026-01-02T00:00:00+00:00"),
            *("--aggregate", "quantile"),
        )
        assert result.exit_code == 0
        assert metrics_server.sent("QueryHistory") == Query(
            name="databases/main",
            metric="m",
            labels={"a": "b"},
            start_time=Timestamp(seconds=1_767_225_600),
            end_time=Timestamp(seconds=1_767_312_000),
            step=Duration(seconds=300),
            aggregation=Query.QUANTILE,
            quantile=0.95,
        )

    def test_a_quantile_needs_its_aggregation(self, dbops_metrics, metrics_server):
        result = dbops_metrics("metrics", "history", "main", "m", "--quantile", "0.5")
        assert (result.exit_code, metrics_server.calls) == (2, [])

    def test_no_history_is_said_so(self, dbops_metrics, metrics_server, terminal):
        metrics_server.answer("QueryHistory", History())
        dbops_metrics("metrics", "history", "main", "m", console=terminal)
        assert "The history has no such samples." in terminal.file.getvalue()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("1.5s", 1.5), ("15m", 900), ("24h", 86_400), ("7d", 604_800), ("2w", 1_209_600)],
)
def test_a_span_is_a_number_and_a_unit(text, seconds):
    assert Span().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "0", "-5", "5 m", "m", "1e3", "5y", "1h30m", "99999999d"])
def test_what_is_no_span_is_refused(text):
    with pytest.raises(click.BadParameter, match="is no time, such as 30s"):
        Span().convert(text, None, None)


def test_a_moment_is_how_long_ago_or_a_time():
    now = datetime.now(UTC)
    ago = Moment().convert("2h", None, None)
    assert timedelta(hours=1, minutes=59) < now - ago < timedelta(hours=2, minutes=1)
    assert abs(Moment().convert("now", None, None) - now) < timedelta(minutes=1)
    there = Moment().convert("2026-03-01T08:00+02:00", None, None)
    assert there == datetime(2026, 3, 1, 6, tzinfo=UTC)
    here = Moment().convert("2026-03-01T08:00", None, None)
    assert here == datetime(2026, 3, 1, 8).astimezone()


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "-1h"])
def test_what_is_no_moment_is_refused(text):
    with pytest.raises(click.BadParameter, match="is no moment"):
        Moment().convert(text, None, None)


def test_a_label_has_one_value_that_may_hold_anything():
    assert Label().convert("a=b=c", None, None) == ("a", "b=c")
