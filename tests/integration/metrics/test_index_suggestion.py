"""Indexes that costly statements lack, without hypopg: no wheel has it, tests/debian does."""

from collections.abc import Callable

import psycopg
import pytest

from dbopsd.db.database import Database
from dbopsd.metrics.advice.adviser import Adviser, Judged
from dbopsd.metrics.advice.finding import Confidence
from dbopsd.metrics.advice.suggestion.suggestion import IndexSuggestion
from dbopsd.metrics.on_demand import OnDemand
from tests.integration.conftest import OpenDatabase
from tests.support.servers import PostgresServer, PostgresServers


@pytest.fixture
def postgres(servers: PostgresServers, postgres_version: int) -> PostgresServer:
    """The server. PostgreSQL 16's wheel has no extensions: 17 stands in for it."""
    return servers.shared(17 if postgres_version == 16 else postgres_version)


def run(dsn: str, *statements: str) -> None:
    """Each by itself, in a session that has ended, and so has sent what it counted."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


SLOW = """
CREATE TABLE public.orders (id int PRIMARY KEY, customer int, state text, note text);
INSERT INTO public.orders
  SELECT g, g % 5000, CASE WHEN g % 2 = 0 THEN 'open' ELSE 'done' END, repeat('x', 100)
  FROM generate_series(1, 60000) g;
ANALYZE public.orders;
"""


async def suggestions(database: Database) -> Judged:
    return await Adviser(OnDemand({"main": database}), (), None, [IndexSuggestion()]).list("main")


async def test_an_index_that_costly_statements_lack_is_suggested_unproved(
    open_database: OpenDatabase, make_database: Callable[..., str]
) -> None:
    dsn = make_database(SLOW)
    database = await open_database(dsn)
    found = await suggestions(database)
    assert [each.reason for each in found.gaps] == ["STATEMENTS_UNAVAILABLE"]
    run(dsn, "CREATE EXTENSION pg_stat_statements")
    found = await suggestions(database)
    assert (found.findings, found.gaps) == ([], [])
    wanted = "SELECT note FROM public.orders WHERE customer = {}"
    # What half of the table passes, or what runs seldom, needs no index.
    half = "SELECT count(note) FROM public.orders WHERE state = 'open'"
    run(dsn, *(wanted.format(n) for n in range(110)), *[half] * 110)
    run(dsn, *["SELECT id FROM public.orders WHERE note = 'seldom'"] * 20)
    found = await suggestions(database)
    assert found.gaps == []
    (one,) = found.findings
    assert one.object == '"public"."orders" ("customer")'
    assert one.confidence is Confidence.LOW
    assert "hypopg" in one.not_known[0]
    run(dsn, *one.sql)
    assert (await suggestions(database)).findings == []


async def test_with_stale_statistics_nothing_is_suggested(
    open_database: OpenDatabase, make_database: Callable[..., str]
) -> None:
    dsn = make_database(SLOW)
    run(dsn, "CREATE EXTENSION pg_stat_statements")
    run(dsn, "ALTER TABLE public.orders SET (autovacuum_enabled = false)")
    run(dsn, "INSERT INTO public.orders SELECT g, g FROM generate_series(60001, 70000) g")
    run(dsn, *(f"SELECT note FROM public.orders WHERE customer = {n}" for n in range(110)))
    found = await suggestions(await open_database(dsn))
    assert found.findings == []
    assert [each.reason for each in found.gaps] == ["STATISTICS_STALE"]
