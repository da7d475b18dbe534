"""`dbops metrics trends`, against a real server."""

import json

from dbops.v1 import metrics_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

Trends = metrics_pb2.ListTrendsResponse
Trend = metrics_pb2.Trend

FULL = Trend(
    kind=Trend.EXHAUSTION, metric="dbops_disk_free_bytes", labels={"mount": "/"},
    message="the disk at / is full in 9 days", value=117 * 2.0**30, unit="By",
    growth_per_day=-13 * 2.0**30, limit=0, exhaust_time=Timestamp(seconds=1),
    window=Duration(seconds=14 * 86_400),
)  # fmt: skip
ODD = Trend(
    kind=Trend.UNUSUAL, metric="x", message="more commits\x1b[2J", value=50, unit="{commit}/s",
    usual_value=5, window=Duration(seconds=7 * 86_400),
)  # fmt: skip


def test_a_table_of_all_pages(dbops_metrics, metrics_server):
    metrics_server.answer(
        "ListTrends",
        Trends(trends=[FULL], next_page_token="t"),
        Trends(trends=[ODD, Trend(kind=9)]),
    )
    result = dbops_metrics("metrics", "trends", "main")
    assert (result.exit_code, result.stderr) == (0, "")
    header, _, full, odd, _ = (line for line in result.stdout.splitlines() if line.strip())
    assert header.split() == ["KIND", "TREND", "VALUE", "A", "DAY", "USUALLY", "HISTORY"]
    assert full.split("  ")[0] == "runs out"
    assert "the disk at / is full in 9 days" in full
    assert [each for each in ("117.0 GiB", "-13.0 GiB", "14 d") if each not in full] == []
    assert "more commits [2J" in odd
    assert [each for each in ("  50/s", "  5/s", "7 d") if each not in odd] == []


def test_json_is_one_response_of_all_pages(dbops_metrics, metrics_server):
    metrics_server.answer(
        "ListTrends", Trends(trends=[FULL], next_page_token="t"), Trends(trends=[ODD])
    )
    found = json.loads(dbops_metrics("metrics", "trends", "main", "--output", "json").stdout)
    assert [each["kind"] for each in found["trends"]] == ["EXHAUSTION", "UNUSUAL"]
    assert found["trends"][0]["limit"] == 0
    assert "usualValue" not in found["trends"][0]


def test_none(dbops_metrics, metrics_server):
    metrics_server.answer("ListTrends", Trends())
    assert dbops_metrics("metrics", "trends", "main").stdout == "The history shows no trend.\n"
