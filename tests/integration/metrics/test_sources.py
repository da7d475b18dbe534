"""What no query gives: the daemon's process, the server's machine, collectors and operations."""

import os
import shutil
import threading
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from prometheus_client import CollectorRegistry, ProcessCollector

from dbopsd.metrics.errors import SourceNotApplicable
from dbopsd.metrics.model import CollectorState, Metric, MetricType
from dbopsd.metrics.server_facts import ServerFacts
from dbopsd.metrics.source import Source, SourceRunner, Subject, Value
from dbopsd.metrics.sources import load_sources
from dbopsd.operations.record import State
from tests.integration.conftest import OpenDatabase
from tests.support.patience import eventually
from tests.support.sampling import COLLECTORS, Sampled, sampling

SOURCES = {each.name: each for each in load_sources()}


@pytest.fixture
async def subject(open_database: OpenDatabase, database_dsn: str) -> AsyncIterator[Subject]:
    """What sources are asked about, of a server on this machine that has answered."""
    seen: list[Subject] = []

    def look(subject: Subject) -> Iterable[Value]:
        seen.append(subject)
        return ()

    some = [each for each in COLLECTORS if each.name in ("postmaster", "locks")]
    spy = Source("spy", "x.", (), look)
    async with sampling(await open_database(database_dsn), some, sources=[spy]):
        await eventually(lambda: seen and seen[-1].server is not None and seen[-1].runs >= 2)
        yield seen[-1]


def values(source: str, subject: Subject) -> dict[str, dict[tuple[str, ...], float]]:
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for each in SOURCES[source].samples(subject):
        found.setdefault(each.series.metric.name, {})[each.series.labels] = each.value
    return found


async def test_each_gives_what_it_declares(open_database: OpenDatabase, database_dsn: str) -> None:
    database = await open_database(database_dsn)
    async with sampling(database, COLLECTORS[:5], sources=list(SOURCES.values())) as sampled:
        snapshot = sampled.hub.snapshot

        def all_answered() -> bool:
            return SOURCES.keys() <= snapshot("main").collections.keys()

        await eventually(all_answered)
        await eventually(lambda: bool(sampled.series("dbops_disk_size_bytes")))
        for name, source in SOURCES.items():
            collection = snapshot("main").collections[name]
            # A database without backups has no samples of them.
            state = CollectorState.NOT_APPLICABLE if name == "backups" else CollectorState.OK
            assert collection.status.state is state, collection.status
            assert set(collection.by_metric) <= set(source.metrics)
        assert_sound(sampled)


def assert_sound(sampled: Sampled) -> None:
    samples = list(sampled.hub.snapshot("main").samples())
    assert len({each.series for each in samples}) == len(samples)
    assert all(each.value >= 0 for each in samples if each.series.metric.type is MetricType.COUNTER)


async def test_the_daemons_process_is_described_as_every_prometheus_client_does(
    subject: Subject,
) -> None:
    ours = values("process", subject)
    theirs = {
        sample.name: (family.type, sample.value)
        for family in ProcessCollector(registry=CollectorRegistry()).collect()
        for sample in family.samples
    }
    assert len(theirs) == 6
    types = {each.name: each.type.value for each in SOURCES["process"].metrics}
    for name, (kind, value) in theirs.items():
        assert types[name] == kind
        tolerance = 2.0 if name.endswith("_seconds") else 0.5
        assert ours[name][()] == pytest.approx(value, abs=tolerance, rel=0.2), name


async def test_a_server_on_this_machine_shows_its_processor_memory_and_disk(
    subject: Subject,
) -> None:
    found = values("host", subject)
    assert found["dbops_host_cpus"] == {(): psutil.cpu_count()}
    assert found["dbops_host_memory_total_bytes"] == {(): psutil.virtual_memory().total}
    assert {("user",), ("idle",)} <= found["dbops_host_cpu_seconds_total"].keys()
    assert subject.server is not None
    assert subject.server.data_directory is not None
    sizes = found["dbops_disk_size_bytes"]
    (mount,) = max(sizes, key=lambda label: len(label[0]))
    assert Path(subject.server.data_directory).is_relative_to(mount)
    usage = shutil.disk_usage(subject.server.data_directory)
    assert sizes[mount,] == usage.total
    assert found["dbops_disk_free_bytes"][mount,] == pytest.approx(usage.free, rel=0.1)


def elsewhere(server: ServerFacts, tmp_path: Path) -> dict[str, ServerFacts]:
    """What the same server would say from another machine, though its address looks like ours."""
    away = replace(server, data_directory=str(tmp_path))
    return {
        "no process of that number": replace(away, backend_pid=2**22 + 1),
        "another program's": replace(away, backend_pid=os.getpid()),
        "another PostgreSQL's": replace(
            away, backend_started_at=server.backend_started_at - 60, data_directory=None
        ),
        "another server's directory": replace(
            server, backend_pid=os.getpid(), server_started_at=server.server_started_at - 60
        ),
    }


async def test_a_server_elsewhere_says_nothing_of_this_machine(
    subject: Subject, tmp_path: Path
) -> None:
    assert subject.server is not None
    for why, server in elsewhere(subject.server, tmp_path).items():
        with pytest.raises(SourceNotApplicable, match="another machine"):
            values("host", replace(subject, server=server))
            pytest.fail(why)
    with pytest.raises(SourceNotApplicable, match="not answered"):
        values("host", replace(subject, server=None))


async def test_without_the_directory_the_processor_is_shown_and_no_disk(subject: Subject) -> None:
    assert subject.server is not None
    found = values("host", replace(subject, server=replace(subject.server, data_directory=None)))
    assert "dbops_host_load1" in found
    assert not any(name.startswith("dbops_disk") for name in found)


async def test_a_directory_of_that_path_is_another_one_unless_the_server_owns_it(
    subject: Subject, tmp_path: Path
) -> None:
    assert subject.server is not None
    # It has no postmaster.pid that could be read.
    server = replace(subject.server, data_directory=str(tmp_path))
    os.chown(tmp_path, os.getuid() + 1, -1)
    found = values("host", replace(subject, server=server))
    assert not any(name.startswith("dbops_disk") for name in found)
    os.chown(tmp_path, psutil.Process(server.backend_pid).uids().real, -1)
    assert "dbops_disk_size_bytes" in values("host", replace(subject, server=server))


async def test_collectors_say_how_often_and_when_they_ran(subject: Subject) -> None:
    found = values("collectors", subject)
    assert found["pg_exporter_scrapes_total"][()] >= 2
    intervals = found["dbops_collector_interval_seconds"]
    # Longer on a busy machine, by what they cost.
    assert intervals["postmaster",] >= 3.0
    assert intervals["locks",] >= 1.0
    assert max(found["dbops_collector_sample_age_seconds"].values()) < 60


async def test_operations_are_counted_with_a_zero_for_each_other_state(subject: Subject) -> None:
    assert values("operations", subject) == {}
    counted = {("import", "FAILED"): 3, ("import", "RUNNING"): 1}
    found = values("operations", replace(subject, operations=counted))["dbops_operations"]
    assert found == {("import", each.value): 0 for each in State} | {
        ("import", "FAILED"): 3,
        ("import", "RUNNING"): 1,
    }


async def test_a_source_that_fails_or_hangs_holds_up_no_other(subject: Subject) -> None:
    gauge = Metric("x_value", MetricType.GAUGE, "1", "x.")
    release = threading.Event()
    now = [0.0]

    def fail(_: Subject) -> Iterable[Value]:
        raise RuntimeError("broken")

    def hang(_: Subject) -> Iterable[Value]:
        release.wait(60)
        return [(gauge, (), 1.0)]

    runner = SourceRunner(
        [
            Source("fails", "x.", (), fail),
            Source("hangs", "x.", (gauge,), hang, blocking=True),
            Source("works", "x.", (gauge,), lambda _: [(gauge, (), 2.0)]),
        ],
        lambda: now[0],
    )
    try:
        found = runner.ask(subject)
        assert found.keys() == {"fails", "works"}
        assert found["fails"].status.state is CollectorState.FAILED
        assert found["fails"].status.message == "broken"
        now[0] = 31.0
        found = runner.ask(subject)
        assert found["hangs"].status.reason == "NO_ANSWER"
        assert found["works"].samples[0].value == 2.0
        # It is not asked again before it has answered.
        assert sum(each.name.startswith("source") for each in threading.enumerate()) == 1
        release.set()
        deadline = time.monotonic() + 20
        while not (hung := runner.ask(subject).get("hangs")) or not hung.samples:
            assert time.monotonic() < deadline
        assert hung.status.state is CollectorState.OK
    finally:
        release.set()
        runner.close()
