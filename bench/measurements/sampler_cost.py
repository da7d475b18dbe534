"""What being sampled costs a server: dbopsd beside Debian's postgres_exporter, both every 10 s.

Both watch the same two servers at the same time, each as a role of its own; the server's time is
what `pg_stat_statements` has of that role, from the first login on. That of dbopsd has its prober's
and its health checks' too, which the exporter has none of.
"""

import contextlib
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.many_tables import create_tables, create_watcher
from bench.measurement import Measurement, Row, at_most
from bench.workbench import Workbench
from tests.support.debian import PostgresExporter
from tests.support.servers import PostgresServer

_CYCLE_S = 10.0
_SMALL_BOUND_MS = 10.0
_LONGEST_BOUND_MS = 300.0
_EXPORTER = "prometheus-postgres-exporter"
# By far most of the time goes into creating the tables.
_LIMIT_S = 1200.0
_OF_ROLE = """
SELECT coalesce(sum(s.total_exec_time), 0)::float8, coalesce(max(s.max_exec_time), 0)::float8,
  coalesce(sum(s.calls), 0)::float8
FROM pg_stat_statements AS s JOIN pg_roles AS r ON r.oid = s.userid WHERE r.rolname = '{role}'
"""


@dataclass(frozen=True, slots=True)
class _Cost:
    """What a role's statements took: all, the longest one, and how many there were."""

    total_ms: float
    longest_ms: float
    calls: float


def _run(bench: Workbench) -> list[Row]:
    tables = bench.of(full=5000, quick=500)
    watched_s = bench.of(full=300.0, quick=30.0)
    cycles = watched_s / _CYCLE_S
    small, large = bench.postgres(), bench.postgres()
    for server in (small, large):
        server.execute("CREATE EXTENSION pg_stat_statements")
    bench.say(f"{tables} tables")
    indexes = create_tables(large, tables)
    ours = {name: create_watcher(s, "sampler") for name, s in (("small", small), ("large", large))}
    theirs = [create_watcher(server, "exporter") for server in (small, large)]
    for server in (small, large):
        server.execute("SELECT pg_stat_statements_reset()")
    bench.say(f"watched for {watched_s:g} s")
    state_dir = bench.directory("state") / "state"
    dsns = {f"DATABASES__{name.upper()}__DSN": dsn for name, dsn in ours.items()}
    with _scraped(theirs):
        bench.daemon(state_dir, SERVER__WORKERS="0", **dsns)
        time.sleep(watched_s)
    size = f"{tables} tables, {indexes} indexes"
    return [*_rows(size, large, cycles, is_small=False), *_rows("a small server", small, cycles)]


def _rows(where: str, server: PostgresServer, cycles: float, *, is_small: bool = True) -> list[Row]:
    ours, theirs = _cost(server, "sampler"), _cost(server, "exporter")
    if not ours.calls:
        raise AssertionError("the daemon has asked nothing")
    note = f"{ours.calls / cycles:.0f} statements, the longest {ours.longest_ms:.0f} ms"
    bound = at_most(_SMALL_BOUND_MS) if is_small else None
    rows = [Row(f"{where}: dbopsd a cycle", ours.total_ms / cycles, "ms", bound, note)]
    if not is_small:
        longest = at_most(_LONGEST_BOUND_MS)
        rows.append(Row(f"{where}: its longest statement", ours.longest_ms, "ms", longest))
    if theirs.calls:
        note = f"{theirs.calls / cycles:.0f} statements, the longest {theirs.longest_ms:.0f} ms"
        rows.append(
            Row(f"{where}: the exporter a cycle", theirs.total_ms / cycles, "ms", None, note)
        )
        ratio = ours.total_ms / theirs.total_ms
        bar = None if is_small else at_most(1.0)
        rows.append(Row(f"{where}: dbopsd against the exporter", ratio, "x", bar))
    return rows


def _cost(server: PostgresServer, role: str) -> _Cost:
    ((total_ms, longest_ms, calls),) = server.execute(_OF_ROLE.format(role=role))
    return _Cost(float(str(total_ms)), float(str(longest_ms)), float(str(calls)))


@contextlib.contextmanager
def _scraped(dsns: Sequence[str]) -> Iterator[None]:
    """An exporter of each DSN, where Debian's is installed, scraped at once and every 10 s."""
    if shutil.which(_EXPORTER) is None:
        yield
        return
    ended = threading.Event()
    with contextlib.ExitStack() as stack:
        exporters = [stack.enter_context(PostgresExporter(dsn)) for dsn in dsns]
        threads = [threading.Thread(target=_scrape, args=(each, ended)) for each in exporters]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            ended.set()
            for thread in threads:
                thread.join()


def _scrape(exporter: PostgresExporter, ended: threading.Event) -> None:
    due = time.monotonic()
    while not ended.is_set():
        exporter.scrape()
        due += _CYCLE_S
        ended.wait(max(0.0, due - time.monotonic()))


MEASUREMENT = Measurement("What being sampled costs a server", _run, limit_s=_LIMIT_S)
