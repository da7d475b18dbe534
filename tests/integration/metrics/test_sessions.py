"""Sessions of real servers: listed as they are, and ended only if they are the ones meant."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from dbopsd.db.database import Database
from dbopsd.db.errors import LoginRejected
from dbopsd.metrics.errors import (
    SessionHidden,
    SessionNotFound,
    SessionProtected,
    SignalDenied,
    TooManyQuestions,
)
from dbopsd.metrics.on_demand import OnDemand
from dbopsd.metrics.sessions.sessions import Ending, ServerSession, Sessions
from tests.integration.conftest import OpenDatabase
from tests.support.patience import eventually
from tests.support.replication import ReplicationPair
from tests.support.servers import PostgresServer

SCHEMA = """
CREATE TABLE t (id int PRIMARY KEY, n int);
INSERT INTO t SELECT g, 0 FROM generate_series(1, 9) g;
"""
SLEEP = "SELECT pg_sleep(60)"


def sessions_of(database: Database) -> Sessions:
    return Sessions(OnDemand({"main": database}))


async def by_pid(sessions: Sessions) -> dict[int, ServerSession]:
    return {each.pid: each for each in await sessions.list("main")}


@asynccontextmanager
async def connected(
    dsn: str, application: str = "app", **options: str
) -> AsyncIterator[psycopg.AsyncConnection]:
    connection = await psycopg.AsyncConnection.connect(dsn, application_name=application, **options)
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def running(
    connection: psycopg.AsyncConnection, sql: str
) -> AsyncIterator[asyncio.Task[object]]:
    """A statement that runs, or waits, until the context is left."""
    task = asyncio.create_task(connection.execute(sql))
    try:
        yield task
    finally:
        connection.cancel()
        with contextlib.suppress(psycopg.Error):
            await task


async def end(
    sessions: Sessions, seen: ServerSession, how: Ending, *, only_check: bool = False
) -> tuple[ServerSession, bool]:
    assert seen.start_time is not None
    return await sessions.end("main", seen.pid, seen.start_time, how, only_check=only_check)


async def active(sessions: Sessions, pid: int) -> ServerSession:
    """The session, once it runs its statement."""

    async def found() -> ServerSession | None:
        each = (await by_pid(sessions)).get(pid)
        return each if each is not None and each.state == "active" else None

    return await eventually(found)


@pytest.fixture
def dsn(make_database: Callable[..., str]) -> str:
    return make_database(SCHEMA)


async def test_who_runs_what_since_when(open_database: OpenDatabase, dsn: str) -> None:
    sessions = sessions_of(await open_database(dsn))
    async with connected(dsn, "app one") as busy, connected(dsn) as idle, connected(dsn) as open_:
        await idle.execute("SELECT 1")
        await idle.commit()
        await open_.execute("UPDATE t SET n = 1 WHERE id = 1")
        async with running(busy, SLEEP):
            seen = await active(sessions, busy.info.backend_pid)
            every = await by_pid(sessions)
            assert seen.postgres_database == busy.info.dbname
            assert seen.role == busy.info.user
            rests = every[idle.info.backend_pid]
            assert (rests.state, rests.transaction_time, rests.horizon_age) == ("idle", None, 0)
            assert every[open_.info.backend_pid].state == "idle in transaction"
    assert (seen.statement, seen.application, seen.backend_type) == (
        SLEEP,
        "app one",
        "client backend",
    )
    assert (seen.wait_event_type, seen.wait_event) == ("Timeout", "PgSleep")
    assert seen.start_time is not None
    assert seen.statement_time is not None
    assert seen.transaction_time is not None
    assert seen.start_time <= seen.transaction_time <= seen.statement_time
    assert seen.horizon_age > 0
    assert (seen.blocked_by, seen.blocked_count, seen.wait_time) == ([], 0, None)
    starts = [each.start_time for each in every.values() if each.start_time]
    assert starts == sorted(starts)
    assert any(each.backend_type == "checkpointer" for each in every.values())
    assert all(each.application != "dbopsd-on-demand" for each in every.values())


async def test_who_waits_for_whom_and_how_many_behind_them(
    open_database: OpenDatabase, dsn: str
) -> None:
    sessions = sessions_of(await open_database(dsn))
    async with AsyncExitStack() as stack:
        head, middle, last = [await stack.enter_async_context(connected(dsn)) for _ in range(3)]
        await head.execute("UPDATE t SET n = 1 WHERE id = 1")
        await middle.execute("UPDATE t SET n = 1 WHERE id = 2")
        await stack.enter_async_context(running(middle, "UPDATE t SET n = 2 WHERE id = 1"))
        await stack.enter_async_context(running(last, "UPDATE t SET n = 3 WHERE id = 2"))

        async def both_wait() -> dict[int, ServerSession] | None:
            found = await by_pid(sessions)
            pids = (middle.info.backend_pid, last.info.backend_pid)
            return found if all(found[pid].blocked_by for pid in pids) else None

        found = await eventually(both_wait)
        first, second, third = (found[each.info.backend_pid] for each in (head, middle, last))
        assert (first.blocked_by, first.blocked_count) == ([], 2)
        assert (second.blocked_by, second.blocked_count) == ([first.pid], 1)
        assert (third.blocked_by, third.blocked_count) == ([second.pid], 0)
        assert second.wait_event_type == "Lock"
        assert second.wait_time is not None
        # Ending the first one in the tree sets all free.
        assert first.start_time is not None
        _, ended = await end(sessions, first, Ending.TERMINATE)
        assert ended
        await eventually(lambda: middle.info.transaction_status == 2)


async def test_a_forgotten_prepared_transaction_blocks_as_0(
    open_database: OpenDatabase, disposable_server: Callable[..., PostgresServer]
) -> None:
    server = disposable_server({"max_prepared_transactions": 5})
    server.execute("CREATE TABLE t (n int)")
    server.execute("BEGIN; LOCK TABLE t; PREPARE TRANSACTION 'forgotten'")
    sessions = sessions_of(await open_database(server.dsn()))
    async with connected(server.dsn()) as waiting, running(waiting, "SELECT * FROM t"):

        async def blocked() -> ServerSession | None:
            found = (await by_pid(sessions))[waiting.info.backend_pid]
            return found if found.blocked_by else None

        assert (await eventually(blocked)).blocked_by == [0]


async def test_parallel_workers_name_whom_they_work_for(
    open_database: OpenDatabase, make_database: Callable[..., str]
) -> None:
    dsn = make_database("CREATE TABLE big AS SELECT g FROM generate_series(1, 200000) g")
    sessions = sessions_of(await open_database(dsn))
    async with connected(dsn) as leader:
        for setting in (
            "parallel_setup_cost",
            "parallel_tuple_cost",
            "min_parallel_table_scan_size",
        ):
            await leader.execute(f"SET {setting} = 0")
        await leader.execute("SET max_parallel_workers_per_gather = 2")
        await leader.commit()
        async with running(leader, "SELECT count(*) FROM big a JOIN big b ON a.g <> b.g"):

            async def workers() -> list[ServerSession]:
                return [
                    each
                    for each in await sessions.list("main")
                    if each.leader_pid == leader.info.backend_pid
                ]

            found = await eventually(workers)
            assert {each.backend_type for each in found} == {"parallel worker"}


async def test_a_walsender_is_listed(
    replication_pair: ReplicationPair, open_database: OpenDatabase
) -> None:
    sessions = sessions_of(await open_database(replication_pair.primary.dsn()))
    kinds = {each.backend_type for each in await sessions.list("main")}
    assert {"walsender", "walwriter"} <= kinds


async def test_cancel_ends_the_statement_and_leaves_the_session(
    open_database: OpenDatabase, dsn: str
) -> None:
    sessions = sessions_of(await open_database(dsn))
    async with connected(dsn) as connection, running(connection, SLEEP) as task:
        seen = await active(sessions, connection.info.backend_pid)
        assert seen.start_time is not None
        checked, ended = await end(sessions, seen, Ending.CANCEL, only_check=True)
        assert (checked.pid, ended, task.done()) == (seen.pid, False, False)
        was, ended = await end(sessions, seen, Ending.CANCEL)
        assert (was.statement, ended) == (SLEEP, True)
        with pytest.raises(psycopg.errors.QueryCanceled):
            await task
        await connection.rollback()
        assert await (await connection.execute("SELECT 1")).fetchone() == (1,)


async def test_terminate_ends_the_session(open_database: OpenDatabase, dsn: str) -> None:
    sessions = sessions_of(await open_database(dsn))
    async with connected(dsn) as connection:
        await connection.execute("UPDATE t SET n = 5")
        seen = (await by_pid(sessions))[connection.info.backend_pid]
        assert seen.start_time is not None
        _, ended = await end(sessions, seen, Ending.TERMINATE)
        assert ended
        with pytest.raises(psycopg.OperationalError):
            await connection.execute("SELECT 1")
    with pytest.raises(SessionNotFound):
        await end(sessions, seen, Ending.TERMINATE)


@pytest.mark.parametrize("how", list(Ending))
async def test_a_later_session_with_the_same_process_id_is_not_hit(
    open_database: OpenDatabase, dsn: str, how: Ending
) -> None:
    database = await open_database(dsn)
    sessions = sessions_of(database)
    async with connected(dsn) as connection, running(connection, SLEEP) as task:
        seen = await active(sessions, connection.info.backend_pid)
        assert seen.start_time is not None
        for other in (timedelta(microseconds=1), timedelta(seconds=-1)):
            for only_check in (True, False):
                with pytest.raises(SessionNotFound):
                    await sessions.end(
                        "main", seen.pid, seen.start_time + other, how, only_check=only_check
                    )
            # Nor by the statement that sends the signal, had the session changed in between.
            async with OnDemand({"main": database}).session("main", timeout_s=5) as session:
                named = {"pid": seen.pid, "start_time": seen.start_time + other}
                assert await session.fetch_one(how.statement, named) is None
        assert not task.done()


async def test_processes_of_the_server_and_of_dbopsd_are_left_alone(
    open_database: OpenDatabase, dsn: str
) -> None:
    sessions = sessions_of(await open_database(dsn))
    async with connected(dsn, "dbopsd import process") as own:
        found = await by_pid(sessions)
        checkpointer = next(each for each in found.values() if each.backend_type == "checkpointer")
        for each, whose in (
            (checkpointer, "checkpointer"),
            (found[own.info.backend_pid], "dbopsd"),
        ):
            assert each.start_time is not None
            for only_check in (True, False):
                with pytest.raises(SessionProtected, match=whose):
                    await end(sessions, each, Ending.TERMINATE, only_check=only_check)


async def test_what_the_name_of_dbopsd_alone_does_not_protect(
    open_database: OpenDatabase, dsn: str, make_role: Callable[..., dict[str, str]]
) -> None:
    """An application of another role may call itself as it likes."""
    sessions = sessions_of(await open_database(dsn))
    other = make_role()
    async with connected(dsn, "dbopsd", **other) as connection:
        seen = (await by_pid(sessions))[connection.info.backend_pid]
        assert seen.start_time is not None
        _, ended = await end(sessions, seen, Ending.TERMINATE)
        assert ended


async def test_a_superusers_session_is_refused_with_postgresqls_reason(
    open_database: OpenDatabase,
    make_database: Callable[..., str],
    make_role: Callable[..., dict[str, str]],
) -> None:
    dsn = make_database(SCHEMA)
    role = make_role("pg_signal_backend", "pg_read_all_stats")
    sessions = sessions_of(await open_database(psycopg.conninfo.make_conninfo(dsn, **role)))
    async with connected(dsn) as superuser, connected(dsn, **make_role()) as plain:
        found = await by_pid(sessions)
        seen = found[superuser.info.backend_pid]
        assert seen.start_time is not None
        with pytest.raises(SignalDenied, match="superusers alone"):
            await end(sessions, seen, Ending.TERMINATE)
        assert await (await superuser.execute("SELECT 1")).fetchone() == (1,)
        may = found[plain.info.backend_pid]
        assert may.start_time is not None
        _, ended = await end(sessions, may, Ending.TERMINATE)
        assert ended


async def test_a_role_that_may_see_nothing_is_told_what_to_grant(
    open_database: OpenDatabase,
    make_database: Callable[..., str],
    make_role: Callable[..., dict[str, str]],
) -> None:
    dsn = make_database(SCHEMA)
    sessions = sessions_of(await open_database(psycopg.conninfo.make_conninfo(dsn, **make_role())))
    async with connected(dsn, "secret app") as other:
        await other.execute("SELECT 'a secret'")
        seen = (await by_pid(sessions))[other.info.backend_pid]
        assert (seen.start_time, seen.statement, seen.state, seen.backend_type) == (
            None,
            "",
            "",
            "",
        )
        assert seen.role == other.info.user
        with pytest.raises(SessionHidden, match="pg_read_all_stats"):
            await sessions.end("main", seen.pid, datetime.now(UTC), Ending.CANCEL, only_check=False)


async def test_it_works_while_the_pool_is_exhausted_and_asks_two_at_once(
    open_database: OpenDatabase, dsn: str
) -> None:
    database = await open_database(dsn, min_size=1, max_size=1)
    on_demand = OnDemand({"main": database})
    async with database.session(), on_demand.session("main", timeout_s=5):
        assert await Sessions(on_demand).list("main")
        async with on_demand.session("main", timeout_s=5):
            with pytest.raises(TooManyQuestions):
                await Sessions(on_demand).list("main")
    assert await Sessions(on_demand).list("main")


async def test_a_server_that_is_full_says_so_but_to_a_role_for_which_places_are_kept(
    open_database: OpenDatabase, disposable_server: Callable[..., PostgresServer]
) -> None:
    server = disposable_server(
        {"max_connections": 8, "superuser_reserved_connections": 3, "max_wal_senders": 0}
    )
    server.execute("CREATE ROLE app LOGIN PASSWORD 'x'")
    async with AsyncExitStack() as stack:
        with pytest.raises(psycopg.OperationalError, match="connection slots"):
            for _ in range(8):
                await stack.enter_async_context(connected(server.dsn(user="app", password="x")))
        plain = sessions_of(await open_database(server.dsn(user="app", password="x"), min_size=0))
        with pytest.raises(LoginRejected, match="connection slots"):
            await plain.list("main")
        superuser = sessions_of(await open_database(server.dsn(), min_size=0))
        assert len([each for each in await superuser.list("main") if each.role == "app"]) >= 4
