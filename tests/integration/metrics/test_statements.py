"""Statements by what they cost, their plans, and what runs now, on real servers."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from dbopsd.db.database import Database
from dbopsd.db.errors import StatementFailed
from dbopsd.errors import InvalidField
from dbopsd.metrics.advice.adviser import Adviser
from dbopsd.metrics.advice.suggestion.suggestion import IndexSuggestion
from dbopsd.metrics.errors import HistoryUnavailable
from dbopsd.metrics.on_demand import OnDemand
from dbopsd.metrics.statements.errors import (
    StatementNotExplainable,
    StatementNotFound,
    StatementsUnavailable,
)
from dbopsd.metrics.statements.plan import Plans
from dbopsd.metrics.statements.planner import caged
from dbopsd.metrics.statements.statements import (
    ServerStatement,
    StatementList,
    Statements,
)
from dbopsd.metrics.statements.window import Order, StatementHistory
from tests.integration.conftest import OpenDatabase
from tests.support.patience import eventually_blocking
from tests.support.replication import ReplicationPair
from tests.support.servers import PostgresServer, PostgresServers

SCHEMA = '"stats ""of"" it"'
PREPARE = f"""
CREATE SCHEMA {SCHEMA};
CREATE EXTENSION pg_stat_statements SCHEMA {SCHEMA};
CREATE SCHEMA app;
CREATE TABLE app.items (id int PRIMARY KEY, name text, made date);
INSERT INTO app.items SELECT g, 'item ' || g, '2024-01-01' FROM generate_series(1, 2000) g;
ANALYZE app.items;
"""


@pytest.fixture
def postgres(servers: PostgresServers, postgres_version: int) -> PostgresServer:
    """The server. PostgreSQL 16's wheel has no extensions: 17 stands in for it."""
    return servers.shared(17 if postgres_version == 16 else postgres_version)


@pytest.fixture
def statements_dsn(make_database: Callable[..., str]) -> str:
    """A database with the extension, in a schema that only a quoted identifier finds.

    The statements of other tests are forgotten, or these would not be among the costliest.
    """
    dsn = make_database(PREPARE)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"SELECT {SCHEMA}.pg_stat_statements_reset()")
    return dsn


@pytest.fixture
def connection(statements_dsn: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(statements_dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
async def database(open_database: OpenDatabase, statements_dsn: str) -> Database:
    return await open_database(statements_dsn)


def asked(database: Database) -> Statements:
    return Statements(OnDemand({"main": database}), None)


async def listed(
    database: Database, order: Order = Order.TOTAL, *, limit: int = 1000, with_texts: bool = True
) -> StatementList:
    return await asked(database).list(
        "main", order, limit=limit, window_s=None, with_texts=with_texts
    )


def of(found: StatementList, database: Database, part: str) -> list[ServerStatement]:
    name = database.dsn.postgres_database
    return [
        each for each in found.statements if each.postgres_database == name and part in each.text
    ]


async def query_id(database: Database, part: str) -> str:
    (statement,) = of(await listed(database), database, part)
    return statement.query_id


async def test_statements_have_their_figures_and_texts(
    database: Database, connection: psycopg.Connection
) -> None:
    for number in range(7):
        connection.execute(f"SELECT name FROM app.items WHERE id = {number}")
    found = await listed(database)
    (statement,) = of(found, database, "SELECT name FROM app.items")
    assert "$1" in statement.text
    assert statement.figures.calls == 7
    assert statement.figures.rows == 6
    assert 0 < statement.figures.total_s < 5
    assert statement.figures.mean_s == pytest.approx(statement.figures.total_s / 7)
    assert statement.max_s <= statement.figures.total_s
    assert 0 < statement.ratio < 1
    assert statement.role == "postgres"
    assert sum(each.ratio for each in found.statements) <= 1.000001
    assert not statement.text_cut


async def test_texts_are_read_only_for_those_who_may_see_them(
    database: Database, connection: psycopg.Connection, postgres: PostgresServer
) -> None:
    connection.execute("SELECT name FROM app.items WHERE id = 1")
    found = await listed(database, with_texts=False)
    assert found.statements
    assert {each.text for each in found.statements} == {""}
    # Not read and thrown away, which would cost ten times as much: never read.
    logged = postgres.statements_logged("dbopsd-on-demand", database=database.dsn.postgres_database)
    assert logged
    assert not [each for each in logged if "pg_stat_statements(true)" in each.text]


@pytest.mark.parametrize("order", Order)
async def test_the_order_is_kept_and_the_limit_is_in_the_sql(
    database: Database, connection: psycopg.Connection, order: Order
) -> None:
    connection.execute("SET work_mem = '64kB'")
    connection.execute("SELECT count(*) FROM (SELECT * FROM app.items ORDER BY name) AS sorted")
    # More than its buffers hold, so that blocks are written whatever the server's own hold.
    connection.execute("SET temp_buffers = '800kB'")
    connection.execute(
        "CREATE TEMPORARY TABLE large AS SELECT repeat('x', 500) FROM generate_series(1, 5000)"
    )
    for _ in range(30):
        connection.execute("SELECT 1")
    found = (await listed(database, order)).statements
    ranks = [each.figures.rank(order) for each in found]
    assert ranks == sorted(ranks, reverse=True)
    assert ranks[0] > 0
    few = (await listed(database, order, limit=2)).statements
    assert len(few) == 2


async def test_a_long_text_is_cut(database: Database, connection: psycopg.Connection) -> None:
    columns = ", ".join(f"{number} AS column_{number}" for number in range(1500))
    connection.execute(f"SELECT {columns}, 'long' AS long_one".encode())
    (statement,) = of(await listed(database), database, "column_10")
    assert statement.text_cut
    assert len(statement.text) == 10_000


async def test_a_text_is_that_of_its_own_database(
    database: Database, connection: psycopg.Connection, postgres: PostgresServer
) -> None:
    # An identifier does not tell the names of columns apart.
    postgres.execute("SELECT 1 AS there")
    connection.execute("SELECT 1 AS here")
    (here,) = of(await listed(database), database, "AS here")
    found = await listed(database)
    assert "AS there" in {
        each.text[-8:] for each in found.statements if each.query_id == here.query_id
    }


async def test_without_the_extension_it_is_said_how_to_get_it(
    open_database: OpenDatabase, database_dsn: str
) -> None:
    database = await open_database(database_dsn)
    with pytest.raises(StatementsUnavailable) as raised:
        await listed(database)
    assert "CREATE EXTENSION pg_stat_statements" in raised.value.message
    assert database.dsn.postgres_database in raised.value.message
    assert "--running" in raised.value.message
    with pytest.raises(StatementsUnavailable):
        await Plans(OnDemand({"main": database})).explain("main", "1")
    assert await asked(database).running("main", limit=0) == []


async def test_an_extension_that_is_not_loaded_is_told_apart(
    open_database: OpenDatabase, servers: PostgresServers, postgres: PostgresServer
) -> None:
    server = servers.disposable(postgres.version, {"shared_preload_libraries": ""})
    server.execute("CREATE EXTENSION pg_stat_statements")
    database = await open_database(server.dsn())
    with pytest.raises(StatementsUnavailable) as raised:
        await listed(database)
    assert "not loaded: add pg_stat_statements to shared_preload_libraries" in raised.value.message
    await database.close()
    servers.discard(server)


async def test_an_extension_that_was_not_updated_after_an_upgrade_still_answers(
    open_database: OpenDatabase, make_database: Callable[..., str], postgres: PostgresServer
) -> None:
    dsn = make_database()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements VERSION '1.10'")
        connection.execute("SELECT 42 AS answer")
    database = await open_database(dsn)
    assert of(await listed(database), database, "AS answer")
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("DROP EXTENSION pg_stat_statements")
        connection.execute("CREATE EXTENSION pg_stat_statements VERSION '1.8'")
    with pytest.raises(StatementsUnavailable, match="ALTER EXTENSION pg_stat_statements UPDATE"):
        await listed(database)


async def test_without_privileges_it_is_said_that_others_are_hidden(
    open_database: OpenDatabase,
    connection: psycopg.Connection,
    statements_dsn: str,
    make_role: Callable[..., dict[str, str]],
) -> None:
    connection.execute("SELECT name FROM app.items WHERE id = 1")
    connection.execute(f"GRANT USAGE ON SCHEMA {SCHEMA} TO PUBLIC")
    role = make_role()
    own = psycopg.conninfo.make_conninfo(statements_dsn, **role)
    database = await open_database(own)
    found = await listed(database)
    assert any("pg_read_all_stats" in note for note in found.not_known)
    assert not of(found, database, "app.items")
    assert "" in {each.query_id for each in found.statements}
    await database.close()


async def test_a_plan_is_had_without_running_the_statement(
    database: Database, connection: psycopg.Connection
) -> None:
    connection.execute("SELECT name FROM app.items WHERE id = 17")
    connection.execute("DELETE FROM app.items WHERE id = 18")
    plans = Plans(OnDemand({"main": database}))
    plan = await plans.explain("main", await query_id(database, "SELECT name FROM app.items"))
    assert "items_pkey" in plan.lines
    assert "$1" in plan.lines
    assert plan.total_cost > 0
    assert '"Plan"' in plan.json
    delete = await plans.explain("main", await query_id(database, "DELETE FROM app.items"))
    assert "Delete on items" in delete.lines
    (row,) = connection.execute("SELECT count(*) FROM app.items").fetchall()
    assert row == (1999,)


async def test_names_are_looked_up_where_the_role_looks_them_up(
    database: Database, connection: psycopg.Connection, make_role: Callable[..., dict[str, str]]
) -> None:
    connection.execute("SET search_path = app")
    connection.execute("SELECT made FROM items WHERE id = 3")
    plans = Plans(OnDemand({"main": database}))
    found = await query_id(database, "SELECT made FROM items")
    with pytest.raises(StatementNotExplainable) as raised:
        await plans.explain("main", found)
    assert "search_path" in raised.value.message
    assert 'relation "items" does not exist' in raised.value.message
    plan = await plans.explain("main", found, ["app"])
    assert "items_pkey" in plan.lines
    assert plan.search_path == '"app"'
    name = connection.info.dbname
    connection.execute(f'ALTER DATABASE "{name}" SET search_path = app, public')
    plan = await plans.explain("main", found)
    assert plan.search_path == "app, public"
    with pytest.raises(InvalidField):
        await plans.explain("main", found, [""])


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("VACUUM app.items", "VACUUM is a utility command"),
        ("/* a comment */ -- and one\n CREATE TABLE app.made AS SELECT 7 AS seven", "CREATE is a"),
        ("SELECT interval '3 days' AS three", "a constant only"),
    ],
)
async def test_what_has_no_plan_is_refused(
    database: Database, connection: psycopg.Connection, statement: str, why: str
) -> None:
    connection.execute(f"{statement}")
    part = {"S": "AS three", "V": "VACUUM app", "/": "app.made"}[statement[0]]
    with pytest.raises(StatementNotExplainable, match=why):
        await Plans(OnDemand({"main": database})).explain("main", await query_id(database, part))
    assert connection.execute("SELECT to_regclass('app.made')").fetchone() == (
        "app.made" if "made" in statement else None,
    )


async def test_a_statement_that_is_not_there_is_not_found(
    database: Database, connection: psycopg.Connection, postgres: PostgresServer
) -> None:
    plans = Plans(OnDemand({"main": database}))
    with pytest.raises(StatementNotFound):
        await plans.explain("main", "12345")
    for wrong in ("", "x", "1; DROP TABLE app.items", "9" * 30):
        with pytest.raises(InvalidField):
            await plans.explain("main", wrong)
    postgres.execute("SELECT 'elsewhere' AS ran_elsewhere")
    found = [each for each in (await listed(database)).statements if "ran_elsewhere" in each.text]
    with pytest.raises(StatementNotFound, match="it ran in 'postgres'"):
        await plans.explain("main", found[0].query_id)


async def test_planning_waits_for_no_lock(
    database: Database, connection: psycopg.Connection, statements_dsn: str
) -> None:
    connection.execute("SELECT name FROM app.items WHERE id = 4")
    found = await query_id(database, "SELECT name FROM app.items")
    with psycopg.connect(statements_dsn) as locking:
        locking.execute("LOCK TABLE app.items IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(Exception, match="lock timeout"):
            await Plans(OnDemand({"main": database})).explain("main", found)


async def test_what_runs_now_has_its_blockers_without_the_extension(
    open_database: OpenDatabase, make_database: Callable[..., str], postgres: PostgresServer
) -> None:
    dsn = make_database("CREATE TABLE t (a int); INSERT INTO t VALUES (1)")
    database = await open_database(dsn)
    with psycopg.connect(dsn) as holder, psycopg.connect(dsn) as waiter:
        holder.execute("UPDATE t SET a = 2")
        waiting = asyncio.get_running_loop().run_in_executor(
            None, waiter.execute, "UPDATE t SET a = 3"
        )
        pid = waiter.info.backend_pid
        eventually_blocking(
            lambda: (
                postgres.execute(
                    f"SELECT 1 FROM pg_stat_activity WHERE pid = {pid} AND wait_event_type = 'Lock'"
                )
                == [(1,)]
            ),
            what="it waits",
        )
        running = await asked(database).running("main", limit=0)
        found = {each.pid: each for each in running}
        assert found[pid].blocked_by == [holder.info.backend_pid]
        assert found[pid].wait_event_type == "Lock"
        assert found[pid].statement == "UPDATE t SET a = 3"
        # Idle in a transaction: it runs nothing, and is what the other waits for.
        assert found[holder.info.backend_pid].blocked_count == 1
        holder.rollback()
        await waiting


async def test_a_window_needs_a_history(database: Database, tmp_path: Path) -> None:
    on_demand = OnDemand({"main": database})
    for history in (None, StatementHistory(tmp_path / "history.db")):
        with pytest.raises(HistoryUnavailable):
            await Statements(on_demand, history).list(
                "main", Order.TOTAL, limit=0, window_s=3600, with_texts=True
            )
    for wrong in (0.0, 59.0, 31 * 86_400.0):
        with pytest.raises(InvalidField):
            await Statements(on_demand, None).list(
                "main", Order.TOTAL, limit=0, window_s=wrong, with_texts=True
            )
    with contextlib.suppress(HistoryUnavailable), pytest.raises(InvalidField):
        await Statements(on_demand, None).list(
            "main", Order.TOTAL, limit=-1, window_s=None, with_texts=True
        )


async def test_a_statement_is_planned_as_the_role_that_ran_it(
    database: Database,
    connection: psycopg.Connection,
    statements_dsn: str,
    make_role: Callable[..., dict[str, str]],
) -> None:
    role = make_role()
    connection.execute(f"GRANT USAGE ON SCHEMA app TO {role['user']}")
    connection.execute(f"GRANT SELECT ON app.items TO {role['user']}")
    # Planning evaluates an IMMUTABLE function: not with the rights of dbopsd's own role.
    connection.execute(
        "CREATE FUNCTION app.spy() RETURNS text LANGUAGE sql IMMUTABLE AS "
        "$$ SELECT current_user::text || current_setting('transaction_read_only') $$"
    )
    with psycopg.connect(psycopg.conninfo.make_conninfo(statements_dsn, **role)) as other:
        other.execute("SELECT name FROM app.items WHERE name = app.spy()")
    plans = Plans(OnDemand({"main": database}))
    plan = await plans.explain("main", await query_id(database, "WHERE name = app.spy()"))
    assert plan.role == role["user"]
    assert f"{role['user']}on" in plan.lines
    connection.execute(f"DROP OWNED BY {role['user']}")


async def test_a_text_takes_no_second_statement(
    database: Database, connection: psycopg.Connection
) -> None:
    # pg_stat_statements has one at a time; what looks like two is refused.
    on_demand = OnDemand({"main": database})
    for generic in (True, False):
        async with on_demand.session("main", timeout_s=5) as session:
            with pytest.raises(StatementFailed, match=r"multi-query|read-only"):
                async with caged(
                    session, role="postgres", search_path="public", generic=generic
                ) as planner:
                    await planner.as_json("SELECT 1; CREATE TABLE public.made (a int)")
    assert connection.execute("SELECT to_regclass('public.made')").fetchone() == (None,)


async def test_a_standby_answers_while_no_host_takes_writes(
    open_database: OpenDatabase, replication_pair: ReplicationPair
) -> None:
    pair = replication_pair
    # PostgreSQL 16's wheel has no extensions: what runs is asked for without them.
    extension = pair.primary.has_contrib
    if extension:
        pair.primary.execute("CREATE EXTENSION pg_stat_statements")
    pair.wait_until_caught_up()
    database = await open_database(pair.dsn(), min_size=0)
    pair.primary.stop()
    assert await asked(database).running("main", limit=0) == []
    if extension:
        pair.standby.execute("SELECT 1 AS on_standby")
        found = (await listed(database)).statements
        (query_id,) = [each.query_id for each in found if "AS on_standby" in each.text]
        # A plan takes a temporary function, which it cannot have.
        with pytest.raises(StatementNotExplainable, match="ask the primary"):
            await Plans(OnDemand({"main": database})).explain("main", query_id)
        advice = Adviser(OnDemand({"main": database}), (), None, [IndexSuggestion()])
        assert [each.reason for each in (await advice.list("main")).gaps] == ["OTHER_ROLE"]
