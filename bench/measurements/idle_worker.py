"""What a worker costs while there is nothing to do: its memory and its processor time.

With the settings as they come. It has done one operation before, so what is loaded late is there.
"""

import time

from bench.controlstores import control_stores
from bench.measurement import Measurement, Row
from bench.proc import cpu_s, rss_mb
from bench.workbench import Workbench

_READY_S = 60.0


def _run(bench: Workbench) -> list[Row]:
    postgres = bench.postgres(durable=True)
    idle_s = bench.of(full=30.0, quick=10.0)
    rows: list[Row] = []
    for store in control_stores(bench, postgres):
        with bench.part() as part:
            daemon = part.demo_daemon(
                part.directory("state") / "state",
                DATABASES__MAIN__DSN=postgres.dsn(),
                TELEMETRY__OTLP_ENDPOINT=part.otlp_sink(),
                **store.settings,
            )
            part.child("demos").ask("until_ready", target=daemon.target, within_s=_READY_S)
            part.say(f"{store.name}: idle for {idle_s:g} s")
            worker = daemon.worker_pid()
            cpu_before = cpu_s(worker)
            time.sleep(idle_s)
            cpu_a_minute = (cpu_s(worker) - cpu_before) / idle_s * 60
            note = f"{cpu_a_minute / 60 * 100:.1f} % of a core"
            rows += [
                Row(f"{store.name}: the worker's resident memory", rss_mb(worker), "MB"),
                Row(
                    f"{store.name}: the worker's processor time a minute",
                    cpu_a_minute,
                    "s",
                    note=note,
                ),
                Row(
                    f"{store.name}: the daemon's resident memory after an operation",
                    rss_mb(daemon.pid),
                    "MB",
                ),
            ]
    return rows


MEASUREMENT = Measurement("A worker at rest", _run)
