"""A seeded campaign: faults one after the other under constant writes, and nothing is lost.

`--seed` repeats a run, `--soak` makes it a long one.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from tests.faults.conftest import Daemon, StartDaemon, State
from tests.faults.writing import CREATE, UNIQUE, Writers, writing
from tests.support.patience import eventually
from tests.support.proxy import Proxy
from tests.support.servers import PostgresServer
from tests.support.soak import Soak

# After a fault is over: writes go on, and health says so. On a busy machine: `make bench` has the
# bar for one that is not.
_RECOVERED_S = 5.0
Fault = Callable[[], Awaitable[None]]


class Campaign:
    """The faults that may come, each over by the time its method returns."""

    def __init__(
        self, server: PostgresServer, proxy: Proxy, daemon: Daemon, chance: random.Random
    ) -> None:
        self._server = server
        self._proxy = proxy
        self._daemon = daemon
        self._chance = chance

    def faults(self) -> list[Fault]:
        return [
            self.terminate,
            self.hang,
            self.restart,
            self.crash,
            self.cut,
            self.freeze,
            self.slow,
            self.exhaust,
        ]

    def some_seconds(self, most: float) -> float:
        return self._chance.uniform(0.1, most)

    async def terminate(self) -> None:
        await asyncio.to_thread(self._server.terminate_backends)

    async def hang(self) -> None:
        with self._server.paused():
            await asyncio.sleep(self.some_seconds(2))

    async def restart(self) -> None:
        mode = self._chance.choice(["fast", "immediate"])
        await asyncio.to_thread(self._server.stop, mode)
        await asyncio.sleep(self.some_seconds(1))
        await asyncio.to_thread(self._server.start)

    async def crash(self) -> None:
        await asyncio.to_thread(self._server.kill)
        await asyncio.to_thread(self._server.start)

    async def cut(self) -> None:
        self._proxy.cut()
        await asyncio.sleep(self.some_seconds(2))
        self._proxy.heal()

    async def freeze(self) -> None:
        self._proxy.freeze()
        await asyncio.sleep(self.some_seconds(2))
        if self._chance.random() < 0.5:
            self._proxy.cut()
        self._proxy.heal()

    async def slow(self) -> None:
        self._proxy.delay(self.some_seconds(0.5))
        await asyncio.sleep(self.some_seconds(2))
        self._proxy.heal()

    async def exhaust(self) -> None:
        async def hold(seconds: float) -> None:
            async with self._daemon.database.session(timeout_s=5):
                await asyncio.sleep(seconds)

        seconds = self.some_seconds(1)
        await asyncio.gather(*(hold(seconds) for _ in range(8)), return_exceptions=True)


@pytest.mark.soak
@pytest.mark.timeout(3600)
async def test_nothing_acknowledged_is_lost_and_health_always_answers(
    start_daemon: StartDaemon,
    disposable_server: Callable[..., PostgresServer],
    make_proxy: Callable[[str, int], Proxy],
    soak: Soak,
) -> None:
    server = disposable_server()
    server.execute(CREATE)
    server.execute(UNIQUE)
    proxy = make_proxy(server.host, server.port)
    daemon = await start_daemon(
        server.dsn(host=proxy.host, port=proxy.port),
        max_size=6,
        connect_timeout_s=2,
        query_timeout_s=5,
    )
    chance = soak.random()
    campaign = Campaign(server, proxy, daemon, chance)
    done: Counter[str] = Counter()
    slowest = 0.0
    ends_at = time.monotonic() + soak.scale(12.0, 300.0)
    deck: list[Fault] = []
    async with daemon.asked() as answers, writing(daemon.database) as writers:
        while time.monotonic() < ends_at:
            if not deck:
                deck = campaign.faults()
                chance.shuffle(deck)
            fault = deck.pop()
            await fault()
            over_at = time.monotonic()
            name = f"a write after {fault.__name__}"
            await eventually(lambda at=over_at: _wrote_since(writers, at), timeout=10, what=name)
            recovered_s = _first_since(writers, over_at) - over_at
            slowest = max(slowest, recovered_s)
            assert recovered_s < _RECOVERED_S, f"{name}: {recovered_s:.1f} s"
            await daemon.becomes(State.HEALTHY, timeout=5)
            done[fault.__name__] += 1
    answers.check()
    rows = Counter(row[0] for row in server.execute("SELECT key FROM written"))
    assert len(writers.acknowledged) > 100
    assert {key: rows[key] for key in writers.acknowledged if rows[key] != 1} == {}
    print(
        f"soak --seed={soak.seed}: {dict(done)}; {len(writers.acknowledged)} rows, "
        f"{len(writers.errors)} errors told, slowest recovery {slowest:.2f} s, "
        f"p99 {answers.p99 * 1000:.1f} ms of {len(answers.times)} answers"
    )


def _wrote_since(writers: Writers, at: float) -> bool:
    # Newest last: a dict keeps the order of insertion.
    return bool(writers.acknowledged) and next(reversed(writers.acknowledged.values())) > at


def _first_since(writers: Writers, at: float) -> float:
    return min(when for when in writers.acknowledged.values() if when > at)
