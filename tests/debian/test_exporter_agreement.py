"""postgres_exporter beside the daemon: the same names and types, and values that agree.

What differs on purpose is in `exporter_differences.toml`, with its reason.
"""

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

import psycopg
import pytest

from dbopsd.metrics.collector import load_collectors
from dbopsd.metrics.reference.exporter_differences import Differs, Exporter, load_differences
from tests.e2e.conftest import database
from tests.support.daemon import ROOT, Daemon
from tests.support.debian import PostgresExporter, fetch
from tests.support.exporter_agreement import Family, parse
from tests.support.installations import DEFAULT_VERSION
from tests.support.patience import eventually_blocking
from tests.support.replication import discard, replicate
from tests.support.servers import PostgresServers

COLLECTORS = load_collectors()
# Ages are as of the daemon's last look at them.
SLACK_S = 5.5
DIFFERENCES = load_differences().than(Exporter.DEBIAN)
UPSTREAM = [
    line.split("\t")[0]
    for line in (ROOT / "tests" / "unit" / "metrics" / "exporter_series.tsv")
    .read_text()
    .split("\n")
    if line and not line.startswith("#")
]
WORK = """
CREATE TABLE busy AS SELECT n FROM generate_series(1, 50000) AS n;
SELECT count(*) FROM busy;
DELETE FROM busy WHERE n % 2 = 0;
SET work_mem = '64kB';
SELECT count(*) FROM (SELECT n FROM busy ORDER BY -n OFFSET 1) AS sorted;
SELECT pg_switch_wal();
CREATE ROLE exporter LOGIN SUPERUSER PASSWORD 'secret';
"""
Texts = Mapping[str, Family]

# Whether a session is active, and how long a collector takes: they may differ, or not.
OF_THE_MOMENT = (
    "pg_stat_activity_count",
    "pg_stat_activity_max_tx_duration",
    "pg_scrape_collector_duration_seconds",
    "pg_exporter_last_scrape_duration_seconds",
)


@dataclass
class Scraped:
    """What the exporter said, then the daemon, whose samples are all newer, then the exporter."""

    before: Texts
    ours: Texts
    after: Texts


@dataclass
class Beside:
    """The exporter and a daemon on one primary with a standby and a session that locks a table."""

    exporter: PostgresExporter
    daemon: Daemon
    last: Scraped | None = None

    def scraped(self) -> Scraped:
        """The last time, for waiting for every collector takes long."""
        return self.last or self.scrape()

    def scrape(self) -> Scraped:
        before, began = parse(self.exporter.scrape()), time.monotonic()
        asked = {
            each.name
            for each in COLLECTORS
            if each.name == "settings" or any(metric.name in before for metric in each.metrics)
        }

        def all_sampled_since() -> Texts | None:
            since_s = time.monotonic() - began
            ours = self._ours()
            ages = ours["dbops_collector_sample_age_seconds"].summed(["collector"])
            fresh = {name for (name,), age_s in ages.items() if age_s < since_s - SLACK_S}
            return ours if asked & {name for (name,) in ages} <= fresh else None

        ours = eventually_blocking(all_sampled_since, 60)
        self.last = Scraped(before, ours, parse(self.exporter.scrape()))
        return self.last

    def _ours(self) -> Texts:
        return parse(fetch(f"{self.daemon.http_url}/metrics?database=main"))


@pytest.fixture(
    scope="module", params=[DEFAULT_VERSION, pytest.param(15, marks=pytest.mark.thorough)]
)
def beside(request: pytest.FixtureRequest, servers: PostgresServers) -> Iterator[Beside]:
    settings = {"archive_mode": "on", "archive_command": "true"}
    pair = replicate(servers, request.param, settings)
    with contextlib.ExitStack() as stack:
        stack.callback(discard, servers, pair)
        primary = pair.primary
        primary.execute(WORK)
        with contextlib.suppress(psycopg.errors.DivisionByZero):
            primary.execute("SELECT 1 / 0")
        holder = stack.enter_context(psycopg.connect(primary.dsn()))
        holder.execute("LOCK TABLE busy IN SHARE MODE")
        quick = "metrics.interval_s = 1\n"
        daemon = stack.enter_context(Daemon(database("main", primary.dsn(), quick)))
        login = f"postgresql://exporter:secret@{primary.host}:{primary.port}"
        exporter = stack.enter_context(PostgresExporter(f"{login}/postgres?sslmode=disable"))
        daemon.wait_until_serving()
        yield Beside(exporter, daemon)


def allowed(name: str, differs: Differs) -> bool:
    return any(each.differs is differs and each.covers(name) for each in DIFFERENCES)


def still_upstream(name: str) -> bool:
    return name in UPSTREAM or fnmatchcase(name, "pg_settings_*")


def disagreements(scraped: Scraped) -> Iterator[tuple[str, Differs, str]]:
    """Each series that differs, in what, and for people how."""
    for name, theirs in scraped.after.items():
        if not still_upstream(name):
            continue
        ours = scraped.ours.get(name)
        if ours is None:
            yield name, Differs.MISSING, ""
            continue
        if ours.type != theirs.type:
            yield name, Differs.TYPE, f"{ours.type}, theirs {theirs.type}"
        labels = ours.labels & theirs.labels
        if name.startswith("pg_stat_replication_"):
            # It means another thing there.
            yield name, Differs.LABELS, "slot_name"
            labels -= {"slot_name"}
        yield from _values(name, scraped.before.get(name, theirs), ours, theirs, sorted(labels))


def _values(
    name: str, before: Family, ours: Family, after: Family, labels: list[str]
) -> Iterator[tuple[str, Differs, str]]:
    first, here, last = (each.summed(labels) for each in (before, ours, after))
    if here.keys() != last.keys():
        yield name, Differs.ROWS, f"{sorted(here.keys() ^ last.keys())}"
    for key in here.keys() & last.keys():
        bounds = sorted((first.get(key, last[key]), last[key]))
        # Theirs are printed with fewer digits.
        slack = 1e-6 * max(map(abs, bounds))
        if not bounds[0] - slack <= here[key] <= bounds[1] + slack:
            yield name, Differs.VALUE, f"{key}: {here[key]}, theirs {bounds}"


def test_names_types_and_values_agree_but_for_what_the_reference_lists(beside: Beside) -> None:
    unlisted: list[tuple[str, Differs, str]] = []
    compared: set[str] = set()

    def agree() -> bool:
        # What moves within a scrape, such as a lock of the other's query, agrees the next time.
        scraped = beside.scrape()
        compared.update(filter(still_upstream, scraped.after))
        unlisted[:] = [each for each in disagreements(scraped) if not allowed(*each[:2])]
        return not unlisted

    with contextlib.suppress(AssertionError):
        eventually_blocking(agree, 60)
    assert unlisted == []
    assert len(compared) > 300
    wanted = {"pg_stat_database_xact_rollback", "pg_locks_count", "pg_stat_archiver_archived_count"}
    assert wanted | {"pg_stat_replication_pg_wal_lsn_diff", "pg_database_size_bytes"} <= compared


def test_every_difference_from_debians_is_one(beside: Beside) -> None:
    scraped = beside.scraped()
    seen = {(name, differs) for name, differs, _ in disagreements(scraped)}
    for each in DIFFERENCES:
        for name in each.series:
            if each.differs is Differs.VALUE and name in OF_THE_MOMENT:
                continue
            missing_there = not any(fnmatchcase(given, name) for given in scraped.after)
            found = any(
                differs is each.differs and fnmatchcase(series, name) for series, differs in seen
            )
            only_labels = each.differs is Differs.LABELS and not name.startswith("pg_stat_repl")
            assert found or missing_there or only_labels, (name, each.differs)


def test_a_session_that_is_idle_in_its_transaction_counts_alike(beside: Beside) -> None:
    scraped = beside.scraped()
    for texts in (scraped.ours, scraped.after):
        states = texts["pg_stat_activity_count"].summed(["datname", "state"])
        assert states["postgres", "idle in transaction"] == 1
    theirs, ours = (
        texts["pg_stat_activity_max_tx_duration"].summed(["state"])[("idle in transaction",)]
        for texts in (scraped.before, scraped.ours)
    )
    assert ours >= theirs > 0
