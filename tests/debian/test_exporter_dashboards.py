"""Queries written for postgres_exporter, asked unchanged of a Prometheus that scrapes the daemon.

Panels are Grafana's dashboard 9628, rules are the mixin's, as upstream had both in 2026. A rule is
asked without its threshold: it must have something to judge.
"""

import contextlib
import re

from tests.support.daemon import ROOT
from tests.support.debian import Prometheus
from tests.support.patience import eventually_blocking

SERIES = ROOT / "tests" / "unit" / "metrics" / "exporter_series.tsv"
UPSTREAM = {line.partition("\t")[0] for line in SERIES.read_text().splitlines()}
TARGET = 'job="dbopsd", instance="main"'
# The dashboard's variables, as they are filled in for one server.
VARIABLES = {"$instance": "main", "$datname": "postgres", "$interval": "1m", "$mode": ".*"}

CACHE_HIT_RATE = """
pg_stat_database_blks_hit{instance="$instance", datname=~"$datname"}
/ (pg_stat_database_blks_read{instance="$instance", datname=~"$datname"}
   + pg_stat_database_blks_hit{instance="$instance", datname=~"$datname"})
"""
PANELS = [
    'pg_static{instance="$instance"}',
    'pg_postmaster_start_time_seconds{instance="$instance"} * 1000',
    'SUM(pg_stat_database_tup_fetched{datname=~"$datname", instance=~"$instance"})',
    'SUM(pg_stat_database_tup_inserted{datname=~"$datname", instance=~"$instance"})',
    'SUM(pg_stat_database_tup_updated{datname=~"$datname", instance=~"$instance"})',
    'pg_settings_max_connections{instance="$instance"}',
    'avg(rate(process_cpu_seconds_total{instance="$instance"}[5m]) * 1000)',
    'avg(rate(process_resident_memory_bytes{instance="$instance"}[5m]))',
    'avg(rate(process_virtual_memory_bytes{instance="$instance"}[5m]))',
    'process_open_fds{instance="$instance"}',
    'pg_settings_shared_buffers_bytes{instance="$instance"}',
    'pg_settings_effective_cache_size_bytes{instance="$instance"}',
    'pg_settings_maintenance_work_mem_bytes{instance="$instance"}',
    'pg_settings_work_mem_bytes{instance="$instance"}',
    'pg_settings_max_wal_size_bytes{instance="$instance"}',
    'pg_settings_random_page_cost{instance="$instance"}',
    "pg_settings_seq_page_cost",
    'pg_settings_max_worker_processes{instance="$instance"}',
    'pg_settings_max_parallel_workers{instance="$instance"}',
    'pg_stat_activity_count{datname=~"$datname", instance=~"$instance", state="active"}',
    'irate(pg_stat_database_xact_commit{instance="$instance", datname=~"$datname"}[5m])',
    'irate(pg_stat_database_xact_rollback{instance="$instance", datname=~"$datname"}[5m])',
    'pg_stat_database_tup_returned{datname=~"$datname", instance=~"$instance"}',
    'pg_stat_activity_count{datname=~"$datname", state=~"idle|idle in transaction"}',
    CACHE_HIT_RATE,
    'irate(pg_stat_bgwriter_buffers_backend_total{instance="$instance"}[5m])',
    'irate(pg_stat_bgwriter_buffers_alloc_total{instance="$instance"}[5m])',
    'irate(pg_stat_bgwriter_buffers_backend_fsync_total{instance="$instance"}[5m])',
    'irate(pg_stat_bgwriter_buffers_checkpoint_total{instance="$instance"}[5m])',
    'irate(pg_stat_bgwriter_buffers_clean_total{instance="$instance"}[5m])',
    'irate(pg_stat_database_conflicts{instance="$instance", datname=~"$datname"}[5m])',
    'irate(pg_stat_database_deadlocks{instance="$instance", datname=~"$datname"}[5m])',
    'pg_locks_count{datname=~"$datname", instance=~"$instance", mode=~"$mode"}',
    'irate(pg_stat_database_temp_bytes{instance="$instance", datname=~"$datname"}[5m])',
    'irate(pg_stat_bgwriter_checkpoint_write_time_total{instance="$instance"}[5m])',
    'irate(pg_stat_bgwriter_checkpoint_sync_time_total{instance="$instance"}[5m])',
    'pg_exporter_last_scrape_duration_seconds{instance="$instance"}',
]
RULES = {
    "PostgreSQLMaxConnectionsReached": "sum by (instance) (pg_stat_activity_count{%T}) / (sum by "
    "(instance) (pg_settings_max_connections{%T}) - sum by (instance) "
    "(pg_settings_superuser_reserved_connections{%T}))",
    "PostgreSQLDown": "pg_up{%T}",
    "PostgreSQLSlowQueries": "avg by (datname, instance) (rate("
    'pg_stat_activity_max_tx_duration{datname!~"template.*", %T}[2m]))',
    "PostgreSQLQPS": "avg by (datname, instance) (irate(pg_stat_database_xact_commit"
    '{datname!~"template.*", %T}[5m]) + irate(pg_stat_database_xact_rollback'
    '{datname!~"template.*", %T}[5m]))',
    "PostgreSQLCacheHitRatio": "avg by (datname, instance) (rate(pg_stat_database_blks_hit"
    '{datname!~"template.*", %T}[5m]) / (rate(pg_stat_database_blks_hit'
    '{datname!~"template.*", %T}[5m]) + rate(pg_stat_database_blks_read'
    '{datname!~"template.*", %T}[5m])))',
    "PostgresHasTooManyRollbacks": "avg without (pod, datid) (rate(pg_stat_database_xact_rollback"
    '{datname!~"template.*", %T}[5m]) / (rate(pg_stat_database_xact_commit'
    '{datname!~"template.*", %T}[5m]) + rate(pg_stat_database_xact_rollback'
    '{datname!~"template.*", %T}[5m])))',
    "PostgresHasHighDeadLocks": "max by (instance, datname) (rate(pg_stat_database_deadlocks"
    '{datname!~"template.*", %T}[5m]) * 60)',
    "PostgresAcquiredTooManyLocks": "max by (datname, instance, mode) ((pg_locks_count{%T}) / "
    "on (instance) group_left () (pg_settings_max_locks_per_transaction{%T} * "
    "pg_settings_max_connections{%T}))",
    "PostgresHasReplicationRoleChanged": "pg_replication_is_replica{%T} and "
    "changes(pg_replication_is_replica{%T}[1m]) >= 0",
    "PostgresHasExporterErrors": "pg_exporter_last_scrape_error{%T}",
    "PostgresTooManyCheckpointsRequested": "rate(pg_stat_bgwriter_checkpoints_timed_total{%T}[5m]) "
    "+ rate(pg_stat_bgwriter_checkpoints_req_total{%T}[5m])",
}


def panel(expression: str) -> str:
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    return expression


EXPRESSIONS = [*map(panel, PANELS), *(each.replace("%T", TARGET) for each in RULES.values())]


def test_each_has_an_answer_for_each_database_alone(prometheus: Prometheus) -> None:
    unanswered = set(EXPRESSIONS)

    def all_answered() -> bool:
        # A query that Prometheus refuses, such as for many-to-many matching, ends the test.
        unanswered.difference_update([each for each in unanswered if prometheus.query(each)])
        return not unanswered

    with contextlib.suppress(AssertionError):
        eventually_blocking(all_answered, 60)
    assert unanswered == set()


def test_every_name_in_them_is_one_of_upstreams() -> None:
    names = {name for each in EXPRESSIONS for name in re.findall(r"\b(?:pg|process)_\w+", each)}
    assert len(names) > 40
    assert [each for each in names if each not in UPSTREAM and "pg_settings_" not in each] == []
