"""Waits for locks: bounded over all of an attempt, tried again, and who is in the way is named."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

import psycopg
import pytest

from dbopsd.db.database import Database
from dbopsd.db.errors import QueryCanceled, ScriptFailed
from dbopsd.db.session import Session
from dbopsd.db.statement import Statement
from dbopsd.migrate.versions.apply.attempts import LockAttempts, LockLimits, LockNotAcquired
from dbopsd.migrate.versions.apply.blockers import cancel_wait, lock_wait
from dbopsd.migrate.versions.apply.lock_watch import LockWatch
from dbopsd.migrate.versions.apply.statement_progress import statement_progress
from dbopsd.migrate.versions.apply.watcher import Watcher, watcher_of, watching_session
from dbopsd.migrate.versions.model.reports import Blocker
from tests.support.patience import eventually
from tests.support.soak import Soak

TABLES = """
  CREATE TABLE a (id int PRIMARY KEY, v int DEFAULT 0);
  CREATE TABLE b (LIKE a INCLUDING ALL);
  CREATE TABLE c (LIKE a INCLUDING ALL);
  INSERT INTO a VALUES (1), (2);
  INSERT INTO b VALUES (1);
  INSERT INTO c VALUES (1);
"""
ALTER_THREE = "; ".join(f"ALTER TABLE {table} ADD COLUMN w int" for table in "abc")
BACKEND_PID = Statement("SELECT pg_backend_pid()", "SELECT pg_backend_pid")
KILL_WATCHER = Statement(
    """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE application_name = 'dbopsd migrate watch' AND pid <> pg_backend_pid()
    """,
    "SELECT pg_terminate_backend",
)

PATIENT = LockLimits(lock_timeout_ms=20_000, budget_ms=20_000, wait_s=60.0)
"""Nothing ends by these."""

Client = psycopg.AsyncConnection[tuple[object, ...]]
Hold = Callable[[str], Awaitable[Client]]


@dataclass
class Site:
    """A database with the tables a, b and c, and the two sessions of an apply."""

    dsn: str
    working: Session
    watcher: Watcher
    pid: int
    witness: Session
    """For the test itself."""

    def attempts(self, limits: LockLimits) -> LockAttempts:
        return LockAttempts(
            self.watcher, self.pid, limits, database="main", migration="migration 003"
        )

    async def apply(self, attempts: LockAttempts, sql: str, limits: LockLimits) -> None:
        """As a migration: its locks within the watch, its end outside."""
        await self.working.execute(Statement(f"SET lock_timeout = {limits.lock_timeout_ms}", "SET"))

        async def work(watch: LockWatch) -> None:
            async with self.working.transaction(), watch:
                await self.working.execute_script(Statement(sql, "MIGRATION"))

        await attempts.run(work)

    @asynccontextmanager
    async def applying(self, sql: str, limits: LockLimits) -> AsyncIterator[LockAttempts]:
        """`apply` beside the body; its error comes at the end of it."""
        attempts = self.attempts(limits)
        async with asyncio.TaskGroup() as group:
            group.create_task(self.apply(attempts, sql, limits))
            yield attempts

    async def waits(self, *pids: int, at_least_s: float = 0.0) -> None:
        """Until the migration waits for exactly these sessions."""

        async def waiting() -> bool:
            wait = await lock_wait(self.witness, self.pid)
            return (
                wait is not None
                and wait.waited_s >= at_least_s
                and {blocker.pid for blocker in wait.blockers} == set(pids)
            )

        await eventually(waiting, what="the migration waits")


@pytest.fixture
async def site(database: Database, database_dsn: str) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        watcher = await stack.enter_async_context(watcher_of(database))
        other = await stack.enter_async_context(watching_session(database))
        working = await stack.enter_async_context(
            database.dedicated_session(
                "write", application_name="dbopsd migrate", query_timeout_s=None
            )
        )
        await working.execute_script(Statement(TABLES, "TABLES"))
        row = await working.fetch_one(BACKEND_PID)
        assert row is not None
        await watcher.follow(working, int(row[0]))
        yield Site(database_dsn, working, watcher, int(row[0]), other)


@pytest.fixture
async def hold(site: Site) -> AsyncIterator[Hold]:
    """`await hold(sql)` → a client of an application, in a transaction that has done `sql`."""
    async with AsyncExitStack() as stack:

        async def make(sql: str) -> Client:
            client = await psycopg.AsyncConnection.connect(site.dsn, application_name="billing")
            stack.push_async_callback(client.close)
            await client.execute(sql)
            return client

        yield make


def pid_of(client: Client) -> int:
    return client.info.backend_pid


async def columns(site: Site, table: str) -> list[str]:
    query = """
      SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum
    """
    return [
        row[0]
        for row in await site.witness.fetch_all(Statement(query, "SELECT"), (f"public.{table}",))
    ]


async def test_the_budget_is_for_all_locks_of_an_attempt(site: Site, hold: Hold) -> None:
    second, third = await hold("UPDATE b SET v = 1"), await hold("UPDATE c SET v = 1")
    limits = replace(PATIENT, budget_ms=1000, wait_s=1.0)
    with pytest.raises(ExceptionGroup) as failed:
        async with site.applying(ALTER_THREE, limits) as attempts:
            await site.waits(pid_of(second), at_least_s=0.8)
            await second.rollback()
    (error,) = failed.value.exceptions
    assert isinstance(error, LockNotAcquired)
    assert isinstance(error.__cause__, ScriptFailed)
    assert isinstance(error.__cause__.error, QueryCanceled)
    assert attempts.waited_s >= 1.0
    assert [blocker.pid for blocker in attempts.blockers] == [pid_of(third)]
    assert await columns(site, "a") == ["id", "v"]


async def test_who_is_in_the_way_is_named(site: Site, hold: Hold) -> None:
    client = await hold("LOCK TABLE a IN SHARE MODE")
    await client.execute(f"UPDATE b  SET v = 1 WHERE id = 1 /* {'x' * 300} */")
    limits = LockLimits(lock_timeout_ms=100, budget_ms=100, wait_s=0.1)
    attempts = site.attempts(limits)
    with pytest.raises(LockNotAcquired) as failed:
        await site.apply(attempts, "LOCK TABLE a IN SHARE MODE; LOCK TABLE b", limits)
    (blocker,) = attempts.blockers
    assert blocker.age_s is not None
    assert 0 < blocker.age_s < 60
    assert blocker == Blocker(
        pid=pid_of(client),
        application="billing",
        user="postgres",
        state="idle in transaction",
        age_s=blocker.age_s,
        query=f"UPDATE b SET v = 1 WHERE id = 1 /* {'x' * 165}",
        relation="public.b",
        mode="RowExclusiveLock",
    )
    assert failed.value.blockers == attempts.blockers
    pid = str(blocker.pid)
    assert {"pid": pid, "application": "billing", "attempts": "1"}.items() <= (
        failed.value.metadata.items()
    )
    assert failed.value.message.endswith(
        f"; let it finish, or end it: `dbops sessions terminate main {pid}`"
    )


async def test_it_is_tried_again_until_the_way_is_free(site: Site, hold: Hold) -> None:
    client = await hold("UPDATE b SET v = 1")
    limits = LockLimits(lock_timeout_ms=50, budget_ms=50, wait_s=60.0)
    async with site.applying(ALTER_THREE, limits) as attempts:
        await eventually(lambda: attempts.waited_s, what="the first attempt has failed")
        await client.rollback()
    assert attempts.count >= 2
    assert attempts.waited_s > 0.3
    for table in "abc":
        assert await columns(site, table) == ["id", "v", "w"]


async def test_only_what_stops_writers_counts(site: Site, hold: Hold) -> None:
    """Waiting for a row stops nobody, and a new table has no writers yet."""
    client = await hold("UPDATE a SET v = 1 WHERE id = 1")
    limits = replace(PATIENT, budget_ms=100)
    migration = "CREATE TABLE d (id int); UPDATE a SET v = v + 1"
    async with site.applying(migration, limits) as attempts:
        await site.waits(pid_of(client), at_least_s=0.3)
        wait = await lock_wait(site.witness, site.pid)
        assert wait is not None
        assert not wait.stalls_writers
        # The table of the row, and what its holder has of it.
        assert [(each.relation, each.mode) for each in wait.blockers] == [
            ("public.a", "RowExclusiveLock")
        ]
        await client.rollback()
    assert attempts.count == 1
    assert attempts.waited_s >= 0.3


async def test_rows_of_another_table_that_it_has_changed_have_writers_too(
    site: Site, hold: Hold
) -> None:
    client = await hold("UPDATE b SET v = 1")
    limits = replace(PATIENT, budget_ms=100)
    async with site.applying("UPDATE a SET v = 1; UPDATE b SET v = 2", limits) as attempts:
        await eventually(lambda: attempts.count > 1, what="its wait is cancelled by the budget")
        await client.rollback()
    assert [each.relation for each in attempts.blockers] == ["public.b"]


async def test_a_cancel_by_somebody_else_is_no_lack_of_locks(site: Site, hold: Hold) -> None:
    client = await hold("UPDATE a SET v = 1")
    with pytest.raises(ExceptionGroup) as failed:
        async with site.applying(ALTER_THREE, PATIENT) as attempts:
            await site.waits(pid_of(client))
            cancel = Statement("SELECT pg_cancel_backend(%s)", "SELECT pg_cancel_backend")
            await site.witness.fetch_all(cancel, (site.pid,))
    (error,) = failed.value.exceptions
    assert isinstance(error, ScriptFailed)
    assert isinstance(error.error, QueryCanceled)
    assert attempts.count == 1


async def test_a_deadlock_is_tried_again(site: Site, hold: Hold) -> None:
    # A session looks once a wait: the migration, after its client has begun to wait for it.
    await site.working.execute(Statement("SET deadlock_timeout = '1500ms'", "SET"))
    client = await hold("SET deadlock_timeout = '60s'; UPDATE b SET v = 1")
    async with site.applying(ALTER_THREE, PATIENT) as attempts:
        await site.waits(pid_of(client))
        await client.execute("UPDATE a SET v = 1")
        await client.commit()
    assert attempts.count == 2


async def test_only_the_wait_that_was_seen_is_cancelled(site: Site, hold: Hold) -> None:
    first, second = await hold("UPDATE a SET v = 1"), await hold("UPDATE b SET v = 1")
    async with site.applying(ALTER_THREE, PATIENT):
        await site.waits(pid_of(first))
        seen = await lock_wait(site.witness, site.pid)
        assert seen is not None
        await first.rollback()
        await site.waits(pid_of(second))
        assert not await cancel_wait(site.witness, site.pid, seen.started)
        await second.rollback()


async def test_nothing_is_cancelled_outside_the_watch(site: Site, hold: Hold, soak: Soak) -> None:
    """Locks come free just when the budget ends; whichever wins, what follows is not hit."""
    numbers = soak.random()
    budget_s = 0.04
    moments = [0.0, 2.0, *(numbers.uniform(0.03, 0.07) for _ in range(soak.scale(10, 1000)))]
    ended: set[bool] = set()
    for moment_s in moments:
        client = await hold("UPDATE a SET v = 1")
        watch = LockWatch(site.watcher, site.pid, budget_s)
        release = asyncio.get_running_loop().call_later(moment_s, client.pgconn.finish)
        failure: ScriptFailed | None = None
        try:
            async with site.working.transaction():
                async with watch:
                    await site.working.execute_script(Statement("LOCK TABLE a", "MIGRATION"))
                for _ in range(3):
                    await site.working.fetch_one(BACKEND_PID)
        except ScriptFailed as exc:
            failure = exc
        release.cancel()
        await client.close()
        if failure is not None:
            assert watch.over_budget
            assert isinstance(failure.error, QueryCanceled)
        ended.add(failure is None)
    assert ended == {True, False}


async def test_without_writers_behind_it_only_the_whole_wait_is_limited(
    site: Site, hold: Hold
) -> None:
    """CREATE INDEX CONCURRENTLY waits for old snapshots, whatever tables they have read."""
    client = await hold("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM b")
    limits = LockLimits(lock_timeout_ms=50, budget_ms=50, wait_s=1.5).concurrently
    told: list[tuple[float, tuple[Blocker, ...]]] = []
    attempts = LockAttempts(
        site.watcher,
        site.pid,
        limits,
        database="main",
        migration="migration 003",
        on_wait=lambda _attempt, waited_s, blockers: told.append((waited_s, blockers)),
    )

    async def work(watch: LockWatch) -> None:
        async with watch:
            await site.working.execute(Statement("CREATE INDEX CONCURRENTLY i ON a (v)", "CREATE"))

    with pytest.raises(LockNotAcquired) as failed:
        await attempts.run(work)
    assert attempts.count == 1
    assert attempts.waited_s >= 1.5
    (blocker,) = failed.value.blockers
    assert (blocker.pid, blocker.application) == (pid_of(client), "billing")
    assert told
    # While it goes on, and when it is over.
    assert len(told) >= 2
    assert [each.pid for each in told[0][1]] == [blocker.pid]


async def test_the_budget_holds_although_the_watcher_is_lost(site: Site, hold: Hold) -> None:
    first, second = await hold("UPDATE a SET v = 1"), await hold("UPDATE b SET v = 1")
    limits = LockLimits(lock_timeout_ms=60_000, budget_ms=400, wait_s=60.0)
    async with site.applying(ALTER_THREE, limits) as attempts:
        await site.waits(pid_of(first))
        await site.witness.fetch_all(KILL_WATCHER)
        await first.rollback()
        await eventually(lambda: attempts.count > 1, what="its wait is cancelled by the budget")
        await second.rollback()
    assert attempts.blockers
    for table in "abc":
        assert await columns(site, table) == ["id", "v", "w"]


async def test_a_watcher_that_was_lost_while_idle_is_opened_anew(site: Site, hold: Hold) -> None:
    await site.witness.fetch_all(KILL_WATCHER)
    lost = site.watcher.session
    await eventually(lambda: lost.has_news, what="the end of the watcher is known here")
    client = await hold("UPDATE a SET v = 1")
    limits = LockLimits(lock_timeout_ms=60_000, budget_ms=50, wait_s=60.0)
    async with site.applying(ALTER_THREE, limits) as attempts:
        await eventually(lambda: attempts.count > 1, what="its wait is cancelled by the budget")
        await client.rollback()
    assert site.watcher.session is not lost


async def test_what_the_server_tells_of_a_statement(site: Site, hold: Hold) -> None:
    assert await statement_progress(site.witness, site.pid) is None
    client = await hold("UPDATE a SET v = 1")
    build = site.working.execute(Statement("CREATE INDEX CONCURRENTLY i ON a (v)", "CREATE"))
    task = asyncio.create_task(build)

    async def phase() -> str:
        return str(await statement_progress(site.witness, site.pid))

    waiting = "CREATE INDEX CONCURRENTLY: waiting for writers before build, 0 %"

    async def is_waiting() -> bool:
        return await phase() == waiting

    await eventually(is_waiting, what="the server tells of the build")
    await client.rollback()
    await task
