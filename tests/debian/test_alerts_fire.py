"""A real Prometheus fires an exported rule in a situation that is really made."""

import threading
from collections.abc import Iterator

import psycopg
import pytest

from dbopsd.config import AlertsConfig
from dbopsd.metrics.alerts.prometheus_rules import prometheus_rules
from dbopsd.metrics.alerts.rules import RuleSet
from tests.support.daemon import Daemon
from tests.support.debian import Prometheus
from tests.support.patience import eventually_blocking
from tests.support.servers import PostgresServer

JOBS = ("by-database", "all-at-once")
CHANGES = AlertsConfig.model_validate(
    {
        "rules": {
            "SessionsBlocked": {"threshold": 1, "for_s": 0},
            "PreparedTransactionForgotten": {"threshold": 1},
            "DatabaseDown": {"for_s": 0},
        }
    }
)


@pytest.fixture(scope="module")
def judging(daemon: Daemon) -> Iterator[Prometheus]:
    """A Prometheus that judges both databases as one target each, and as one target in all."""
    configs = [
        {
            "job_name": JOBS[0],
            "http_sd_configs": [
                {"url": f"{daemon.http_url}/prometheus/targets", "refresh_interval": "1s"}
            ],
        },
        {
            "job_name": JOBS[1],
            "static_configs": [{"targets": [daemon.http_url.removeprefix("http://")]}],
        },
    ]
    rules = prometheus_rules(RuleSet.of(CHANGES).rules.values())
    with Prometheus(configs, rules) as running:
        eventually_blocking(
            lambda: len(running.query("pg_up == 1")) == 4, 30, "both jobs are scraped"
        )
        yield running


def firing(prometheus: Prometheus, rule: str) -> set[tuple[str, str]]:
    """The job, and the instance or server, of each alert that fires."""
    return {
        (each["labels"]["job"], each["labels"].get("server") or each["labels"]["instance"])
        for each in prometheus.alerts()
        if each["labels"]["alertname"] == rule and each["state"] == "firing"
    }


def test_a_blocked_session_fires_in_either_manner_of_scraping(
    judging: Prometheus, server: PostgresServer
) -> None:
    server.execute("CREATE TABLE IF NOT EXISTS public.alerts_fire (id int)")
    with psycopg.connect(server.dsn()) as holder, psycopg.connect(server.dsn()) as waiter:
        holder.execute("LOCK TABLE public.alerts_fire")
        waiting = threading.Thread(
            target=waiter.execute, args=("SELECT * FROM public.alerts_fire",)
        )
        waiting.start()
        try:
            # Both databases are on the one server.
            expected = {(job, name) for job in JOBS for name in ("main", "orders")}
            eventually_blocking(
                lambda: firing(judging, "SessionsBlocked") == expected, 60, "it fires"
            )
        finally:
            holder.rollback()
            waiting.join()
    eventually_blocking(lambda: not firing(judging, "SessionsBlocked"), 60, "it is resolved")


def test_no_rule_fails_on_what_the_daemon_gives(judging: Prometheus) -> None:
    rules = judging.rules()
    assert len(rules) == len(RuleSet.default().rules)
    assert {each["name"]: each.get("lastError", "") for each in rules} == dict.fromkeys(
        RuleSet.default().rules, ""
    )
    assert {each["health"] for each in rules} == {"ok"}
