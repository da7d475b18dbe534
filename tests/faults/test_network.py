"""A network that is cut, that swallows everything, or that is slow."""

import time
from collections.abc import Callable

from tests.faults.conftest import SOON_S, StartDaemon, State
from tests.faults.writing import CREATE, UNIQUE, first_write, write, writing
from tests.support.patience import eventually
from tests.support.proxy import Proxy
from tests.support.servers import PostgresServer

Disposable = Callable[..., PostgresServer]
MakeProxy = Callable[[str, int], Proxy]


async def test_a_network_that_is_cut_frozen_slow_and_healed(
    start_daemon: StartDaemon, disposable_server: Disposable, make_proxy: MakeProxy
) -> None:
    server = disposable_server()
    server.execute(CREATE)
    server.execute(UNIQUE)
    proxy = make_proxy(server.host, server.port)
    daemon = await start_daemon(server.dsn(host=proxy.host, port=proxy.port))
    await write(daemon.database)
    async with daemon.asked() as answers:
        proxy.cut()
        await daemon.becomes(State.UNHEALTHY, timeout=3)
        assert daemon.check("reachable").reason == "CONNECTION_REFUSED"
        proxy.heal()
        after_cut = await first_write(daemon.database)
        assert after_cut < SOON_S
        assert await daemon.becomes(State.HEALTHY) < SOON_S

        proxy.freeze()
        frozen_at = time.monotonic()
        await daemon.becomes(State.UNHEALTHY, timeout=8)
        assert 4.9 < time.monotonic() - frozen_at < 10
        assert daemon.check("reachable").reason == "NO_ANSWER"
        proxy.heal()
        after_freeze = await first_write(daemon.database)
        assert after_freeze < SOON_S
        assert await daemon.becomes(State.HEALTHY) < SOON_S

        # Slow, and yet a login's three round trips are done in time.
        proxy.delay(0.55)
        await eventually(
            lambda: daemon.check("reachable").reason == "SLOW_ANSWER",
            timeout=15,
            what="SLOW_ANSWER",
        )
        assert (await daemon.get_health()).state == State.DEGRADED
        assert 1.0 < (daemon.check("reachable").value or 0) < 5
        assert await daemon.serves("readiness")
        proxy.heal()
        await daemon.becomes(State.HEALTHY, timeout=5)
    answers.check()
    print(f"first write after a cut {after_cut:.2f} s, after a freeze {after_freeze:.2f} s")


async def test_connections_that_a_black_hole_swallowed_are_replaced(
    start_daemon: StartDaemon, disposable_server: Disposable, make_proxy: MakeProxy
) -> None:
    server = disposable_server()
    server.execute(CREATE)
    server.execute(UNIQUE)
    proxy = make_proxy(server.host, server.port)
    daemon = await start_daemon(
        server.dsn(host=proxy.host, port=proxy.port), min_size=4, connect_timeout_s=2
    )
    async with writing(daemon.database) as writers:
        await eventually(lambda: len(writers.acknowledged) > 20)
        proxy.freeze()
        await daemon.becomes(State.UNHEALTHY, timeout=8)
        # As behind a firewall that forgot its connections: what was held up never comes.
        proxy.cut()
        proxy.heal()
        healed_at = time.monotonic()
        await eventually(lambda: max(writers.acknowledged.values()) > healed_at, timeout=5)
        took = min(at for at in writers.acknowledged.values() if at > healed_at) - healed_at
        assert took < SOON_S
        await daemon.becomes(State.HEALTHY, timeout=4)
    found = {row[0] for row in server.execute("SELECT key FROM written")}
    assert set(writers.acknowledged) <= found
