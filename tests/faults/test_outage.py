"""A server whose sessions end, or that goes away and comes back: the daemon stays."""

import asyncio
import time
from collections.abc import Callable

import pytest

from dbopsd.db.statement import Statement
from dbopsd.health.report import State as Found
from tests.faults.conftest import SOON_S, Daemon, StartDaemon, State
from tests.faults.writing import CREATE, UNIQUE, first_write, write, writing
from tests.support.patience import eventually
from tests.support.proxy import Proxy
from tests.support.servers import PostgresServer

ONE = Statement("SELECT 1", "SELECT 1 test")
Disposable = Callable[..., PostgresServer]
MakeProxy = Callable[[str, int], Proxy]


def prepared(server: PostgresServer) -> PostgresServer:
    server.execute(CREATE)
    server.execute(UNIQUE)
    return server


async def test_sessions_that_are_terminated_are_no_errors(
    start_daemon: StartDaemon, disposable_server: Disposable
) -> None:
    server = prepared(disposable_server())
    daemon = await start_daemon(server.dsn(), min_size=4)
    await asyncio.gather(*(write(daemon.database) for _ in range(8)))
    states = []
    watching = asyncio.create_task(_note_states(daemon, states))
    async with writing(daemon.database) as writers:
        for _ in range(5):
            await eventually(lambda: len(writers.acknowledged) > 10)
            assert await asyncio.to_thread(server.terminate_backends) > 0
            writers.acknowledged.clear()
        await eventually(lambda: len(writers.acknowledged) > 10)
    watching.cancel()
    assert writers.errors == []
    # Idle ones too: nobody is lent one of them, so that not even a retry is needed.
    await asyncio.to_thread(server.terminate_backends)
    for _ in range(8):
        async with daemon.database.session() as session:
            assert await session.fetch_one(ONE) == (1,)
    assert Found.UNHEALTHY not in states


async def _note_states(daemon: Daemon, states: list[Found]) -> None:
    async for report in daemon.serving.board.watch("main"):
        states += [report.state]


@pytest.mark.parametrize("how", ["fast", "immediate", "kill"])
async def test_a_server_that_goes_and_comes_back(
    start_daemon: StartDaemon, disposable_server: Disposable, make_proxy: MakeProxy, how: str
) -> None:
    server = prepared(disposable_server())
    proxy = make_proxy(server.host, server.port)
    daemon = await start_daemon(server.dsn(host=proxy.host, port=proxy.port))
    await write(daemon.database)
    async with daemon.asked() as answers:
        if how == "kill":
            await asyncio.to_thread(server.kill)
        else:
            await asyncio.to_thread(server.stop, how)
        await daemon.becomes(State.UNHEALTHY, timeout=3)
        assert not await daemon.serves("readiness")
        await asyncio.to_thread(server.start)
        took = await first_write(daemon.database)
        assert took < SOON_S
        assert await daemon.becomes(State.HEALTHY) < SOON_S
    answers.check()
    print(f"{how}: first write after {took:.2f} s")


@pytest.mark.thorough
async def test_a_long_outage_is_waited_out_in_quiet(
    start_daemon: StartDaemon, disposable_server: Disposable, make_proxy: MakeProxy
) -> None:
    server = prepared(disposable_server())
    proxy = make_proxy(server.host, server.port)
    daemon = await start_daemon(server.dsn(host=proxy.host, port=proxy.port), min_size=4)
    await asyncio.gather(*(write(daemon.database) for _ in range(8)))
    async with writing(daemon.database, count=8) as writers:
        await asyncio.to_thread(server.stop)
        await daemon.becomes(State.UNHEALTHY, timeout=3)
        assert daemon.check("reachable").state is Found.UNHEALTHY
        opened = proxy.opened
        begun = time.monotonic()
        await asyncio.sleep(15)
        attempts = proxy.opened - opened
        elapsed_s = time.monotonic() - begun
        await asyncio.to_thread(server.start)
        back = time.monotonic()
        await eventually(lambda: any(at > back for at in writers.acknowledged.values()))
        took = min(at for at in writers.acknowledged.values() if at > back) - back
    assert took < SOON_S
    await daemon.becomes(State.HEALTHY, timeout=2)
    # The prober asks twice a second and looks once why; the pool as often for each connection.
    per_second = attempts / elapsed_s
    print(f"long outage: {per_second:.1f} attempts/s, first write after {took:.2f} s")
    assert per_second < 20
