"""What OTLP has each metric as."""

import re

import pytest

from dbopsd.metrics.collector import load_collectors
from dbopsd.metrics.model import Metric, MetricType, Series
from dbopsd.metrics.otlp.names import Kind, load_names
from dbopsd.metrics.sources import load_sources

NAMES = load_names()
DECLARED: dict[str, Metric] = {
    metric.name: metric for each in (*load_collectors(), *load_sources()) for metric in each.metrics
}
LISTED = [each for each in NAMES.listed.items() if each[0] in DECLARED]
# Named by rows, not by the collector's header.
OF_ROWS = {"pg_settings_max_connections"}
# OpenTelemetry's PostgreSQL metrics that are on by default, and that dbopsd measures exactly.
DEFAULTS = {
    *("backends", "bgwriter.buffers.allocated", "bgwriter.buffers.writes"),
    *("bgwriter.checkpoint.count", "bgwriter.duration", "bgwriter.maxwritten", "blocks_read"),
    *("commits", "connection.max", "db_size", "index.scans", "operations", "rollbacks", "rows"),
    *("replication.data_delay", "table.count", "table.size", "table.vacuum.count", "wal.age"),
}


def gauge(name: str, *labels: str) -> Metric:
    return Metric(name, MetricType.GAUGE, "By", "x.", labels)


def test_opentelemetrys_own_metrics_are_there() -> None:
    names = {each.name for each in NAMES.listed.values()}
    assert {f"postgresql.{name}" for name in DEFAULTS} <= names


def test_each_that_is_listed_is_measured() -> None:
    assert set(NAMES.listed) - set(DECLARED) == OF_ROWS


@pytest.mark.parametrize(("name", "as_"), LISTED, ids=[name for name, _ in LISTED])
def test_each_has_the_kind_of_its_metric_and_tells_its_series_apart(name, as_) -> None:
    metric = DECLARED[name]
    assert (as_.kind is Kind.COUNTER) == (metric.type is MetricType.COUNTER)
    used = set(re.findall(r"\{(\w+)", " ".join(as_.templates.values())))
    # A database's id says no more than its name, and these of a receiver no more than its process.
    assert set(metric.labels) - used <= {"datid", "state", "slot_name"}
    assert used <= set(metric.labels)


def test_two_metrics_that_give_one_are_told_apart() -> None:
    found = [(each.name, tuple(each.added.items())) for each in NAMES.listed.values()]
    assert len(found) == len(set(found))
    units = {(each.name, each.unit, each.kind) for each in NAMES.listed.values()}
    assert len(units) == len({each.name for each in NAMES.listed.values()})


def test_attributes_are_filled_from_labels() -> None:
    rows = DECLARED["pg_stat_user_tables_n_live_tup"]
    as_ = NAMES.of(rows)
    assert (as_.name, as_.unit, as_.kind) == ("postgresql.rows", "1", Kind.UPDOWN)
    assert as_.attributes(Series(rows, ("app", "public", "users"))) == {
        "db.namespace": "app|public",
        "db.collection.name": "users",
        "state": "live",
    }
    delay = DECLARED["pg_stat_replication_pg_wal_lsn_diff"]
    assert NAMES.of(delay).attributes(Series(delay, ("w", "", "streaming", "", "17"))) == {
        "replication_client": "unix",
        "application_name": "w",
        "pid": "17",
    }


def test_what_has_no_value_is_no_attribute() -> None:
    commits = DECLARED["pg_stat_database_xact_commit"]
    # Of what belongs to no database.
    assert NAMES.of(commits).attributes(Series(commits, ("0", ""))) == {}
    own = gauge("pg_x", "a", "b")
    assert NAMES.of(own).attributes(Series(own, ("", "1"))) == {"b": "1"}


def test_every_other_metric_has_its_own_name_behind_a_prefix() -> None:
    found = NAMES.of(gauge("pg_x_bytes", "a"))
    assert (found.name, found.unit, found.kind) == ("dbops.pg_x_bytes", "By", Kind.GAUGE)
    assert NAMES.of(gauge("dbops_health_state")).name == "dbops.health_state"
    counter = Metric("pg_y_total", MetricType.COUNTER, "{call}", "y.")
    assert NAMES.of(counter).kind is Kind.COUNTER


@pytest.mark.parametrize(
    "name",
    [
        "pg_stat_database_stats_reset",
        "pg_stat_bgwriter_stats_reset_total",
        "pg_stat_wal_receiver_flushed_lsn",
    ],
)
def test_times_and_positions_are_no_counters(name) -> None:
    metric = DECLARED[name]
    assert metric.type is MetricType.COUNTER
    assert NAMES.of(metric).kind is Kind.GAUGE
