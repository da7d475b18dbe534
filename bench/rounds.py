"""`Health.Check` rates of several servers, in turn within each round.

What disturbs a round disturbs all of them, so a round's ratio stands though its rates do not.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from bench.child import Child
from bench.measurement import Bar, Row
from bench.proc import cpu_s
from bench.workbench import Workbench

_CONCURRENCY = 16


@dataclass
class Server:
    """One that is called, and what was found of it."""

    target: str
    pid: int
    rates: list[float] = field(default_factory=list)
    calls: float = 0.0
    cpu_s: float = 0.0

    @property
    def cpu_us_a_call(self) -> float:
        return self.cpu_s / self.calls * 1e6


def measure_in_turn(bench: Workbench, client: Child, servers: Sequence[Server]) -> None:
    """Have `client` call each of them, as fast as they answer, in each of several rounds."""
    # Short and many: what disturbs one of a round's servers and not the others is outvoted.
    seconds = bench.of(full=0.5, quick=0.4)
    for server in servers:  # a first time without counting: connections, caches
        client.ask("load", target=server.target, concurrency=_CONCURRENCY, seconds=0.5)
    rounds = bench.of(full=21, quick=7)
    for number in range(rounds):
        bench.say(f"round {number + 1} of {rounds}")
        turn = number % len(servers)
        for server in (*servers[turn:], *servers[:turn]):
            before = cpu_s(server.pid)
            done = client.ask(
                "load", target=server.target, concurrency=_CONCURRENCY, seconds=seconds
            )
            server.cpu_s += cpu_s(server.pid) - before
            server.calls += done["calls"]
            server.rates.append(done["calls"] / done["seconds"])


def ratio_row(what: str, server: Server, bare: Server, bar: Bar | None = None) -> Row:
    """The median of the rounds' ratios."""
    ratios = [rate / base for rate, base in zip(server.rates, bare.rates, strict=True)]
    spread = f"median of {len(ratios)} rounds, {min(ratios):.2f} to {max(ratios):.2f}"
    cpu = server.cpu_us_a_call / bare.cpu_us_a_call
    return Row(what, median(ratios), "x bare", bar, f"{spread}; {cpu:.2f} x its processor time")


def rate_row(what: str, server: Server, note: str = "") -> Row:
    """The median of the rounds' rates."""
    cpu = f"{server.cpu_us_a_call:.0f} us of its processor time a call"
    return Row(what, median(server.rates), "calls/s", note=f"{cpu}; {note}" if note else cpu)
