"""How soon the daemon's pool writes to the new primary once a standby is promoted.

Each round is a streaming pair of its own and a daemon that names both hosts. The moment of the
promotion is the first `pg_is_in_recovery() = false` that an observer on the standby sees.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.configuration import configuration
from bench.measurement import Bar, Measurement, Row, at_most
from bench.watcher import Watcher
from bench.workbench import Workbench
from tests.support.replication import ReplicationPair

_BOUND_S = 5.0
_NOTICED_S = 1.0
_WRITE_S = 90.0


@dataclass(frozen=True, slots=True)
class _Loss:
    """How the primary is lost. `rounds`: in a full run, and in a quick one."""

    what: str
    lose: Callable[[ReplicationPair], None]
    rounds: tuple[int, int]
    bar: Bar | None


_LOSSES = (
    _Loss("is killed", lambda pair: pair.primary.kill(), (2, 1), at_most(_BOUND_S)),
    _Loss("is stopped", lambda pair: pair.primary.stop(), (2, 0), at_most(_BOUND_S)),
    # As a host that falls off the network: its sockets stay, and nothing ever comes.
    _Loss("hangs (SIGSTOP)", lambda pair: pair.primary.pause(), (1, 0), None),
)


def _run(bench: Workbench) -> list[Row]:
    rows = []
    for loss in _LOSSES:
        rounds = [_round(bench, loss) for _ in range(bench.of(*loss.rounds))]
        if rounds:
            rows.append(_row(loss, rounds))
    return rows


def _round(bench: Workbench, loss: _Loss) -> dict[str, Any]:
    bench.say(f"a pair whose primary {loss.what}")
    with bench.part() as part:
        pair = part.replication_pair()
        daemon = part.child("daemon", configuration(part.directory("state"), pair.dsn()))
        daemon.ask("start_writing")
        pair.wait_until_caught_up()
        with Watcher(pair.standby.dsn(), "SELECT NOT pg_is_in_recovery()") as watcher:
            loss.lose(pair)
            daemon.tell("first_write_after", moment=time.monotonic())
            # Whoever promotes needs a moment to notice; the daemon's callers fail meanwhile.
            time.sleep(_NOTICED_S)
            pair.standby.execute("SELECT pg_promote(false)")
            promoted_at = watcher.wait()
            written = daemon.answer(timeout_s=_WRITE_S)
        return {"delay_s": max(0.0, written["at"] - promoted_at), "errors": written["errors"]}


def _row(loss: _Loss, rounds: list[dict[str, Any]]) -> Row:
    delays = [found["delay_s"] for found in rounds]
    errors = sorted({reason for found in rounds for reason in found["errors"]})
    each = ", ".join(f"{delay:.2f}" for delay in delays)
    return Row(
        f"the primary {loss.what}: from promotion to the first write, worst",
        max(delays),
        "s",
        loss.bar,
        f"{each}; callers got {', '.join(errors) or 'no error'}",
    )


MEASUREMENT = Measurement("Failover to the standby", _run)
