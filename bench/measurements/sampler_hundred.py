"""What sampling a hundred databases takes of one daemon: its processor time and its memory."""

import time

from bench.measurement import Measurement, Row, at_most
from bench.proc import cpu_s, rss_mb
from bench.workbench import Workbench
from tests.support.patience import eventually_blocking

_DATABASES = 100
_CPU_BOUND_PERCENT = 35.0
_RSS_BOUND_MB = 300.0
# A prober and a sampler for each, with two connections for the latter.
_CONNECTIONS = 600
_SAMPLED_S = 120.0


def _run(bench: Workbench) -> list[Row]:
    server = bench.postgres(settings={"max_connections": _CONNECTIONS})
    bench.say(f"{_DATABASES} databases")
    dsns = [server.dsn(dbname=server.create_database()) for _ in range(_DATABASES)]
    settings = {f"DATABASES__D{number}__DSN": dsn for number, dsn in enumerate(dsns)}
    daemon = bench.daemon(bench.directory("state") / "state", SERVER__WORKERS="0", **settings)
    bench.say("until each of them is sampled")
    ours = "application_name = 'dbopsd-sampler-slow'"
    eventually_blocking(
        lambda: (
            server.execute(f"SELECT count(*) FROM pg_stat_activity WHERE {ours} AND state = 'idle'")
            == [(_DATABASES,)]
        ),
        _SAMPLED_S,
        "every database is sampled",
    )
    # The first runs of all collectors are over.
    time.sleep(warm_s := bench.of(full=60.0, quick=20.0))
    watched_s = bench.of(full=120.0, quick=20.0)
    bench.say(f"watched for {watched_s:g} s, after {warm_s:g} s")
    before = cpu_s(daemon.pid)
    time.sleep(watched_s)
    busy = (cpu_s(daemon.pid) - before) / watched_s * 100
    return [
        Row(
            f"processor time, {_DATABASES} databases",
            busy,
            "% of a core",
            at_most(_CPU_BOUND_PERCENT),
            f"over {watched_s:g} s; probes and health checks included",
        ),
        Row(
            f"resident memory, {_DATABASES} databases",
            rss_mb(daemon.pid),
            "MB",
            at_most(_RSS_BOUND_MB),
        ),
    ]


MEASUREMENT = Measurement("A hundred databases in one daemon", _run, limit_s=600.0)
