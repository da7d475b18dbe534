"""How soon the daemon's pool writes again once a server that was away takes connections.

Callers write all the time, as an application would; an observer of its own tells when the server
takes connections. The daemon is the same one from the first outage to the last.
"""

import time
from typing import Any

from bench.configuration import configuration
from bench.measurement import Measurement, Row, at_most
from bench.watcher import Watcher
from bench.workbench import Workbench

_BOUND_S = 2.0
_WRITE_S = 60.0


def _run(bench: Workbench) -> list[Row]:
    postgres = bench.postgres()
    daemon = bench.child("daemon", configuration(bench.directory("state"), postgres.dsn()))
    daemon.ask("start_writing")
    long_s = bench.of(full=20.0, quick=5.0)
    outages = [("stopped (fast)", postgres.stop, 0.5), ("killed (SIGKILL)", postgres.kill, 0.5)]
    outages *= bench.of(full=3, quick=1)
    outages.append((f"stopped, {long_s:.0f} s away", postgres.stop, long_s))
    found: dict[str, list[dict[str, Any]]] = {}
    for what, go_away, away_s in outages:
        bench.say(what)
        time.sleep(0.5)
        go_away()
        daemon.tell("first_write_after", moment=time.monotonic())
        time.sleep(away_s)
        with Watcher(postgres.dsn()) as watcher:
            postgres.start()
            accepting_at = watcher.wait()
            written = daemon.answer(timeout_s=_WRITE_S)
        delay_s = max(0.0, written["at"] - accepting_at)
        found.setdefault(what, []).append({"delay_s": delay_s, "errors": written["errors"]})
    return [_row(what, rounds) for what, rounds in found.items()]


def _row(what: str, rounds: list[dict[str, Any]]) -> Row:
    delays = [found["delay_s"] for found in rounds]
    errors = sorted({reason for found in rounds for reason in found["errors"]})
    each = ", ".join(f"{delay:.2f}" for delay in delays)
    return Row(
        f"server {what}: first write after it takes connections, worst",
        max(delays),
        "s",
        at_most(_BOUND_S),
        f"{each}; callers got {', '.join(errors) or 'no error'}",
    )


MEASUREMENT = Measurement("Recovery after the server comes back", _run)
