"""Imports that are staged by hand: two tables, a view, keys and indexes, in few rows."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from dbopsd.db.session import Session
from dbopsd.migrate.importer.build import staging_tables
from dbopsd.migrate.importer.model.plan import (
    Fate,
    Plan,
    PlannedColumn,
    PlannedObject,
    PlannedTable,
)
from dbopsd.migrate.importer.model.requests import ImportRequest
from dbopsd.migrate.importer.postgres.table_guards import LockOrder
from dbopsd.migrate.importer.publish.swap import Swap
from dbopsd.migrate.importer.records import import_records
from dbopsd.migrate.importer.records.import_records import ImportRecord, RecordState

RELATIONS = ("orders", "user_orders", "users")


def column(name: str, type_name: str, *, not_null: bool = False) -> PlannedColumn:
    """A column that is called the same on both sides."""
    conversion = {"bigint": "integer"}.get(type_name, type_name)
    return PlannedColumn(name, name, type_name, conversion, "declared", not_null=not_null)


def table(name: str, *columns: PlannedColumn, rows: int = 2) -> PlannedTable:
    """A table with the key `id`, which counts by itself."""
    return PlannedTable(
        name, name, columns, rows=rows, key=("id",), rowid_column="id", identity="id", last_number=2
    )


USERS = table("users", column("id", "bigint", not_null=True), column("email", "text"))
ORDERS = table(
    *("orders", column("id", "bigint", not_null=True)),
    *(column("user_id", "bigint"), column("note", "text")),
)
_VIEW = "SELECT email, note FROM users JOIN orders ON user_id = users.id"
PLAN = Plan(
    (USERS, ORDERS),
    (
        PlannedObject(
            *("view", "user_orders", Fate.CARRIED),
            ddl=f"CREATE VIEW user_orders AS {_VIEW}",
            target="user_orders",
        ),
    ),
)

_FILL = """
INSERT INTO users VALUES (1, '{who}-1'), (2, '{who}-2');
INSERT INTO orders VALUES (1, 1, '{who}'), (2, 2, '{who}');
ALTER TABLE users ADD CONSTRAINT users_pkey PRIMARY KEY (id);
ALTER TABLE orders ADD CONSTRAINT orders_pkey PRIMARY KEY (id);
CREATE UNIQUE INDEX users_email ON users (email);
ALTER TABLE orders ADD CONSTRAINT orders_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id);
CREATE VIEW user_orders AS {view};
"""
_FILL_ROWS = """
INSERT INTO users VALUES (1, '{who}-1'), (3, '{who}-3');
INSERT INTO orders VALUES (1, 1, '{who}'), (3, 3, '{who}');
"""


async def stage(
    session: Session,
    dsn: str,
    who: str,
    *,
    schema: str = "public",
    rows_only: bool = False,
    plan: Plan = PLAN,
    rows: str = "",
) -> ImportRecord:
    """An import of that name, whose rows say `who` made them, ready to be published or merged.

    Another `plan` has `rows`, the statements that make them.
    """
    record = ImportRecord(
        import_id=who,
        source=f"/srv/{who}.db",
        target_schema=schema,
        staging_schema=import_records.staging_schema(who),
        previous_schema=import_records.previous_schema(who),
        state=RecordState.STAGED,
        plan=plan,
    )
    await staging_tables.create_staging(session, record)
    with person(dsn, record.staging_schema) as connection:
        connection.execute(rows or (_FILL_ROWS if rows_only else _FILL).format(who=who, view=_VIEW))
    return record


async def publish(session: Session, record: ImportRecord) -> ImportRecord:
    """Publish it, with its view; once."""
    return await Swap().apply(session, record, ImportRequest(record.source), LockOrder())


@contextmanager
def person(dsn: str, schema: str = "public") -> Iterator[psycopg.Connection]:
    """A connection of somebody else, who finds `schema` first; each statement commits."""
    with psycopg.connect(dsn, autocommit=True, application_name="a person") as connection:
        connection.execute("SELECT set_config('search_path', quote_ident(%s), false)", (schema,))
        yield connection


def emails(dsn: str, schema: str = "public") -> list[str]:
    """The e-mails that the table of users has; an error where there is none."""
    with person(dsn, schema) as connection:
        return [row[0] for row in connection.execute("SELECT email FROM users ORDER BY email")]


def relations(dsn: str, schema: str) -> list[str]:
    """The tables and views in a schema."""
    with person(dsn) as connection:
        rows = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace(quote_ident(%s))"
            " AND relkind IN ('r', 'p', 'v', 'm', 'f') ORDER BY relname",
            (schema,),
        )
        return [row[0] for row in rows]


def schemas(dsn: str) -> list[str]:
    """The schemas that imports have made."""
    with person(dsn) as connection:
        rows = connection.execute(
            r"SELECT nspname FROM pg_namespace WHERE nspname LIKE 'dbops\_%' ORDER BY nspname"
        )
        return [row[0] for row in rows]
