"""The pool: growth, exhaustion, leaks, connections that die, and what it tells about itself."""

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest

from dbopsd.db.database import Database
from dbopsd.db.errors import NoConnection, PoolClosed, PoolExhausted, ReadOnlyServer
from dbopsd.db.session import Session
from dbopsd.db.statement import Statement
from tests.integration.conftest import OpenDatabase
from tests.support.patience import eventually
from tests.support.recording import Recording
from tests.support.replication import ReplicationPair
from tests.support.servers import PostgresServer

ONE = Statement("SELECT 1", "SELECT 1 test")
PID = Statement("SELECT pg_backend_pid()", "SELECT pg_backend_pid")


async def pid_of(session: Session) -> int:
    row = await session.fetch_one(PID)
    assert row is not None
    return int(row[0])


async def test_it_grows_on_demand_and_shrinks_when_idle(
    open_database: OpenDatabase, database_dsn: str
) -> None:
    database = await open_database(database_dsn, min_size=1, max_size=4, max_idle_s=0.3)
    sessions = [database.session() for _ in range(4)]
    for session in sessions:
        await session.__aenter__()
    assert database.pool_stats().used == database.pool_stats().size == 4
    for session in sessions:
        await session.__aexit__(None, None, None)
    await eventually(lambda: database.pool_stats().size == 1, timeout=5)


async def test_an_exhausted_pool_says_so_in_time(
    open_database: OpenDatabase, database_dsn: str, recording: Recording
) -> None:
    database = await open_database(database_dsn, min_size=1, max_size=1)
    async with database.session():
        with pytest.raises(PoolExhausted) as caught:
            async with database.session(timeout_s=0.1):
                pass
        assert caught.value.metadata == {"database": "main", "timeout_s": "0.1", "max_size": "1"}
        waiter = asyncio.create_task(_use(database))
        await eventually(lambda: database.pool_stats().waiting == 1)
    await waiter
    assert database.pool_stats().timeouts_total == 1
    spans = recording.spans("wait main-write")
    errors = [span for span in spans if "error.type" in (span.attributes or {})]
    assert [(span.attributes or {})["error.type"] for span in errors] == ["POOL_EXHAUSTED"]
    assert (errors[0].end_time or 0) - (errors[0].start_time or 0) >= 100_000_000
    timeouts = recording.metric("db.client.connection.timeouts")
    assert [point.value for point in timeouts] == [1]


async def _use(database: Database) -> None:
    async with database.session() as session:
        await session.execute(ONE)


async def test_a_connection_held_too_long_is_counted_and_logged_with_its_taker(
    open_database: OpenDatabase, database_dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    leak_after_s = 1.0
    database = await open_database(database_dsn, leak_after_s=leak_after_s)
    loop = asyncio.get_running_loop()
    noticed_after_s = 0.0

    async def the_culprit() -> None:
        nonlocal noticed_after_s
        async with database.session():
            taken = loop.time()
            assert database.pool_stats().leaked == 0
            # By the log alone: nobody has to ask for the statistics.
            await eventually(lambda: "the_culprit" in caplog.text)
            noticed_after_s = loop.time() - taken
            # One that was just taken is none, and nor is one that came back in time.
            async with database.session():
                assert database.pool_stats().leaked == 1
            await database.look_up(ONE, ttl_s=0)
            assert (database.pool_stats().leaked, database.pool_stats().leaks_total) == (1, 1)

    with caplog.at_level(logging.WARNING):
        await the_culprit()
    assert leak_after_s <= noticed_after_s < leak_after_s + 5
    assert (database.pool_stats().leaked, database.pool_stats().leaks_total) == (0, 1)
    assert caplog.text.count("is held for more than 1 s") == 1
    assert caplog.text.count("came back") == 1


async def test_terminated_connections_are_replaced_before_anybody_gets_one(
    database: Database, postgres: PostgresServer
) -> None:
    async with database.session() as session:
        old = await pid_of(session)
    await asyncio.to_thread(postgres.execute, f"SELECT pg_terminate_backend({old}, 5000)")
    async with database.session() as session:
        assert await pid_of(session) != old


async def test_connections_that_went_dead_without_a_word_are_replaced_all_at_once(
    open_database: OpenDatabase, database_dsn: str
) -> None:
    database = await open_database(database_dsn, min_size=5, max_size=5)
    async with AsyncExitStack() as stack:
        sessions = [await stack.enter_async_context(database.session()) for _ in range(5)]
        backends = [await pid_of(session) for session in sessions]
    # Past the time for which a connection is trusted that was just used.
    await asyncio.sleep(1.1)
    for backend in backends:
        os.kill(backend, signal.SIGSTOP)
    try:
        started = asyncio.get_running_loop().time()
        async with database.session() as session:
            assert await pid_of(session) not in backends
        # One ping that is not answered, not five of two seconds each.
        assert asyncio.get_running_loop().time() - started < 5
    finally:
        for backend in backends:
            os.kill(backend, signal.SIGCONT)


async def test_an_open_transaction_does_not_go_back_into_the_pool(
    open_database: OpenDatabase, database_dsn: str
) -> None:
    database = await open_database(database_dsn, min_size=1, max_size=1)
    async with database.session() as session:
        backend = await pid_of(session)
        await session.execute(Statement("BEGIN", "BEGIN"))
        await session.execute(Statement("CREATE TABLE gone ()", "CREATE TABLE gone"))
    async with database.session() as session:
        # Rolled back, not thrown away: connecting anew is dear.
        assert await pid_of(session) == backend
        assert session.usable
        found = await session.fetch_one(
            Statement("SELECT to_regclass('gone')", "SELECT to_regclass")
        )
        assert found == (None,)


async def test_a_cancelled_caller_gives_its_connection_back(
    open_database: OpenDatabase, database_dsn: str
) -> None:
    database = await open_database(database_dsn, min_size=1, max_size=1)

    async def hold() -> None:
        async with database.session() as session:
            await session.execute(Statement("SELECT pg_sleep(60)", "SELECT pg_sleep"))

    for _ in range(3):
        task = asyncio.create_task(hold())
        await eventually(lambda: database.pool_stats().used == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert database.pool_stats().used == 0
    async with database.session(timeout_s=5) as session:
        await session.execute(ONE)


async def test_a_session_for_reading_cannot_write_on_a_primary_either(
    open_database: OpenDatabase, database_dsn: str, postgres: PostgresServer
) -> None:
    twice = f"host='{postgres.host},{postgres.host}' port='{postgres.port},{postgres.port}'"
    database = await open_database(f"{database_dsn} {twice}", min_size=1)
    async with database.session(read_only=True) as session:
        with pytest.raises(ReadOnlyServer):
            await session.execute(Statement("CREATE TABLE nope ()", "CREATE TABLE nope"))
    async with database.session() as session:
        await session.execute(Statement("CREATE TABLE written ()", "CREATE TABLE written"))


async def test_a_connection_to_a_standby_is_not_lent_for_writing(
    open_database: OpenDatabase, replication_pair: ReplicationPair
) -> None:
    pair = replication_pair
    # The user's own choice wins over the one that leads to a primary only.
    dsn = pair.primary.dsn(
        host=f"{pair.standby.host},{pair.primary.host}",
        port=f"{pair.standby.port},{pair.primary.port}",
        target_session_attrs="any",
    )
    database = await open_database(dsn, min_size=0, max_size=1)
    with pytest.raises(NoConnection):
        async with database.session(timeout_s=1.5):
            pass
    await asyncio.to_thread(pair.primary.stop, "immediate")
    await asyncio.to_thread(pair.promote)
    async with database.session(timeout_s=10) as session:
        await session.execute(Statement("CREATE TABLE written ()", "CREATE TABLE written"))


async def test_a_subscription_does_not_outlive_the_loan(
    open_database: OpenDatabase, database_dsn: str
) -> None:
    database = await open_database(database_dsn, min_size=1, max_size=1)
    async with database.session() as session:
        await session.listen("channel")
        first = await pid_of(session)
    async with database.session() as session:
        assert await pid_of(session) != first
        await session.notify("channel", "nobody's")
        assert [each async for each in session.notifications(timeout_s=0.1)] == []


async def test_no_time_at_all_is_not_the_default_time(
    open_database: OpenDatabase, database_dsn: str
) -> None:
    database = await open_database(database_dsn, min_size=1, max_size=1)
    async with database.session():
        with pytest.raises(PoolExhausted):
            async with asyncio.timeout(5), database.session(timeout_s=0):
                pass


async def test_cancelled_waiters_leave_nothing_behind(
    open_database: OpenDatabase, database_dsn: str
) -> None:
    database = await open_database(database_dsn, min_size=1, max_size=1)
    async with database.session():
        waiters = [asyncio.create_task(_use(database)) for _ in range(10)]
        await eventually(lambda: database.pool_stats().waiting == 10)
        for waiter in waiters:
            waiter.cancel()
        await asyncio.wait(waiters)
    await _use(database)
    assert database.pool_stats().used == 0


async def test_a_cancellation_that_comes_with_the_connection_is_not_lost(
    open_database: OpenDatabase, database_dsn: str
) -> None:
    database = await open_database(database_dsn, min_size=1, max_size=1)
    holder = database.session()
    await holder.__aenter__()
    waiter = asyncio.create_task(_use(database))
    await eventually(lambda: database.pool_stats().waiting == 1)
    await holder.__aexit__(None, None, None)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert database.pool_stats().used == 0
    await asyncio.wait_for(_use(database), 5)


async def test_a_closed_pool_says_that_the_daemon_stops(
    open_database: OpenDatabase, database_dsn: str
) -> None:
    database = await open_database(database_dsn)
    await database.close()
    with pytest.raises(PoolClosed):
        async with database.session():
            pass


async def test_a_server_that_comes_back_is_found_though_it_was_down_at_the_start(
    open_database: OpenDatabase, disposable_server: Callable[[], PostgresServer]
) -> None:
    server = disposable_server()
    await asyncio.to_thread(server.stop)
    database = await open_database(server.dsn())
    with pytest.raises(NoConnection) as caught:
        async with database.session(timeout_s=1.5):
            pass
    # Nobody holds one: to look for a leak would be the wrong advice.
    assert caught.value.transient
    assert "leak" not in str(caught.value)
    await asyncio.to_thread(server.start)
    async with database.session(timeout_s=2) as session:
        await session.execute(ONE)


async def test_its_metrics_follow_the_conventions(database: Database, recording: Recording) -> None:
    async with database.session() as session:
        await session.execute(ONE)
        counts = {
            point.attributes["db.client.connection.state"]: point.value
            for point in recording.metric("db.client.connection.count")
        }
        assert counts["used"] == 1
    for name, value in (("max", 20), ("idle.max", 20), ("idle.min", 2), ("pending_requests", 0)):
        (point,) = recording.metric(f"db.client.connection.{name}")
        assert point.value == value
        assert point.attributes == {"db.client.connection.pool.name": "main-write"}
    for name in ("create_time", "wait_time", "use_time"):
        (point,) = recording.metric(f"db.client.connection.{name}")
        assert point.count >= 1
        assert point.explicit_bounds == (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30)
