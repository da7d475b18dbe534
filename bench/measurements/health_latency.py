"""How long a caller waits for a health answer while the database, the pool or the machine is stuck.

A steady pace, latency from when a call was due, and every situation is shown to be there by what
the daemon itself says at its end.
"""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from bench.child import Child
from bench.configuration import configuration
from bench.measurement import Measurement, Row, at_most
from bench.workbench import Workbench

_EACH_A_SECOND = 100.0
_BOUND_MS = 100.0
_WAITING = 50
# The prober says NO_ANSWER after 5 s; the calls up to then, and past it, are all measured.
_HUNG_S = 7.0


def _run(bench: Workbench) -> list[Row]:
    postgres = bench.postgres()
    config = configuration(
        bench.directory("state"), postgres.dsn(), otlp_endpoint=bench.otlp_sink()
    )
    daemon = bench.child("daemon", config)
    client = bench.child("client")
    target = daemon.ask("target")
    client.ask("until_serving", target=target, within_s=30.0)
    seconds = bench.of(full=8.0, quick=3.0)
    situations = (
        ("nothing is wrong", contextlib.nullcontext(), seconds, False),
        ("PostgreSQL is SIGSTOPped", postgres.paused(), _HUNG_S, True),
        ("the pool is exhausted", _exhausted(daemon), seconds, True),
        ("both cores are busy", _busy(), seconds, True),
    )
    rows: list[Row] = []
    for what, situation, lasting_s, barred in situations:
        bench.say(what)
        with situation:
            found = client.ask(
                "pace", target=target, each_a_second=_EACH_A_SECOND, seconds=lasting_s
            )
        rows += _rows(what, found, barred)
        client.ask("until_serving", target=target, within_s=30.0)
    return rows


@contextlib.contextmanager
def _exhausted(daemon: Child) -> Iterator[None]:
    daemon.ask("hold_pool", waiting=_WAITING)
    try:
        yield
    finally:
        daemon.ask("leave_pool")


@contextlib.contextmanager
def _busy() -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for _ in range(max(2, os.cpu_count() or 2)):
            stack.enter_context(Child("burner"))
        yield


def _rows(what: str, found: dict[str, Any], barred: bool) -> list[Row]:
    bar = at_most(_BOUND_MS) if barred else None
    rows = [
        Row(
            f"{what}: {method}, p99",
            found[key]["p99_ms"],
            "ms",
            bar,
            f"p50 {found[key]['p50_ms']:.1f}, worst {found[key]['max_ms']:.1f}"
            f" of {found[key]['count']:.0f} calls",
        )
        for method, key in (("Check", "check"), ("GetHealth", "get_health"))
    ]
    rows.append(
        Row(
            f"{what}: calls that failed",
            len(found["errors"]),
            "",
            at_most(0) if barred else None,
            f"at its end: {_said(found['last'])}",
        )
    )
    return rows


def _said(last: dict[str, Any]) -> str:
    reasons = {check: reason for check, reason in last["reasons"].items() if reason}
    causes = [
        f"{check} {reason}"
        for check, reason in reasons.items()
        if reason not in ("DATABASE_UNREACHABLE", "NOT_PROBED_YET")
    ]
    return ", ".join([last["state"], *causes[:3]])


MEASUREMENT = Measurement("Health while something is stuck", _run)
