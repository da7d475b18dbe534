"""A server that is stopped but not gone: nothing answers, nothing refuses."""

import asyncio
import logging
import time
from collections.abc import Callable

import pytest

from dbopsd.db.errors import PoolExhausted
from dbopsd.health.report import State as Found
from tests.faults.conftest import SOON_S, StartDaemon, State
from tests.faults.writing import CREATE, UNIQUE, write
from tests.support.patience import eventually
from tests.support.servers import PostgresServer

Disposable = Callable[..., PostgresServer]


async def test_health_answers_while_the_server_hangs_and_says_so(
    start_daemon: StartDaemon, disposable_server: Disposable
) -> None:
    server = disposable_server()
    daemon = await start_daemon(server.dsn())
    assert await daemon.serves("readiness")
    async with daemon.asked() as answers:
        with server.paused():
            started = time.monotonic()
            await daemon.becomes(State.DEGRADED, timeout=4)
            assert 0.9 < time.monotonic() - started < 5
            assert daemon.check("reachable").reason == "NO_ANSWER"
            assert await daemon.serves("readiness")
            await daemon.becomes(State.UNHEALTHY, timeout=8)
            assert 4.9 < time.monotonic() - started < 10
            health = await daemon.get_health()
            assert health.checks[0].reason == "NO_ANSWER"
            assert health.age.ToTimedelta().total_seconds() > 4
            assert not await daemon.serves("readiness")
            assert not await daemon.serves("databases/main")
            assert await daemon.serves("liveness")
            assert await daemon.http_status("/readyz") == 503
            assert await daemon.http_status("/api/health/database") == 503
            assert await daemon.http_status("/livez") == 200
        assert await daemon.becomes(State.HEALTHY) < SOON_S
    answers.check()
    print(f"hung: p99 {answers.p99 * 1000:.1f} ms of {len(answers.times)} answers")


async def test_health_answers_while_the_pool_is_exhausted(
    start_daemon: StartDaemon, disposable_server: Disposable, caplog: pytest.LogCaptureFixture
) -> None:
    server = disposable_server()
    server.execute(CREATE)
    server.execute(UNIQUE)
    daemon = await start_daemon(
        server.dsn(),
        health={"interval_s": 0.1},
        min_size=1,
        max_size=3,
        timeout_s=1.5,
        leak_after_s=1,
    )
    release = asyncio.Event()

    async def hold_a_connection() -> None:
        async with daemon.database.session():
            await release.wait()

    caplog.set_level(logging.WARNING)
    holders = [asyncio.create_task(hold_a_connection()) for _ in range(3)]
    await eventually(lambda: daemon.database.pool_stats().used == 3)
    async with daemon.asked() as answers:
        started = time.monotonic()
        waiter = asyncio.create_task(write(daemon.database))
        await daemon.becomes(State.DEGRADED, timeout=3)
        await eventually(lambda: daemon.check("pool_waiting").reason == "POOL_EXHAUSTED")
        assert daemon.check("pool_use").reason == "POOL_NEAR_LIMIT"
        assert daemon.check("reachable").state is Found.HEALTHY
        with pytest.raises(PoolExhausted):
            await waiter
        assert 1.4 < time.monotonic() - started < 5
        await eventually(lambda: daemon.check("pool_leaks").value == 3)
        assert daemon.check("pool_leaks").reason == "CONNECTION_LEAKED"
        assert daemon.database.pool_stats().leaks_total == 3
        assert "hold_a_connection" in caplog.text
        assert await daemon.serves("readiness")
        release.set()
        await asyncio.wait(holders)
        await daemon.becomes(State.HEALTHY)
        await write(daemon.database)
    answers.check()
    print(f"pool exhausted: p99 {answers.p99 * 1000:.1f} ms of {len(answers.times)} answers")
