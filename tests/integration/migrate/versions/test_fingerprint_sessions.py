"""A fingerprint in whatever session it is taken, beside whatever others do."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import psycopg
import pytest

from dbopsd.db.database import Database
from dbopsd.db.errors import LockTimeout, QueryCanceled
from dbopsd.db.session import Session
from dbopsd.db.statement import Statement
from dbopsd.migrate.versions.fingerprint.fingerprint import take_fingerprint
from tests.support.schema_changes import EVERYTHING
from tests.support.servers import PostgresServer

OpenDatabase = Callable[..., Awaitable[Database]]
SETTINGS = Statement(
    "SELECT current_setting('search_path'), current_setting('DateStyle'), current_setting('jit'),"
    " current_setting('lock_timeout'), current_setting('statement_timeout'), current_user",
    "SELECT settings",
)


@pytest.fixture
async def session(database: Database) -> AsyncIterator[Session]:
    """A session on an empty database."""
    async with database.session() as session:
        yield session


async def execute(session: Session, text: str) -> None:
    await session.execute(Statement(text, "TEST"))


async def test_settings_are_afterwards_as_they_were(session: Session) -> None:
    await execute(session, "CREATE SCHEMA app; SET search_path = app; SET DateStyle = 'German'")
    before = await session.fetch_one(SETTINGS)
    await take_fingerprint(session, ledger_schema="dbops", timeout_s=5)
    assert await session.fetch_one(SETTINGS) == before
    # In a transaction that nobody told the session of.
    await execute(session, "BEGIN; SET LOCAL lock_timeout = '3s'; CREATE TABLE t (a integer)")
    before = await session.fetch_one(SETTINGS)
    taken = await take_fingerprint(session, ledger_schema="dbops", timeout_s=5)
    assert await session.fetch_one(SETTINGS) == before
    await execute(session, "COMMIT")
    assert "app.t" in {each.identity for each in taken.objects}
    assert (await take_fingerprint(session, ledger_schema="dbops")) == taken


async def test_a_transaction_goes_on_after_a_fingerprint_that_failed(
    session: Session, database_dsn: str
) -> None:
    await execute(session, "CREATE TABLE t (a integer); CREATE VIEW v AS SELECT a FROM t")
    with psycopg.connect(database_dsn) as other:
        other.execute("LOCK TABLE t")
        async with session.transaction():
            await execute(session, "CREATE TABLE kept ()")
            with pytest.raises(LockTimeout):
                await take_fingerprint(session, ledger_schema="dbops", lock_timeout_s=0.05)
            with pytest.raises(QueryCanceled):
                await take_fingerprint(session, ledger_schema="dbops", timeout_s=0.05)
        taken = await asyncio.wait_for(session.fetch_one(SETTINGS), 5)
    assert taken is not None
    found = await take_fingerprint(session, ledger_schema="dbops")
    assert "public.kept" in {each.identity for each in found.objects}


async def test_every_role_sees_the_same(
    postgres: PostgresServer,
    make_database: Callable[..., str],
    open_database: OpenDatabase,
    make_role: Callable[..., dict[str, str]],
) -> None:
    dsn = make_database(EVERYTHING)
    taken = []
    for parameters in ({}, make_role()):
        database = await open_database(psycopg.conninfo.make_conninfo(dsn, **parameters))
        async with database.session() as session:
            taken.append(await take_fingerprint(session, ledger_schema="dbops"))
    assert taken[0] == taken[1]
    assert not any("secret" in each.definition for each in taken[0].objects)


async def test_names_of_functions_and_types_that_imitate_the_catalogs_do_not_matter(
    session: Session,
) -> None:
    before = await take_fingerprint(session, ledger_schema="dbops")
    await execute(
        session,
        """
        CREATE SCHEMA evil;
        CREATE FUNCTION evil.quote_ident(text) RETURNS text LANGUAGE sql AS 'SELECT ''x''';
        CREATE FUNCTION evil.not_equal(oid, integer) RETURNS boolean LANGUAGE sql AS 'SELECT true';
        CREATE OPERATOR evil.<> (leftarg = oid, rightarg = integer, function = evil.not_equal);
        CREATE TABLE evil.pg_class (a integer);
        CREATE TEMP TABLE pg_namespace (a integer);
        CREATE TEMP TABLE found (a integer);
        SET search_path = evil, pg_temp, pg_catalog;
        """,
    )
    after = await take_fingerprint(session, ledger_schema="dbops")
    assert {each.identity for each in after.objects} - {
        each.identity for each in before.objects
    } == {
        "evil",
        "evil.quote_ident(text)",
        "evil.not_equal(oid, integer)",
        "evil.<>(oid,integer)",
        "evil.pg_class",
        "evil.pg_class.a",
    }


async def test_a_database_without_an_encoding_may_have_any_bytes(
    postgres: PostgresServer, open_database: OpenDatabase
) -> None:
    name = "test_without_encoding"
    postgres.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'")
    try:
        with psycopg.connect(postgres.dsn(dbname=name), client_encoding="SQL_ASCII") as connection:
            connection.execute('CREATE TABLE "tä" ()'.encode())
            connection.execute(b"COMMENT ON TABLE \"t\xc3\xa4\" IS '\xfc'")
        database = await open_database(postgres.dsn(dbname=name))
        async with database.session() as session:
            taken = await take_fingerprint(session, ledger_schema="dbops")
        await database.close()
    finally:
        postgres.drop_database(name)
    definitions = {each.identity: each.definition for each in taken.objects}
    assert definitions['public."tä"'] == "TABLE"
    assert definitions['table public."tä"'] == r"\xfc"


async def test_definitions_with_the_mark_of_what_was_dropped_are_taken_as_they_are(
    session: Session,
) -> None:
    await execute(session, "CREATE TABLE t (a text DEFAULT '???')")
    taken = await take_fingerprint(session, ledger_schema="dbops")
    [column] = [each for each in taken.objects if each.identity == "public.t.a"]
    assert column.definition == "text DEFAULT '???'::text"


async def test_others_may_make_and_drop_what_they_like_meanwhile(
    session: Session, database_dsn: str
) -> None:
    churn = """
        CREATE TABLE churn (a integer PRIMARY KEY CHECK (a > 0), b text DEFAULT 'x');
        CREATE INDEX churn_b ON churn (lower(b));
        CREATE VIEW churning AS SELECT a FROM churn;
        CREATE FUNCTION churned() RETURNS integer LANGUAGE sql AS 'SELECT 1';
        CREATE TYPE churn_type AS ENUM ('a'); CREATE TABLE typed (a churn_type);
        CREATE STATISTICS churn_statistics ON a, b FROM churn;
    """
    undo = "DROP TABLE churn, typed CASCADE; DROP FUNCTION churned; DROP TYPE churn_type"
    stop = asyncio.Event()

    async def go_on() -> None:
        connection = await psycopg.AsyncConnection.connect(database_dsn, autocommit=True)
        async with connection:
            while not stop.is_set():
                await connection.execute(churn)
                await connection.execute(undo)

    before = await take_fingerprint(session, ledger_schema="dbops")
    others = [asyncio.create_task(go_on())]
    try:
        for _ in range(20):
            await take_fingerprint(session, ledger_schema="dbops")
    finally:
        stop.set()
        await asyncio.gather(*others)
    assert await take_fingerprint(session, ledger_schema="dbops") == before
