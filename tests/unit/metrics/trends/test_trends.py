"""Trends of histories that the real store wrote, and how they are listed."""

import asyncio
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from dbops.v1 import metrics_pb2

from dbopsd.errors import DatabaseNotFound
from dbopsd.metrics.errors import HistoryOff, HistoryUnavailable
from dbopsd.metrics.history.resolution import HOUR_MS
from dbopsd.metrics.history.store import HistoryStore
from dbopsd.metrics.model import Metric, MetricType, Series
from dbopsd.metrics.trends.trends import Trend, TrendKind, Trends, amount
from dbopsd.rpc.metrics.trends import TrendMethods
from tests.support.history import LARGE, START_MS, work, write

GIB = 2.0**30
DAYS = 14
TIMES = [START_MS + HOUR_MS * each + HOUR_MS // 2 for each in range(DAYS * 24)]
NOW_S = TIMES[-1] / 1000 + 3600


def series(metric: str, unit: str, kind: MetricType = MetricType.GAUGE, **labels: str) -> Series:
    return Series(Metric(metric, kind, unit, "", tuple(labels)), tuple(labels.values()))


def table(name: str) -> Series:
    return series(
        "pg_stat_user_tables_table_size_bytes", "By",
        datname="shop", schemaname="public", relname=name,
    )  # fmt: skip


def disk(mount: str) -> Series:
    return series("dbops_disk_free_bytes", "By", mount=mount)


FILLING, EMPTY, SAWTOOTH, LATELY = disk("/data"), disk("/other"), disk("/wal"), disk("/late")
GROWING, STILL, LOADED = table("orders"), table("countries"), table("imported")
SHOP = series("pg_database_size_bytes", "By", datname="shop")
GONE = series("pg_database_size_bytes", "By", datname="dropped")
SEQUENCE = series(
    "pg_sequence_used_ratio", "1", datname="shop", schemaname="public", sequencename="orders_id_seq"
)
COMMITS = series(
    "pg_stat_database_xact_commit", "{transaction}", MetricType.COUNTER, datid="1", datname="shop"
)
DEADLOCKS = series(
    "pg_stat_database_deadlocks", "{deadlock}", MetricType.COUNTER, datid="1", datname="shop"
)
BACKENDS = series("pg_stat_database_numbackends", "{connection}", datid="1", datname="shop")
STORAGE = series("dbops_health_check_value", "1", check="storage")
CONNECTIONS = series("dbops_health_check_value", "1", check="connections")


def values(at_ms: int) -> Mapping[Series, float]:
    day = (at_ms - START_MS) / (24 * HOUR_MS)
    hour = int(day * 24)
    noise = np.random.default_rng(hour).normal(0, 1)
    last = at_ms == TIMES[-1]
    hourly = {
        # 5 GiB a day since the last three days, 10 GiB left.
        LATELY: (25 - 5 * max(day - 11, 0)) * GIB,
        COMMITS: 3600.0 * (100 * hour + (hour % 24) * 5 + (90_000 if last else 0)),
        # There were many in the hour before the last one, in which the statistics were reset.
        DEADLOCKS: 0.0 if last else 3.0 * hour + (9000 if at_ms == TIMES[-2] else 0),
        BACKENDS: 20.0 + hour % 24 + abs(noise),
    }
    if hour % 4 != 3:
        # Enough for a line, and a quarter of the work.
        return hourly
    found = {
        **hourly,
        # 9 days after the end: 23 days after the start.
        FILLING: (23 - day) * 13 * GIB + noise * GIB / 20,
        EMPTY: 500 * GIB + noise * GIB,
        SAWTOOTH: (100 - 90 * (day % 1)) * GIB,
        GROWING: (5 + 0.5 * day) * GIB,
        STILL: 3 * GIB,
        LOADED: (1 if day < 6 else 40) * GIB,
        SHOP: (50 + 1.5 * day) * GIB,
        SEQUENCE: 0.3 + 0.005 * day,
        # The same disk, as the health check sees it.
        STORAGE: 1 - (23 - day) * 13 / 400,
        CONNECTIONS: 0.01 * day,
    }
    return found | ({GONE: 9 * GIB * day} if day < 12 else {})


def limited(at_ms: int) -> Mapping[Series, float]:
    """A configured limit is reached before any disk is full."""
    day = (at_ms - START_MS) / (24 * HOUR_MS)
    return {STORAGE: 0.3 + 0.02 * day, FILLING: (200 - day) * GIB}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trends") / "history.db"
    store = HistoryStore(path, max_bytes=LARGE)
    write(store, TIMES, values)
    write(store, TIMES[::4], limited, database="limited")
    work(store, round(NOW_S * 1000))
    store.close()
    return path


@pytest.fixture(scope="module")
def found(path: Path) -> list[Trend]:
    return asyncio.run(Trends(path, clock=lambda: NOW_S).current("main"))


def of(found: list[Trend], kind: TrendKind) -> dict[Series, Trend]:
    return {
        each.series._replace(metric=_plain(each.series.metric)): each
        for each in found
        if each.kind is kind
    }


def _plain(metric: Metric) -> Metric:
    return Metric(metric.name, metric.type, metric.unit, "", metric.labels)


def test_what_runs_out_and_when(found: list[Trend]) -> None:
    runs_out = of(found, TrendKind.EXHAUSTION)
    assert list(runs_out) == [LATELY, FILLING, SEQUENCE]
    filling = runs_out[FILLING]
    assert filling.message.startswith("the disk at /data is full in 9 days, at 13")
    assert filling.message.endswith(" GiB a day with 117 GiB left")
    assert filling.growth_per_day == pytest.approx(-13 * GIB, rel=0.02)
    assert (filling.limit, filling.unit) == (0.0, "By")
    assert filling.exhaust_at == pytest.approx(START_MS / 1000 + 23 * 86_400, abs=86_400 / 4)
    assert filling.window_s == pytest.approx(14 * 86_400, rel=0.05)
    lately = runs_out[LATELY]
    assert lately.message.startswith("the disk at /late is full in 2 days")
    assert lately.window_s == pytest.approx(3 * 86_400, rel=0.05)
    assert runs_out[SEQUENCE].message == (
        "the sequence public.orders_id_seq of shop is at its end in 126 days, "
        "at 0.5 % a day with 63 % left"
    )


async def test_a_configured_limit_is_not_the_disk(path: Path) -> None:
    found = await Trends(path, clock=lambda: NOW_S - 7200).current("limited")
    limit, disk_ = of(found, TrendKind.EXHAUSTION).values()
    assert limit.message == "the storage is full in 21 days, at 2 % a day with 42.3 % left"
    assert disk_.series.metric.name == "dbops_disk_free_bytes"


def test_what_grows(found: list[Trend]) -> None:
    grows = of(found, TrendKind.GROWTH)
    assert list(grows) == [SHOP, GROWING]
    assert grows[GROWING].message == (
        "the table public.orders of shop grows by 512 MiB a day, and has 12 GiB"
    )
    assert grows[GROWING].growth_per_day == pytest.approx(GIB / 2)
    assert grows[GROWING].limit is None


def test_what_is_unusual(found: list[Trend]) -> None:
    unusual = of(found, TrendKind.UNUSUAL)
    assert list(unusual) == [COMMITS]
    commits = unusual[COMMITS]
    assert commits.unit == "{transaction}/s"
    assert commits.value > 80_000
    assert commits.usual == pytest.approx(105)
    assert commits.message.startswith(
        "more commits of shop than in the same hour of the past 13 days: "
    )
    assert commits.growth_per_day is None


def test_the_order_is_that_of_ranks(found: list[Trend]) -> None:
    ranks = [each.rank for each in found]
    assert ranks == sorted(ranks)
    assert len(set(ranks)) == len(ranks)


async def test_a_daemon_that_was_off_has_no_trend_of_what_is_long_ago(path: Path) -> None:
    later = Trends(path, clock=lambda: NOW_S + 6 * 3600)
    assert await later.current("main") == []
    assert await Trends(path, clock=lambda: NOW_S).current("branch") == []


async def test_a_daemon_that_was_off_has_no_trend_before_an_hour_is_over(
    path: Path, tmp_path: Path
) -> None:
    again = tmp_path / "history.db"
    shutil.copy(path, again)
    later_s = NOW_S + 2 * 86_400
    store = HistoryStore(again, max_bytes=LARGE)
    write(store, [round(later_s * 1000) - 60_000], values)
    store.close()
    assert await Trends(again, clock=lambda: later_s).current("main") == []


async def test_pages_and_messages(path: Path, found: list[Trend]) -> None:
    methods = TrendMethods(frozenset({"main"}), Trends(path, clock=lambda: NOW_S))
    listed: list[metrics_pb2.Trend] = []
    token = ""
    for _ in found:
        page = await methods.ListTrends(
            metrics_pb2.ListTrendsRequest(parent="databases/main", page_size=2, page_token=token),
            None,
        )
        listed += page.trends
        token = page.next_page_token
        if not token:
            break
    assert [each.message for each in listed] == [each.message for each in found]
    first, last = listed[0], listed[-1]
    assert (first.kind, last.kind) == (metrics_pb2.Trend.EXHAUSTION, metrics_pb2.Trend.GROWTH)
    assert dict(first.labels) == {"mount": "/late"}
    assert first.HasField("limit")
    assert first.exhaust_time.seconds > NOW_S
    assert not last.HasField("limit")
    assert not last.HasField("exhaust_time")
    assert not first.HasField("usual_value")


async def test_without_a_history_it_says_why(tmp_path: Path, path: Path) -> None:
    request = metrics_pb2.ListTrendsRequest(parent="databases/main")
    with pytest.raises(HistoryOff):
        await TrendMethods(frozenset({"main"}), None).ListTrends(request, None)
    with pytest.raises(HistoryUnavailable, match="nothing has been recorded yet"):
        await Trends(tmp_path / "none.db").current("main")
    with pytest.raises(DatabaseNotFound):
        await TrendMethods(frozenset(), Trends(path)).ListTrends(request, None)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (117 * GIB, "By", "117 GiB"),
        (2048 * GIB, "By/s", "2 TiB/s"),
        (12.0, "By", "12 B"),
        (0.125, "1", "12.5 %"),
        (2.5, "1", "2.5"),
        (1234567.0, "{transaction}/s", "1,234,567/s"),
        (3.0, "{connection}", "3"),
    ],
)
def test_amounts_for_people(value: float, unit: str, text: str) -> None:
    assert amount(value, unit) == text
