"""A tool's history is known by its columns, not by its name."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from dbopsd.db.database import Database
from dbopsd.db.session import Session
from dbopsd.db.statement import Statement
from dbopsd.migrate.versions.adopt.detect import find_history, histories
from dbopsd.migrate.versions.adopt.errors import HistoryNotFound
from dbopsd.migrate.versions.adopt.registry import ADOPTABLE
from dbopsd.migrate.versions.model.requests import Tool

GOLANG_MIGRATE = "schema_migrations (version bigint NOT NULL PRIMARY KEY, dirty boolean NOT NULL)"
DBMATE = "schema_migrations (version character varying(255) PRIMARY KEY)"
OWN = "schema_migrations (version text PRIMARY KEY, applied_at timestamptz NOT NULL)"
ECTO = "schema_migrations (version bigint PRIMARY KEY, inserted_at timestamp(0))"
AR_METADATA = "ar_internal_metadata (key character varying PRIMARY KEY, value character varying)"
ALEMBIC = "alembic_version (version_num character varying(32) NOT NULL PRIMARY KEY)"


@asynccontextmanager
async def tables_in(database: Database, *tables: str) -> AsyncIterator[Session]:
    """A session in whose transaction these tables are there."""
    async with database.session() as session, session.trial():
        await session.execute(Statement("CREATE SCHEMA app", "CREATE SCHEMA"))
        for table in tables:
            await session.execute(Statement(f"CREATE TABLE {table}", "CREATE TABLE"))
        yield session


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        ([GOLANG_MIGRATE], ("golang-migrate", "public.schema_migrations", True)),
        ([DBMATE], ("dbmate", "public.schema_migrations", True)),
        ([DBMATE, AR_METADATA], ("Rails", "public.schema_migrations", True)),
        ([f"app.{DBMATE}", AR_METADATA], ("dbmate", "app.schema_migrations", True)),
        ([ECTO], ("Ecto", "public.schema_migrations", False)),
        ([f"app.{ALEMBIC}"], ("Alembic", "app.alembic_version", False)),
        ([OWN], None),
    ],
)
async def test_a_history_is_known_by_its_columns_and_by_what_is_beside_it(
    database: Database, tables: list[str], expected: tuple[str, str, bool] | None
) -> None:
    async with tables_in(database, *tables) as session:
        found = await histories(session)
    assert [(each.tool_name, each.table, each.adoptable) for each in found] == (
        [expected] if expected else []
    )


@pytest.mark.parametrize("type_", ["app.state", "text"])
async def test_a_table_with_a_type_that_somebody_made_is_no_history(
    database: Database, type_: str
) -> None:
    # A cast of theirs would run a function of theirs.
    columns = f"id int, hash varchar, created_at bigint, name {type_}"
    async with tables_in(database) as session:
        for statement in (
            "CREATE TYPE app.state AS ENUM ('a')",
            "CREATE TYPE app.text AS ENUM ('a')",
            "SET LOCAL search_path = app, pg_catalog",
            f"CREATE TABLE __drizzle_migrations ({columns})",
        ):
            await session.execute(Statement(statement, "CREATE"))
        assert await histories(session) == ()
        with pytest.raises(HistoryNotFound, match="no tool that is known here"):
            await find_history(session, "main", ADOPTABLE[Tool.DRIZZLE], "app.__drizzle_migrations")


@pytest.mark.parametrize(
    ("tables", "tool", "instead"),
    [
        ([], Tool.GOOSE, "there is no such table"),
        (
            [OWN],
            Tool.DBMATE,
            "public.schema_migrations (version, applied_at) is that of no tool that is known here",
        ),
        ([DBMATE], Tool.GOLANG_MIGRATE, "looks like that of dbmate"),
        ([GOLANG_MIGRATE], Tool.DBMATE, "looks like that of golang-migrate"),
        ([DBMATE, AR_METADATA], Tool.DBMATE, "looks like that of Rails"),
        ([DBMATE], Tool.RAILS, "looks like that of dbmate"),
        (
            [f"app.{DBMATE}"],
            Tool.DBMATE,
            "app.schema_migrations looks like one: name it with --table",
        ),
    ],
)
async def test_what_is_there_instead_of_a_history_is_said(
    database: Database, tables: list[str], tool: Tool, instead: str
) -> None:
    async with tables_in(database, *tables) as session:
        with pytest.raises(HistoryNotFound) as caught:
            await find_history(session, "main", ADOPTABLE[tool])
    assert instead in str(caught.value)
    assert f"public.{ADOPTABLE[tool].table.names[0]}" in caught.value.looked


async def test_a_table_that_is_named_may_be_anywhere(database: Database) -> None:
    renamed = DBMATE.replace("schema_migrations", '"My Migrations"')
    async with tables_in(database, f"app.{renamed}", GOLANG_MIGRATE) as session:
        dbmate = ADOPTABLE[Tool.DBMATE]
        place = await find_history(session, "main", dbmate, "app.My Migrations")
        assert (place.schema, place.name) == ("app", "My Migrations")
        with pytest.raises(HistoryNotFound, match="looks like that of golang-migrate"):
            await find_history(session, "main", dbmate, "public.schema_migrations")


async def test_the_current_schema_is_looked_in_first(database: Database) -> None:
    async with tables_in(database, DBMATE, f"app.{DBMATE}") as session:
        await session.execute(Statement("SET LOCAL search_path = app, public", "SET search_path"))
        place = await find_history(session, "main", ADOPTABLE[Tool.DBMATE])
    assert str(place) == "app.schema_migrations"
