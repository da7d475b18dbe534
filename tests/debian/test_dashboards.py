"""Every query of the Grafana dashboards, asked of a Prometheus that scraped a busy cluster."""

import contextlib
import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from tests.e2e.conftest import database, run
from tests.support.daemon import ROOT, Daemon
from tests.support.debian import Prometheus, tool
from tests.support.installations import DEFAULT_VERSION
from tests.support.patience import eventually_blocking
from tests.support.replication import discard, replicate
from tests.support.servers import PostgresServer, PostgresServers

DEPLOY = ROOT / "deploy"
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
_VARIABLES = {"$instance": ".+", "$__rate_interval": "30s", "$top": "10"}
# Nothing fails in this cluster: an answer would be wrong.
_EMPTY_WHEN_WELL = 'pg_scrape_collector_success{instance=~".+"} == 0'
_QUICK = "metrics.interval_s = 1\nhealth.interval_s = 1\n"
_SETTINGS = {
    "shared_preload_libraries": "pg_stat_statements",
    "archive_mode": "on",
    "archive_command": "true",
    "max_slot_wal_keep_size": "1GB",
}
_SCHEMA = """
CREATE EXTENSION pg_stat_statements;
CREATE TABLE busy AS SELECT n, repeat('x', 500) AS text FROM generate_series(1, 50000) n;
CREATE TABLE taken ();
DELETE FROM busy WHERE n % 2 = 0;
"""
_WORK = "UPDATE busy SET n = n WHERE n < 50; SELECT count(*) FROM busy; SELECT pg_switch_wal()"


def _panels(path: Path) -> list[dict[str, Any]]:
    return [each for each in json.loads(path.read_text())["panels"] if each["type"] != "row"]


def _filled(expression: str) -> str:
    for name, text in _VARIABLES.items():
        expression = expression.replace(name, text)
    return expression


def _expressions(path: Path) -> list[str]:
    """Its panels' queries, and that of its annotations, as Grafana would send them."""
    board = json.loads(path.read_text())
    targets = [target for panel in _panels(path) for target in panel["targets"]]
    return [_filled(each["expr"]) for each in [*targets, *board["annotations"]["list"]]]


@contextlib.contextmanager
def _at_work(server: PostgresServer) -> Iterator[None]:
    """Sessions of every kind: one blocked by another, and a vacuum that takes its time."""
    with contextlib.ExitStack() as stack:

        def session(*statements: str) -> psycopg.Connection:
            connection = psycopg.connect(server.dsn(), autocommit=True)
            stack.callback(connection.close)
            for statement in statements:
                connection.execute(statement)
            return connection

        session("BEGIN", "LOCK TABLE taken")
        session().pgconn.send_query(b"SELECT * FROM taken")
        vacuum = session("SET vacuum_cost_delay = 100", "SET vacuum_cost_limit = 1")
        vacuum.pgconn.send_query(b"VACUUM (FREEZE) busy")
        yield
        server.terminate_backends()


@dataclass(frozen=True)
class Scraped:
    """A Prometheus, and the work that gives it something to see."""

    prometheus: Prometheus
    work: Callable[[], object]
    restart: Callable[[], object]


@pytest.fixture(scope="module")
def scraped(servers: PostgresServers) -> Iterator[Scraped]:
    """A primary at work and its standby, both found by service discovery."""
    pair = replicate(servers, DEFAULT_VERSION, _SETTINGS)
    pair.primary.execute(_SCHEMA)
    store = servers.directory("store")
    backup = f"[databases.main.backup]\nstore = 'file://{store}/backups'\nwal_flush_s = 0.5\n"
    config = database("main", pair.primary.dsn(), _QUICK + backup)
    config += database("standby", pair.standby.dsn(), _QUICK)
    with Daemon(config, server={"workers": 1}) as daemon, _at_work(pair.primary):
        daemon.wait_until_serving()
        for command in ("create", "drill"):
            asked = ("dbops", "backup", command, "--database", "main")
            done = run(*asked, timeout=120, DBOPS_SERVER=daemon.grpc_address)
            assert done.code == 0, done.err
        prometheus_yml = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
        (job,) = prometheus_yml["scrape_configs"]
        (discovery,) = job["http_sd_configs"]
        discovery["url"] = discovery["url"].replace("http://127.0.0.1:8080", daemon.http_url)
        discovery["refresh_interval"] = "1s"
        with Prometheus([job]) as running:
            yield Scraped(
                running,
                work=lambda: pair.primary.execute(_WORK),
                restart=lambda: (pair.standby.stop(), pair.standby.start()),
            )
    discard(servers, pair)


def test_every_query_has_an_answer(scraped: Scraped) -> None:
    expressions = {each for path in DASHBOARDS for each in _expressions(path)}
    assert len(expressions) > 80
    assert _EMPTY_WHEN_WELL in expressions
    unanswered = {
        each for each in expressions if each != _EMPTY_WHEN_WELL and "changes(" not in each
    }

    def all_answered() -> bool:
        scraped.work()
        unanswered.difference_update(
            [each for each in unanswered if scraped.prometheus.query(each)]
        )
        return not unanswered

    with contextlib.suppress(AssertionError):
        eventually_blocking(all_answered, 60)
    assert unanswered == set()
    assert scraped.prometheus.query(_EMPTY_WHEN_WELL) == []


def test_a_restart_is_an_annotation(scraped: Scraped) -> None:
    (annotation,) = json.loads(DASHBOARDS[0].read_text())["annotations"]["list"]
    expression = _filled(annotation["expr"])
    assert scraped.prometheus.query(expression) == []
    scraped.restart()
    eventually_blocking(lambda: scraped.prometheus.query(expression), 60)


def test_prometheus_takes_the_configuration() -> None:
    checked = subprocess.run(
        [tool("promtool"), "check", "config", DEPLOY / "prometheus" / "prometheus.yml"],
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
