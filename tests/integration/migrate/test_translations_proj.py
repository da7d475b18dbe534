"""All CHECKs and views of a real database, PROJ's, in both SQLite and PostgreSQL."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pyproj
import pytest
from psycopg import sql

from dbopsd.migrate.importer.inspect.inspect_schema import inspect_schema
from dbopsd.migrate.importer.model.plan import PlannedColumn, PlannedTable
from dbopsd.migrate.importer.model.source_schema import SourceSchema, SourceTable
from dbopsd.migrate.importer.translate.translator import (
    Relation,
    Translator,
    columns_of,
    translate_view,
)
from tests.support.servers import PostgresServer

PROJ = Path(pyproj.__file__).parent / "proj_dir" / "share" / "proj" / "proj.db"
TYPES = {
    "BOOLEAN": "boolean",
    "FLOAT": "double precision",
    "SMALLINT": "smallint",
    "INTEGER": "bigint",
    "INTEGER_OR_TEXT": "text",
}


@dataclass(frozen=True)
class Loaded:
    """The database in both."""

    sqlite: sqlite3.Connection
    postgres: psycopg.Connection[Any]
    schema: SourceSchema


@pytest.fixture(scope="module")
def proj(postgres: PostgresServer) -> Iterator[Loaded]:
    name = postgres.create_database()
    with (
        closing(sqlite3.connect(f"file:{PROJ}?immutable=1", uri=True)) as source,
        psycopg.connect(postgres.dsn(dbname=name), autocommit=True) as target,
    ):
        schema = inspect_schema(source)
        for table in schema.tables:
            load(source, target, table)
        yield Loaded(source, target, schema)
    postgres.drop_database(name)


def load(source: sqlite3.Connection, target: psycopg.Connection[Any], table: SourceTable) -> None:
    made = planned(table)
    definitions = [
        sql.SQL("{} {}").format(sql.Identifier(each.target), sql.SQL(each.type))
        for each in made.columns
    ]
    name = sql.Identifier(table.name)
    create = sql.SQL("CREATE TABLE {} ({})").format(name, sql.SQL(", ").join(definitions))
    target.execute(create)
    with target.cursor().copy(sql.SQL("COPY {} FROM STDIN").format(name)) as copy:
        for row in source.execute(f'SELECT * FROM "{table.name}"'):
            copy.write_row(row)


def planned(table: SourceTable) -> PlannedTable:
    columns = [
        PlannedColumn(
            each.name,
            each.name,
            TYPES.get(each.declared_type, "text"),
            conversion="",
            evidence="",
            storage_class="" if each.declared_type == "INTEGER_OR_TEXT" else "text",
        )
        for each in table.columns
    ]
    return PlannedTable(table.name, table.name, tuple(columns))


def test_every_check_is_translated_and_holds(proj: Loaded) -> None:
    count = 0
    for table in proj.schema.tables:
        translator = Translator.of(table, planned(table))
        for check in table.checks:
            condition = translator.condition(check.expression)
            proj.postgres.execute(f'ALTER TABLE "{table.name}" ADD CHECK ({condition})')
            count += 1
    assert count == 161


def test_every_view_is_translated_and_shows_the_same(proj: Loaded) -> None:
    relations = {
        table.name: Relation(f'"{table.name}"', columns_of(table, planned(table)))
        for table in proj.schema.tables
    }
    for view in proj.schema.views:
        made = translate_view(view.sql, relations, view.columns)
        assert tuple(made.columns) == view.columns
        proj.postgres.execute(f'CREATE VIEW "{view.name}" AS {made.sql}')
        relations[view.name] = Relation(f'"{view.name}"', made.columns)
        rows = f'SELECT * FROM "{view.name}"'
        expected = Counter(map(comparable, proj.sqlite.execute(rows)))
        assert Counter(map(comparable, proj.postgres.execute(rows))) == expected
        assert expected
    assert len(proj.schema.views) == 7


def comparable(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Numbers of columns with texts too are texts in PostgreSQL; True is 1."""
    return tuple(str(int(value)) if isinstance(value, bool | int) else value for value in row)
