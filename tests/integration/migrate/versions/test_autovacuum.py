"""Workers of autovacuum in the way of a migration give way, where the role may see to it."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from dbopsd.db.database import Database
from dbopsd.db.statement import Statement
from dbopsd.migrate.versions.apply.attempts import LockAttempts, LockLimits, LockNotAcquired
from dbopsd.migrate.versions.apply.autovacuum import settings_against_autovacuum
from dbopsd.migrate.versions.apply.lock_watch import LockWatch
from dbopsd.migrate.versions.apply.watcher import watcher_of
from tests.integration.conftest import OpenDatabase
from tests.support.patience import eventually
from tests.support.servers import PostgresServer, PostgresServers

# Far below `deadlock_timeout`: the server does not end the worker for anybody by itself.
LIMITS = LockLimits(lock_timeout_ms=500, budget_ms=500, wait_s=0.5)
ALTER = Statement("ALTER TABLE busy ADD COLUMN w int", "ALTER TABLE busy")
BACKEND_PID = Statement("SELECT pg_backend_pid()", "SELECT pg_backend_pid")
WORKERS = """
  SELECT query FROM pg_stat_activity
  WHERE
    backend_type = 'autovacuum worker' AND query LIKE '%public.busy%'
    AND datname = current_database()
"""
# Of `autovacuum_freeze_max_age`, 100,000 is the least.
USE_TRANSACTION_IDS = """
  CREATE TABLE used ();
  DO $$ BEGIN
    FOR i IN 1..100100 LOOP
      BEGIN
        INSERT INTO used DEFAULT VALUES;
      EXCEPTION WHEN division_by_zero THEN
        RAISE;
      END;
    END LOOP;
  END $$;
"""
# It sleeps at every page.
SLOW = (
    "autovacuum_vacuum_threshold = 1",
    "autovacuum_vacuum_cost_delay = 100",
    "autovacuum_vacuum_cost_limit = 1",
)


@pytest.fixture(scope="module")
def server(servers: PostgresServers, postgres_version: int) -> Iterator[PostgresServer]:
    server = servers.disposable(postgres_version, {"autovacuum_naptime": "1s"})
    server.execute("CREATE ROLE app LOGIN PASSWORD 'app'")
    yield server
    servers.discard(server)


@pytest.fixture
def dsn(server: PostgresServer) -> str:
    """A database of the test's own, in which the role `app` may create tables, and no more."""
    name = server.create_database()
    server.execute("GRANT ALL ON SCHEMA public TO PUBLIC", name)
    return server.dsn(dbname=name)


def as_app(dsn: str) -> str:
    return make_conninfo(dsn, user="app", password="app")


async def keep_busy(dsn: str, *options: str, then: str = "") -> str:
    """Have autovacuum work on the table `busy` of the role `app`; what it says that it does."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await connection.execute(f"""
          CREATE TABLE busy WITH ({", ".join((*SLOW, *options))}) AS
            SELECT g AS id, repeat('x', 500) AS filler FROM generate_series(1, 3000) AS g;
          ALTER TABLE busy OWNER TO app;
          DELETE FROM busy WHERE id % 2 = 0;
        """)
        await connection.execute(then)

        async def at_work() -> str | None:
            row = await (await connection.execute(WORKERS)).fetchone()
            return None if row is None else str(row[0])

        return await eventually(at_work, what="autovacuum is at work")


async def alter(database: Database, *, by_server: bool = True) -> LockAttempts:
    """Alter the table with a single attempt, which it returns. Raises `LockNotAcquired`.

    `by_server`: where the role may have the server itself end the worker, it does.
    """
    async with watcher_of(database) as watcher:
        settings = await settings_against_autovacuum(watcher.session) if by_server else {}
        settings["lock_timeout"] = f"{LIMITS.lock_timeout_ms}ms"
        async with database.dedicated_session(
            "write", application_name="dbopsd migrate", query_timeout_s=None, settings=settings
        ) as working:
            row = await working.fetch_one(BACKEND_PID)
            assert row is not None
            await watcher.follow(working, int(row[0]))
            attempts = LockAttempts(
                watcher, int(row[0]), LIMITS, database="main", migration="migration 003"
            )

            async def work(watch: LockWatch) -> None:
                async with watch:
                    await working.execute(ALTER)

            await attempts.run(work)
            return attempts


async def test_a_superuser_cancels_it(dsn: str, open_database: OpenDatabase) -> None:
    await keep_busy(dsn)
    attempts = await alter(await open_database(dsn), by_server=False)
    assert attempts.autovacuums_cancelled > 0


async def test_another_role_names_it_until_it_gets_a_privilege(
    server: PostgresServer, dsn: str, open_database: OpenDatabase
) -> None:
    await keep_busy(dsn)
    database = await open_database(as_app(dsn))
    with pytest.raises(LockNotAcquired) as failed:
        await alter(database)
    (blocker,) = failed.value.blockers
    assert (blocker.state, blocker.user, blocker.query) == ("autovacuum", "", "")
    assert (blocker.relation, blocker.mode) == ("public.busy", "ShareUpdateExclusiveLock")
    assert f"in the way: autovacuum, pid {blocker.pid} (" in failed.value.message
    assert failed.value.message.endswith("; let it finish, and apply again")

    if server.version >= 18:
        server.execute("GRANT pg_signal_autovacuum_worker TO app")
        assert (await alter(database)).autovacuums_cancelled > 0
    else:
        server.execute("GRANT SET ON PARAMETER deadlock_timeout TO app")
        assert (await alter(database)).autovacuums_cancelled == 0
        server.execute("REVOKE SET ON PARAMETER deadlock_timeout FROM app")


async def test_against_wraparound_it_goes_on(dsn: str, open_database: OpenDatabase) -> None:
    doing = await keep_busy(
        dsn,
        "autovacuum_enabled = false",
        "autovacuum_freeze_max_age = 100000",
        then=USE_TRANSACTION_IDS,
    )
    assert doing.endswith("(to prevent wraparound)")
    with pytest.raises(LockNotAcquired) as failed:
        await alter(await open_database(dsn))
    assert [each.query for each in failed.value.blockers] == [doing]
