"""How soon `WatchOperation` shows a change.

From the moment at which a step wrote into its ledger that it has done its work, so what comes
between is counted: recording the step, writing the progress, the watcher's daemon finding it.
Four operations at once with steps of four lengths, so that the changes come at no fixed moment of
anybody's polling.
"""

import math
from collections.abc import Sequence

from bench.child import Child
from bench.controlstores import control_stores
from bench.daemon import Daemon
from bench.measurement import Bar, Measurement, Row, at_most
from bench.workbench import Workbench
from tests.support.demo import ledger

_BOUND_MS = 500.0
_STEP_S = (0.47, 0.53, 0.61, 0.67)
_READY_S = 60.0


def _run(bench: Workbench) -> list[Row]:
    postgres = bench.postgres(durable=True)
    rows: list[Row] = []
    sqlite, postgresql = control_stores(bench, postgres)
    for store in (sqlite, postgresql):
        with bench.part() as part:
            settings = {
                "DATABASES__MAIN__DSN": postgres.dsn(),
                "TELEMETRY__OTLP_ENDPOINT": part.otlp_sink(),
                **store.settings,
            }
            part.say(f"{store.name}: starting")
            first = part.demo_daemon(part.directory("state") / "state", **settings)
            caller = part.child("demos")
            caller.ask("until_ready", target=first.target, within_s=_READY_S)
            rows += _follow(part, caller, first, first, store.name)
            if store is postgresql:
                second = part.demo_daemon(
                    part.directory("state") / "state", SERVER__WORKERS="0", **settings
                )
                caller.ask("until_ready", target=second.target, within_s=_READY_S)
                rows += _follow(part, caller, first, second, f"{store.name}, another replica")
    return rows


def _follow(
    bench: Workbench, caller: Child, started_at: Daemon, watched_at: Daemon, what: str
) -> list[Row]:
    bench.say(f"{what}: watching")
    path = bench.directory("ledger") / "ledger"
    steps = bench.of(full=40, quick=10)
    watched = caller.ask(
        "follow",
        start_at=started_at.target,
        watch_at=watched_at.target,
        steps=steps,
        each_step_s=_STEP_S,
        ledger=str(path),
    )
    written = ledger.read(path)
    lags_s: list[float] = []
    for each in watched:
        own = ledger.of(each["operation"], written)
        done_at = [entry.time for entry in own if entry.what == ledger.END]
        lags_s += [seen - done for seen, done in zip(each["seen"], done_at, strict=True)]
    return [
        _row(f"{what}: a step's end", lags_s, at_most(_BOUND_MS)),
        _row(f"{what}: the operation's end", [each["end_lag_s"] for each in watched]),
    ]


def _row(what: str, lags_s: Sequence[float], bar: Bar | None = None) -> Row:
    ordered = sorted(lags_s)

    def rank(share: float) -> float:
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)] * 1000

    note = f"p50 {rank(0.5):.0f}, p99 {rank(0.99):.0f} of {len(ordered)} changes"
    return Row(f"{what}, worst", rank(1), "ms", bar, note)


MEASUREMENT = Measurement("How soon WatchOperation shows a change", _run)
