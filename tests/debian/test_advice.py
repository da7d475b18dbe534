"""Advice that needs what only Debian's PostgreSQL 15 has here: hypopg, and collations of ICU."""

from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest
from pydantic import SecretStr

from dbopsd.config import DatabaseConfig
from dbopsd.db.database import Database
from dbopsd.metrics.advice.adviser import Adviser, Judged
from dbopsd.metrics.advice.finding import Confidence, Severity
from dbopsd.metrics.advice.rule import load_rules
from dbopsd.metrics.advice.suggestion.suggestion import IndexSuggestion
from dbopsd.metrics.on_demand import OnDemand
from tests.support.recording import Recording
from tests.support.servers import PostgresServer, PostgresServers

VERSION = 15
TABLE = """
CREATE EXTENSION pg_stat_statements;
CREATE SCHEMA "hypo thetical";
CREATE EXTENSION hypopg SCHEMA "hypo thetical";
CREATE SCHEMA app;
CREATE TABLE app.orders (id int PRIMARY KEY, customer int, "st ate" text, made date, note text);
INSERT INTO app.orders
  SELECT g, g % 300, CASE WHEN g % 1000 = 0 THEN 'open' ELSE 'done' END,
    '2024-01-01'::date + g % 700, repeat('x', 100)
  FROM generate_series(1, 60000) g;
"""


@pytest.fixture(scope="module")
def old_server(servers: PostgresServers) -> Iterator[PostgresServer]:
    made = servers.disposable(VERSION)
    made.execute(TABLE)
    # In a session that begins after what the other one counted is there.
    made.execute("ANALYZE app.orders")
    # A table that was filled once is not one that is written all the time.
    made.execute("SELECT pg_stat_reset()")
    yield made
    servers.discard(made)


@pytest.fixture
async def database(old_server: PostgresServer) -> AsyncIterator[Database]:
    recording = Recording()
    config = DatabaseConfig.model_validate(
        {"dsn": SecretStr(old_server.dsn()), "pool": {"min_size": 0}}
    )
    made = Database(
        "main", config, tracer=recording.telemetry.tracer, meter=recording.telemetry.meter
    )
    await made.open()
    yield made
    await made.close()
    recording.close()


async def judged(database: Database) -> Judged:
    adviser = Adviser(OnDemand({"main": database}), (), None, [IndexSuggestion()])
    return await adviser.list("main")


async def test_an_index_is_proved_by_its_cost_before_and_after(
    database: Database, old_server: PostgresServer
) -> None:
    with psycopg.connect(old_server.dsn(), autocommit=True) as connection:
        connection.execute("SELECT pg_stat_statements_reset()")
        for number in range(110):
            # Two columns together are worth more than either.
            connection.execute(
                f"SELECT note FROM app.orders WHERE customer = {number} AND made > '2025-11-01'"
            )
            connection.execute(f"SELECT made FROM app.orders WHERE customer = {number}")
            # Nearly all rows: an index would be no gain.
            connection.execute(f"SELECT note, {number} FROM app.orders WHERE \"st ate\" = 'done'")
            connection.execute(f"SELECT count(note) FROM app.orders WHERE id + {number} > 30000")
    found = await judged(database)
    assert found.gaps == []
    suggested = {each.object: each for each in found.findings}
    one = suggested.pop('"app"."orders" ("customer", "made")')
    # What was tried for one statement is no index for the next one.
    assert set(suggested) == {'"app"."orders" ("customer")'}
    assert one.sql == ('CREATE INDEX CONCURRENTLY ON "app"."orders" ("customer", "made")',)
    assert (one.confidence, one.severity) == (Confidence.HIGH, Severity.WARNING)
    values = {each.name: each.value for each in one.evidence}
    assert float(values["cost_after"]) < 0.5 * float(values["cost_before"])
    assert one.not_known == ()
    # Nothing was built, and nothing hypothetical is left.
    ((indexes,),) = old_server.execute(
        "SELECT count(*) FROM pg_index WHERE indrelid = 'app.orders'::regclass"
    )
    assert indexes == 1
    # Of a table that is mostly written it is not sure whether the index pays.
    for _ in range(4):
        old_server.execute("UPDATE app.orders SET note = note WHERE id <= 5000")
    old_server.execute("ANALYZE app.orders")
    unsure = {each.id: each.confidence for each in (await judged(database)).findings}
    assert unsure[one.id] is Confidence.LOW
    old_server.execute(one.sql[0])
    assert (await judged(database)).findings == []


async def test_an_index_of_another_collation_version_is_named(
    database: Database, old_server: PostgresServer
) -> None:
    for statement in (
        'CREATE TABLE public.sorted (a text COLLATE "de-x-icu", id int PRIMARY KEY)',
        "CREATE INDEX by_text ON public.sorted (a)",
    ):
        old_server.execute(statement)
    adviser = Adviser(OnDemand({"main": database}), load_rules(), None)

    async def named() -> dict[str, tuple[str, ...]]:
        found = (await adviser.list("main", ["collation_version"])).findings
        return {each.object: tuple(each.sql) for each in found}

    assert await named() == {}
    # One that no index uses is no harm.
    old_server.execute(
        "UPDATE pg_collation SET collversion = '0' WHERE collname IN ('de-x-icu', 'fr-x-icu')"
    )
    found = await named()
    assert found == {
        'collation pg_catalog."de-x-icu"': (
            "REINDEX INDEX CONCURRENTLY public.by_text",
            'ALTER COLLATION pg_catalog."de-x-icu" REFRESH VERSION',
        )
    }
    for statement in found['collation pg_catalog."de-x-icu"']:
        old_server.execute(statement)
    assert await named() == {}
