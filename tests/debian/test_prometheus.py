"""A real Prometheus scrapes the daemon as its users configure it."""

import re

from tests.debian.conftest import DATABASES
from tests.support.daemon import Daemon
from tests.support.debian import Prometheus
from tests.support.patience import eventually_blocking


def test_each_database_is_a_target_of_its_own(prometheus: Prometheus) -> None:
    targets = prometheus.targets()
    assert {each["labels"]["instance"] for each in targets} == set(DATABASES)
    assert [each["lastError"] for each in targets] == ["", ""]


def test_a_target_has_no_label_of_our_own(prometheus: Prometheus) -> None:
    found = prometheus.query('{job="dbopsd", server!=""}')
    assert found == []


def test_both_targets_have_the_same_metrics(prometheus: Prometheus) -> None:
    """Dashboards compare instances, so that a metric of one alone is a hole in a panel."""

    def names(instance: str) -> set[str]:
        series = prometheus.query(f'{{job="dbopsd", instance="{instance}"}}')
        return {each["metric"]["__name__"] for each in series}

    def same() -> bool:
        main, orders = names("main"), names("orders")
        # The extension is installed in one of them alone.
        other = {each for each in main ^ orders if not each.startswith("pg_stat_statements")}
        return len(main) > 200 and not other

    eventually_blocking(same, 60, "all collectors have run on both")


def test_no_scrape_has_a_sample_twice_or_out_of_order(prometheus: Prometheus) -> None:
    eventually_blocking(lambda: prometheus.query("count_over_time(pg_up[1m]) > 5"), 30)
    assert re.findall(r"(?i)duplicate|out.of.order", prometheus.log_text()) == []


def test_all_databases_at_once_have_a_label_server(daemon: Daemon) -> None:
    static = {"job_name": "all", "static_configs": [{"targets": [daemon.http_url[7:]]}]}
    with Prometheus([static]) as running:
        eventually_blocking(
            lambda: (
                {each["metric"].get("server") for each in running.query("pg_up == 1")}
                == set(DATABASES)
            ),
            30,
            "both databases are in one scrape",
        )
