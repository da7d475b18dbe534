"""Planning runs functions that others wrote: they get no right that they did not have."""

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from dbopsd.metrics.advice.adviser import Adviser
from dbopsd.metrics.advice.suggestion.suggestion import IndexSuggestion
from dbopsd.metrics.on_demand import OnDemand
from dbopsd.metrics.statements.errors import StatementNotExplainable
from dbopsd.metrics.statements.plan import Plans
from tests.integration.conftest import OpenDatabase
from tests.support.scratch import new_directory
from tests.support.servers import PostgresServer, PostgresServers

# Each way out of a role, and then what only a superuser may.
HOSTILE = """
CREATE FUNCTION mallory.do_it() RETURNS int LANGUAGE plpgsql VOLATILE AS $f$
BEGIN
  BEGIN PERFORM set_config('role', 'none', true); EXCEPTION WHEN OTHERS THEN END;
  BEGIN RESET ROLE; EXCEPTION WHEN OTHERS THEN END;
  BEGIN RESET SESSION AUTHORIZATION; EXCEPTION WHEN OTHERS THEN END;
  BEGIN SET TRANSACTION READ WRITE; EXCEPTION WHEN OTHERS THEN END;
  BEGIN
    EXECUTE format('COPY (SELECT current_user) TO %L', '{file}');
  EXCEPTION WHEN OTHERS THEN END;
  BEGIN INSERT INTO mallory.seen VALUES (current_user); EXCEPTION WHEN OTHERS THEN END;
  RETURN 1;
END $f$;
CREATE FUNCTION mallory.f() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT mallory.do_it()';
ALTER FUNCTION mallory.f() COST 1;
"""


@pytest.fixture
def postgres(servers: PostgresServers, postgres_version: int) -> PostgresServer:
    """The server. PostgreSQL 16's wheel has no extensions: 17 stands in for it."""
    return servers.shared(17 if postgres_version == 16 else postgres_version)


@pytest.fixture
def evidence() -> Iterator[Path]:
    """A file that the server's account could write."""
    directory = new_directory("planner-")
    directory.chmod(0o777)
    yield directory / "evidence"
    for path in directory.iterdir():
        path.unlink()
    directory.rmdir()


@pytest.fixture
def mallory(
    make_role: Callable[..., dict[str, str]], make_database: Callable[..., str], evidence: Path
) -> tuple[str, dict[str, str]]:
    """The DSN of a database in which a role of few rights has run a function of its own."""
    role = make_role()
    dsn = make_database("CREATE EXTENSION pg_stat_statements")
    with psycopg.connect(dsn, autocommit=True) as connection:
        name = sql.Identifier(role["user"])
        connection.execute(sql.SQL("CREATE SCHEMA mallory AUTHORIZATION {}").format(name))
    with psycopg.connect(dsn, autocommit=True, **role) as connection:  # type: ignore[arg-type]
        connection.execute("CREATE TABLE mallory.seen (who text)")
        connection.execute(HOSTILE.format(file=evidence))
        for _ in range(120):
            connection.execute("SELECT mallory.f() AS hostile")
        connection.execute("TRUNCATE mallory.seen")
    return dsn, role


def query_id_of(dsn: str) -> str:
    with psycopg.connect(dsn) as connection:
        (row,) = connection.execute(
            "SELECT queryid::text FROM pg_stat_statements WHERE query LIKE '%AS hostile'"
            " AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())"
        ).fetchall()
    return str(row[0])


async def test_a_hostile_function_stays_what_it_was(
    mallory: tuple[str, dict[str, str]], open_database: OpenDatabase, evidence: Path
) -> None:
    dsn, role = mallory
    on_demand = OnDemand({"main": await open_database(dsn)})
    plan = await Plans(on_demand).explain("main", query_id_of(dsn))
    assert plan.role == role["user"]
    assert "Result" in plan.lines
    # Advice plans the costliest statements unasked.
    judged = await Adviser(on_demand, (), None, (IndexSuggestion(),)).list("main")
    assert judged.gaps == []
    assert not evidence.exists()
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT * FROM mallory.seen").fetchall() == []
        assert (
            connection.execute("SELECT * FROM pg_proc WHERE proname = 'dbopsd_plan'").fetchall()
            == []
        )


async def test_it_could_have_been_worse(
    mallory: tuple[str, dict[str, str]], evidence: Path
) -> None:
    """What a superuser's EXPLAIN without the cage does: the function is really run."""
    dsn, role = mallory
    with psycopg.connect(dsn) as connection:
        connection.execute("BEGIN READ ONLY")
        connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role["user"])))
        connection.execute("EXPLAIN SELECT mallory.f()")
    assert evidence.exists()


async def test_without_the_role_it_is_not_planned(
    mallory: tuple[str, dict[str, str]],
    open_database: OpenDatabase,
    make_role: Callable[..., dict[str, str]],
    evidence: Path,
) -> None:
    dsn, role = mallory
    watching = make_role("pg_monitor", "pg_read_all_data")
    database = await open_database(psycopg.conninfo.make_conninfo(dsn, passfile="", **watching))
    with pytest.raises(StatementNotExplainable) as raised:
        await Plans(OnDemand({"main": database})).explain("main", query_id_of(dsn))
    assert f"cannot become {role['user']}" in raised.value.message
    assert "GRANT" in raised.value.message
    await database.close()
