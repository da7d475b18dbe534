"""A thousand subscribers of one database's metrics, with scrapers and health calls beside them.

The daemon runs on its own; the subscribers, the scrapers and the health calls are processes beside
it on the same cores, so the report shows their share too.
"""

import threading
import time
from typing import Any

from bench.child import Child
from bench.daemon import Daemon, free_port
from bench.measurement import Measurement, Row, at_most
from bench.proc import cpu_s, rss_mb
from bench.workbench import Workbench
from tests.support.servers import PostgresServer

_SUBSCRIBERS = 1_000
_CONNECTIONS = 100
_SCRAPERS = 50
_HEALTH_EACH_A_SECOND = 20.0
_READY_S = 30.0
# Backends report their counts every 10 s, so that a shorter time says little.
_REPORTED_WITHIN_S = 20.0
# Samplers need some time until every collector has run.
_WARM_UP_S = 15.0


def _run(bench: Workbench) -> list[Row]:
    postgres = bench.postgres()
    http_port = free_port()
    daemon = bench.daemon(
        bench.directory("state") / "state",
        SERVER__HTTP_LISTEN=f"127.0.0.1:{http_port}",
        SERVER__WORKERS="0",
        SERVER__MAX_CALLS_PER_CLIENT="5000",
        DATABASES__MAIN__DSN=postgres.dsn(),
        DATABASES__MAIN__METRICS__INTERVAL_S="1",
    )
    health = bench.child("client")
    health.ask("until_serving", target=daemon.target, within_s=_READY_S)
    bench.say("warming up")
    time.sleep(_WARM_UP_S)
    seconds = bench.of(full=20.0, quick=8.0)
    rows = _alone(bench, daemon, health, http_port, seconds)
    for changes_only in (True, False):
        with bench.part() as part:
            rows += _measure(part, postgres, daemon, health, http_port, seconds, changes_only)
    return rows


def _alone(
    bench: Workbench, daemon: Daemon, health: Child, http_port: int, seconds: float
) -> list[Row]:
    """What the machine allows at this time: the same scrapes and calls, while nobody streams."""
    bench.say("nobody streams")
    beside = _Beside(bench.child("scrapers"), health)
    beside.start(f"http://127.0.0.1:{http_port}/metrics?database=main", daemon.target, seconds)
    scraped, checked = beside.join()
    return [
        Row("nobody streams: /metrics, p99", scraped["p99_ms"], "ms", note=_times(scraped)),
        Row("nobody streams: Health.Check, p99", checked["check"]["p99_ms"], "ms"),
    ]


def _times(found: dict[str, Any]) -> str:
    return f"p50 {found['p50_ms']:.1f}, worst {found['max_ms']:.1f} of {found['count']}"


def _measure(
    bench: Workbench,
    postgres: PostgresServer,
    daemon: Daemon,
    health: Child,
    http_port: int,
    seconds: float,
    changes_only: bool,
) -> list[Row]:
    what = "changes only" if changes_only else "whole snapshots"
    bench.say(f"{what}: {_SUBSCRIBERS} subscribers")
    many, scrapers = bench.child("subscribers"), bench.child("scrapers")
    many.ask(
        "start",
        target=daemon.target,
        count=_SUBSCRIBERS,
        connections=_CONNECTIONS,
        interval_s=1,
        changes_only=changes_only,
    )
    many.ask("measure", seconds=2.0)
    alone: dict[str, Any] = {}
    cpu_before = cpu_s(daemon.pid)

    def stream() -> None:
        alone.update(many.ask("measure", seconds=seconds))

    load_of_many = _load(postgres, stream) / seconds
    alone_cores = (cpu_s(daemon.pid) - cpu_before) / seconds
    beside = _Beside(scrapers, health)
    url = f"http://127.0.0.1:{http_port}/metrics?database=main"
    bench.say(f"{what}: {_SUBSCRIBERS} subscribers, {_SCRAPERS} scrapers")
    cpu_before = cpu_s(daemon.pid)
    beside.start(url, daemon.target, seconds)
    together = many.ask("measure", seconds=seconds)
    scraped, checked = beside.join()
    cores = (cpu_s(daemon.pid) - cpu_before) / seconds
    memory = rss_mb(daemon.pid)
    connections = postgres.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'dbopsd-sampler%'"
    )[0][0]
    many.ask("stop")
    bench.say(f"{what}: one subscriber")
    one = bench.child("subscribers")
    one.ask(
        "start",
        target=daemon.target,
        count=1,
        connections=1,
        interval_s=1,
        changes_only=changes_only,
    )
    load_of_one = _load(postgres, lambda: one.ask("measure", seconds=seconds)) / seconds
    one.ask("stop")
    each = alone["messages"] / max(alone["served"], 1) / seconds
    size = alone["megabytes"] * 1e3 / max(alone["messages"], 1)
    return [
        Row(
            f"{what}: the daemon, {_SUBSCRIBERS} subscribers",
            alone_cores * 100,
            "% of a core",
            at_most(60),
            f"{each:.2f} messages a second to each, of {size:.0f} kB; the subscribers'"
            f" process {alone['client_cpu_s'] / seconds * 100:.0f} %",
        ),
        Row(
            f"{what}: the daemon, with {_SCRAPERS} scrapers and health calls, too",
            cores * 100,
            "% of a core",
            note=f"{scraped['count'] / seconds:.0f} scrapes a second",
        ),
        Row(f"{what}: resident memory", memory, "MB", at_most(250)),
        Row(
            f"{what}: a sample reaches all, worst",
            together["max_s"],
            "s",
            at_most(1.0),
            f"p50 {together['p50_s'] * 1000:.0f} ms, p99 {together['p99_s'] * 1000:.0f} ms of"
            f" {together['messages']} messages to {together['served']}, missed"
            f" {together['missed']}; failed: {together['errors'] or 'none'}",
        ),
        Row(
            f"{what}: /metrics, {_SCRAPERS} scrapers a second, p99",
            scraped["p99_ms"],
            "ms",
            at_most(20),
            f"{_times(scraped)}, {scraped['bytes'] / 1000:.0f} kB;"
            f" failed: {len(scraped['failures'])}",
        ),
        Row(
            f"{what}: Health.Check meanwhile, p99",
            checked["check"]["p99_ms"],
            "ms",
            at_most(20),
            f"{_times(checked['check'])}; failed: {len(checked['errors'])}",
        ),
        Row(
            f"{what}: transactions on the database, of those with one subscriber",
            load_of_many / max(load_of_one, 0.1),
            "x",
            at_most(1.2) if seconds >= _REPORTED_WITHIN_S else None,
            f"{load_of_many:.1f} and {load_of_one:.1f} a second, on {connections} connections",
        ),
    ]


class _Beside:
    """The scrapers and the health calls, in threads that wait for their processes."""

    def __init__(self, scrapers: Child, health: Child) -> None:
        self._scrapers = scrapers
        self._health = health
        self._found: dict[str, Any] = {}
        self._threads: list[threading.Thread] = []

    def start(self, url: str, target: str, seconds: float) -> None:
        def scrape() -> None:
            self._found["scraped"] = self._scrapers.ask(
                "scrape", url=url, scrapers=_SCRAPERS, every_s=1.0, seconds=seconds
            )

        def check() -> None:
            self._found["checked"] = self._health.ask(
                "pace", target=target, each_a_second=_HEALTH_EACH_A_SECOND, seconds=seconds
            )

        self._threads = [threading.Thread(target=each) for each in (scrape, check)]
        for thread in self._threads:
            thread.start()

    def join(self) -> tuple[dict[str, Any], dict[str, Any]]:
        for thread in self._threads:
            thread.join()
        return self._found["scraped"], self._found["checked"]


def _load(postgres: PostgresServer, meanwhile: Any) -> float:
    """How many transactions the server has ended meanwhile."""
    question = "SELECT sum(xact_commit + xact_rollback) FROM pg_stat_database"
    before = postgres.execute(question)[0][0]
    meanwhile()
    return float(postgres.execute(question)[0][0] - before)


MEASUREMENT = Measurement("A thousand subscribers", _run, limit_s=400.0)
