"""`client.metrics`, with both clients, against a real server."""

from datetime import UTC, datetime

import pytest
from dbops.v1 import metrics_pb2
from dbops_client import AsyncDbopsClient, ConfigurationError, DbopsClient, NotFoundError
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from tests.unit.client.metrics import descriptor, sample, snapshot, update
from tests.unit.client.metrics_server import Failure

Filter = metrics_pb2.SampleFilter
Descriptors = metrics_pb2.ListMetricDescriptorsResponse
Query = metrics_pb2.QueryHistoryRequest


def test_a_list_goes_through_all_pages(metrics_server, call_metrics):
    metrics_server.answer(
        "ListMetricDescriptors",
        Descriptors(descriptors=[descriptor("a"), descriptor("b")], next_page_token="t"),
        Descriptors(descriptors=[descriptor("c")]),
    )
    found = call_metrics("metrics.list", "main", page_size=2)
    assert [each.metric for each in found] == ["a", "b", "c"]
    asked = [request for _, request, _ in metrics_server.calls]
    assert [(each.parent, each.page_size, each.page_token) for each in asked] == [
        ("databases/main", 2, ""),
        ("databases/main", 2, "t"),
    ]


def test_a_snapshot_is_asked_for_with_its_filter(metrics_server, call_metrics):
    metrics_server.answer("GetSnapshot", snapshot(sample()))
    found = call_metrics(
        "metrics.get", "databases/main", metrics=["pg_*"], labels={"datname": "app"}
    )
    assert found == snapshot(sample())
    assert metrics_server.sent("GetSnapshot") == metrics_pb2.GetSnapshotRequest(
        name="databases/main", filter=Filter(metrics=["pg_*"], labels={"datname": "app"})
    )


def test_a_text_is_one_metric_and_not_its_letters(metrics_server, call_metrics):
    metrics_server.answer("GetSnapshot", snapshot())
    call_metrics("metrics.get", "main", metrics="pg_up")
    assert list(metrics_server.sent("GetSnapshot").filter.metrics) == ["pg_up"]


def test_an_error_has_its_reason(metrics_server, call_metrics):
    metrics_server.answer("GetSnapshot", Failure("NOT_FOUND", "no", "DATABASE_NOT_FOUND"))
    with pytest.raises(NotFoundError) as caught:
        call_metrics("metrics.get", "nope")
    assert caught.value.reason == "DATABASE_NOT_FOUND"


ASKED = {
    "metrics": ["pg_*"],
    "labels": {"a": "b"},
    "interval_s": 1.5,
    "changes_only": True,
    "reconnect_for_s": 0,
}
SENT = metrics_pb2.WatchSnapshotsRequest(
    name="databases/main",
    filter=Filter(metrics=["pg_*"], labels={"a": "b"}),
    interval=Duration(seconds=1, nanos=500_000_000),
    changes_only=True,
)


def test_a_watch_gives_each_message(metrics_server):
    metrics_server.answer("WatchSnapshots", update(sample()), update(missed=2))
    with (
        DbopsClient(metrics_server.target) as client,
        client.metrics.watch("main", **ASKED) as watch,
    ):
        assert next(watch) == update(sample())
        assert next(watch).missed_count == 2
    assert metrics_server.sent("WatchSnapshots") == SENT


async def test_a_watch_gives_each_message_to_asyncio(metrics_server):
    metrics_server.answer("WatchSnapshots", update(sample()), update(missed=2))
    async with (
        AsyncDbopsClient(metrics_server.target) as client,
        client.metrics.watch("main", **ASKED) as watch,
    ):
        assert await anext(watch) == update(sample())
        assert (await anext(watch)).missed_count == 2
    assert metrics_server.sent("WatchSnapshots") == SENT


def test_a_watch_comes_back_after_a_restart_and_its_defaults_are_the_servers(metrics_server):
    metrics_server.answer(
        "WatchSnapshots", update(sample()), Failure("UNAVAILABLE", "stopping"), update(sample())
    )
    with DbopsClient(metrics_server.target) as client, client.metrics.watch("main") as watch:
        assert next(watch) == next(watch)
    (_, first, _), (_, second, _) = metrics_server.calls
    assert (
        first == second == metrics_pb2.WatchSnapshotsRequest(name="databases/main", filter=Filter())
    )


def test_a_history_is_asked_for_in_full(metrics_server, call_metrics):
    metrics_server.answer("QueryHistory", metrics_pb2.QueryHistoryResponse(metric="pg_up"))
    found = call_metrics(
        "metrics.history",
        "main",
        "pg_up",
        labels={"a": "b"},
        start=datetime(2026, 1, 1, tzinfo=UTC),
        end=datetime(2026, 1, 2, tzinfo=UTC),
        step_s=60,
        aggregation="quantile",
        quantile=0.9,
    )
    assert found.metric == "pg_up"
    assert metrics_server.sent("QueryHistory") == Query(
        name="databases/main",
        metric="pg_up",
        labels={"a": "b"},
        start_time=Timestamp(seconds=1_767_225_600),
        end_time=Timestamp(seconds=1_767_312_000),
        step=Duration(seconds=60),
        aggregation=Query.QUANTILE,
        quantile=0.9,
    )


def test_what_is_not_said_of_a_history_is_not_sent(metrics_server, call_metrics):
    metrics_server.answer("QueryHistory", metrics_pb2.QueryHistoryResponse())
    call_metrics("metrics.history", "main", "pg_up")
    assert metrics_server.sent("QueryHistory") == Query(name="databases/main", metric="pg_up")


def test_another_aggregation_is_refused_before_anything_is_sent(metrics_server, call_metrics):
    with pytest.raises(ConfigurationError, match="'median' is none of LAST, MEAN"):
        call_metrics("metrics.history", "main", "pg_up", aggregation="median")
    assert metrics_server.calls == []
