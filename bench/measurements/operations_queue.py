"""How soon 50 short operations that are asked for at once have ended, and how soon one has.

One supervised worker with the settings as they come, on either control store, and in turn with it
DBOS by itself: the same polling, as many at once, in one process, nothing around it.
"""

import random
import time
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from bench.controlstores import ControlStore, control_stores
from bench.measurement import Measurement, Row, at_most
from bench.workbench import Workbench

_COUNT = 50
_BOUND_S = 3.0
_READY_S = 60.0


@dataclass
class _Found:
    bursts: list[dict[str, Any]] = field(default_factory=list)
    plain_s: list[float] = field(default_factory=list)
    alone: list[dict[str, Any]] = field(default_factory=list)


def _run(bench: Workbench) -> list[Row]:
    postgres = bench.postgres(durable=True)
    rows: list[Row] = []
    for store in control_stores(bench, postgres):
        with bench.part() as part:
            rows += _rows(store.name, _measure(part, store, postgres.dsn()))
    return rows


def _measure(bench: Workbench, store: ControlStore, dsn: str) -> _Found:
    bench.say(f"{store.name}: starting")
    daemon = bench.demo_daemon(
        bench.directory("state") / "state",
        DATABASES__MAIN__DSN=dsn,
        TELEMETRY__OTLP_ENDPOINT=bench.otlp_sink(),
        **store.settings,
    )
    caller = bench.child("demos")
    caller.ask("until_ready", target=daemon.target, within_s=_READY_S)
    plain = bench.child("plain_dbos", store.beside_url)
    plain.ask("burst", count=1)
    found = _Found()
    for number in range(rounds := bench.of(full=5, quick=2)):
        bench.say(f"{store.name}: round {number + 1} of {rounds}")
        found.bursts.append(caller.ask("burst", target=daemon.target, count=_COUNT))
        found.plain_s.append(plain.ask("burst", count=_COUNT))
    for _ in range(bench.of(full=20, quick=5)):
        time.sleep(random.uniform(0.1, 0.3))  # at no fixed moment of the worker's polling
        found.alone.append(caller.ask("burst", target=daemon.target, count=1))
    return found


def _rows(store: str, found: _Found) -> list[Row]:
    known = [burst["known_s"] for burst in found.bursts]
    accepted, ended = (
        median(burst[key] for burst in found.bursts) for key in ("accepted_s", "ended_s")
    )
    ratios = [ours / plain for ours, plain in zip(known, found.plain_s, strict=True)]
    alone = [each["known_s"] for each in found.alone]
    alone_ended, alone_accepted = (
        median(each[key] for each in found.alone) for key in ("ended_s", "accepted_s")
    )
    return [
        Row(
            f"{store}: {_COUNT} operations, from the first request to the last one's end, worst",
            max(known),
            "s",
            at_most(_BOUND_S),
            f"{_each(known)} as callers know it; medians: all accepted after {accepted:.2f} s,"
            f" ended after {ended:.2f} s",
        ),
        Row(f"{store}: plain DBOS", median(found.plain_s), "s", note=_each(found.plain_s)),
        Row(
            f"{store}: against plain DBOS",
            median(ratios),
            "x plain",
            note=f"median of {len(ratios)} rounds, {min(ratios):.2f} to {max(ratios):.2f}",
        ),
        Row(
            f"{store}: one operation alone, from the request to its end, median",
            median(alone),
            "s",
            note=f"worst {max(alone):.2f}; medians: accepted after {alone_accepted:.3f} s,"
            f" ended after {alone_ended:.2f} s",
        ),
    ]


def _each(seconds: list[float]) -> str:
    return ", ".join(f"{each:.2f}" for each in seconds)


MEASUREMENT = Measurement("50 short operations from the queue", _run)
