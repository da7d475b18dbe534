"""What the daemon costs while nobody asks it anything: its start, and its memory.

`dbopsd serve` on the embedded PostgreSQL and a state directory that is already there.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.child import Child
from bench.daemon import Daemon
from bench.measurement import Measurement, Row, at_most
from bench.proc import cpu_s, rss_mb
from bench.workbench import Workbench

_START_BOUND_S = 2.0
_RSS_BOUND_MB = 120.0
_FIRST_START_S = 60.0


def _run(bench: Workbench) -> list[Row]:
    client = bench.child("client")
    silent_dir, traced_dir = (
        bench.directory(f"state-{name}") / "state" for name in ("silent", "traced")
    )
    exporting = {"TELEMETRY__OTLP_ENDPOINT": bench.otlp_sink()}
    bench.say("first starts")
    first = _start(client, silent_dir)
    _start(client, traced_dir, **exporting)
    starts: list[_Start] = []
    for number in range(rounds := bench.of(full=5, quick=2)):
        bench.say(f"start {number + 1} of {rounds}")
        starts.append(_start(client, silent_dir))
    idle_s = bench.of(full=30.0, quick=10.0)
    silent, traced = bench.daemon(silent_dir), bench.daemon(traced_dir, **exporting)
    for daemon in (silent, traced):
        client.ask("until_serving", target=daemon.target, within_s=_FIRST_START_S)
    bench.say(f"idle for {idle_s:g} s")
    cpu_before = cpu_s(silent.pid)
    time.sleep(idle_s)
    busy = (cpu_s(silent.pid) - cpu_before) / idle_s
    each = ", ".join(f"{start.seconds:.2f}" for start in starts)
    own_s = median(start.cpu_s for start in starts)
    return [
        Row(
            "start to serving, existing state directory, worst",
            max(start.seconds for start in starts),
            "s",
            at_most(_START_BOUND_S),
            f"{each}; with PostgreSQL's own; {own_s:.2f} s of the daemon's processor time",
        ),
        Row("start to serving, new state directory", first.seconds, "s", note="with initdb"),
        Row(
            f"resident memory after {idle_s:g} s idle",
            rss_mb(silent.pid),
            "MB",
            at_most(_RSS_BOUND_MB),
            f"the daemon alone; {busy * 100:.1f} % of a core",
        ),
        Row(
            f"resident memory after {idle_s:g} s idle, exporting to OTLP",
            rss_mb(traced.pid),
            "MB",
            at_most(_RSS_BOUND_MB),
        ),
    ]


@dataclass(frozen=True, slots=True)
class _Start:
    seconds: float
    cpu_s: float


def _start(client: Child, state_dir: Path, **settings: str) -> _Start:
    """From starting the program to the first SERVING for its database; then stop it."""
    with Daemon(state_dir, **settings) as daemon:
        serving_at = client.ask("until_serving", target=daemon.target, within_s=_FIRST_START_S)
        return _Start(serving_at - daemon.started_at, cpu_s(daemon.pid))


MEASUREMENT = Measurement("The daemon at rest", _run)
