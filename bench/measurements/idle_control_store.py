"""What the control store is asked while there is nothing to do, and how soon a worker begins.

Every statement counts, BEGIN and COMMIT too: in PostgreSQL's log, and by SQLite's own trace. The
settings are as they come. Each worker has done what it does once, and is left alone.
"""

import random
import time
from statistics import median

from bench.controlstores import CONTROL, ControlStore, control_stores
from bench.measurement import Measurement, Row, at_most
from bench.workbench import Workbench
from tests.support.servers import PostgresServer

_READY_S = 60.0
# What a worker was woken for is looked for again for a few seconds, and others start meanwhile.
_CALM_S = 8.0
_STATEMENTS_BOUND = 5.0
_START_BOUND_S = 0.150


def _run(bench: Workbench) -> list[Row]:
    postgres = bench.postgres(durable=True, logged=True)
    rows: list[Row] = []
    for store in control_stores(bench, postgres):
        for workers in (1, 3):
            with bench.part() as part:
                rows += _measure(part, store, postgres, workers)
    return rows


def _measure(
    bench: Workbench, store: ControlStore, postgres: PostgresServer, workers: int
) -> list[Row]:
    directory = bench.directory("state")
    counted = directory / "statements"
    daemon = bench.demo_daemon(
        directory / "state",
        DATABASES__MAIN__DSN=postgres.dsn(),
        SERVER__WORKERS=str(workers),
        counted_in=counted,
        **store.settings,
    )
    caller = bench.child("demos")
    caller.ask("until_ready", target=daemon.target, within_s=_READY_S, workers=workers)
    time.sleep(_CALM_S)

    def count() -> int:
        if store.in_postgres:
            return len(postgres.statements_logged(database=CONTROL))
        return counted.stat().st_size

    rest_s = bench.of(full=60.0, quick=15.0)
    name = f"{store.name}, {workers} worker{'s' if workers > 1 else ''}"
    bench.say(f"{name}: at rest for {rest_s:g} s")
    before, began = count(), time.monotonic()
    time.sleep(rest_s)
    a_second = (count() - before) / (time.monotonic() - began)
    waited = []
    for number in range(times := bench.of(full=20, quick=5)):
        bench.say(f"{name}: operation {number + 1} of {times}")
        # At no fixed moment of anybody's heartbeat, and when all are at rest again.
        time.sleep(random.uniform(2, 4))
        waited.append(caller.ask("waited", target=daemon.target))
    return [
        Row(
            f"{name}: statements a second at rest",
            a_second,
            "/s",
            at_most(_STATEMENTS_BOUND * workers),
            f"{a_second / workers:.1f} a worker",
        ),
        Row(
            f"{name}: from queued to running, median",
            median(waited),
            "s",
            at_most(_START_BOUND_S),
            f"worst of {times}: {max(waited):.3f}",
        ),
    ]


MEASUREMENT = Measurement("The control store at rest", _run, limit_s=900.0)
