"""Nothing is published that uses other things than the import's own."""

from collections.abc import AsyncIterator

import psycopg
import pytest

from dbopsd.db.database import Database
from dbopsd.db.session import Session
from dbopsd.migrate.importer.model.target_errors import UnexpectedDependency
from dbopsd.migrate.importer.processes.resources import import_session
from dbopsd.migrate.importer.records import import_records
from dbopsd.migrate.importer.records.import_records import RecordState
from tests.support.staged import person, publish, relations, stage

# What a view selects as email and note, and what is said of it.
VIEWS = {
    "catalog": ("rolname::text AS email, rolpassword AS note FROM pg_authid", "relation pg_authid"),
    "catalog by another name": (
        'r.rolname::text AS email, ":relid 1".note FROM pg_authid AS r, orders AS ":relid 1"',
        "relation pg_authid",
    ),
    "catalog in an expression": (
        "email, (SELECT string_agg(rolpassword, '') FROM pg_authid) AS note FROM users",
        "relation pg_authid",
    ),
    "view of the catalog": (
        "usename::text AS email, query AS note FROM pg_stat_activity",
        "column query of view pg_stat_activity",
    ),
    "information_schema": (
        "table_name::text AS email, NULL::text AS note FROM information_schema.tables",
        "column table_name of view information_schema.tables",
    ),
    "another table": (
        "secret AS email, secret AS note FROM public.secrets",
        "column secret of table public.secrets",
    ),
    "a dangerous function": (
        "email, pg_read_file('/etc/hostname') AS note FROM users",
        "function pg_read_file(text)",
    ),
    "a strange function": (
        "email, public.lower(email) AS note FROM users",
        "function public.lower(text)",
    ),
    "a strange aggregate": (
        "email, public.join_all(email) AS note FROM users GROUP BY email",
        "function public.join_all(text)",
    ),
    "a strange operator": (
        "email, (email OPERATOR(public.===) email)::text AS note FROM users",
        "operator public.===(text,text)",
    ),
}
STRANGE = {
    **{
        name: (
            f"DROP VIEW user_orders; CREATE VIEW user_orders AS SELECT {query}",
            "view of user_orders",
            dependency,
        )
        for name, (query, dependency) in VIEWS.items()
    },
    "CHECK": (
        "ALTER TABLE users ADD CHECK (public.lower(email) <> '') NOT VALID",
        "constraint of users",
        "function public.lower(text)",
    ),
    "default": (
        "ALTER TABLE users ALTER email SET DEFAULT public.lower('A')",
        "default of users",
        "function public.lower(text)",
    ),
    "default of a sequence": (
        "ALTER TABLE orders ALTER note SET DEFAULT nextval('public.counter')::text",
        "default of orders",
        "function nextval(regclass)",
    ),
    "generated column": (
        "ALTER TABLE users ADD l text GENERATED ALWAYS AS (public.lower(email)) STORED",
        "default of users",
        "function public.lower(text)",
    ),
    "index": (
        "CREATE INDEX by_lower ON users (public.lower(email))",
        "index of users",
        "function public.lower(text)",
    ),
    "partial index": (
        "CREATE INDEX by_id ON users (id) WHERE public.lower(email) = 'a'",
        "index of users",
        "function public.lower(text)",
    ),
    "foreign key": (
        "ALTER TABLE orders ADD FOREIGN KEY (note) REFERENCES public.secrets (secret) NOT VALID",
        "constraint of orders",
        "column secret of table public.secrets",
    ),
    "type": (
        "ALTER TABLE users ADD f public.favourite",
        "table of users",
        "type public.favourite",
    ),
    "collation": (
        'ALTER TABLE users ADD f text COLLATE public."loud"',
        "table of users",
        "collation public.loud",
    ),
    "rule": (
        "CREATE RULE r AS ON DELETE TO users DO INSTEAD NOTHING",
        "table users",
        "a rule of its own",
    ),
}
THERE = """
CREATE TABLE secrets (secret text PRIMARY KEY);
CREATE SEQUENCE counter;
CREATE DOMAIN favourite AS text;
CREATE COLLATION loud FROM "C";
CREATE FUNCTION lower(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION same(text, text) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR === (LEFTARG = text, RIGHTARG = text, FUNCTION = same);
CREATE AGGREGATE join_all (text) (SFUNC = textcat, STYPE = text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE VIEW user_orders AS SELECT 'old'::text AS email, 'old'::text AS note;
GRANT SELECT ON user_orders TO PUBLIC;
"""


@pytest.fixture
async def session(database: Database, database_dsn: str) -> AsyncIterator[Session]:
    with person(database_dsn) as connection:
        connection.execute(THERE)
    async with import_session(database) as session:
        yield session


@pytest.mark.parametrize(("statement", "of", "dependency"), STRANGE.values(), ids=STRANGE.keys())
async def test_what_uses_anything_else_is_not_published(
    session: Session, database_dsn: str, statement: str, of: str, dependency: str
) -> None:
    record = await stage(session, database_dsn, "new")
    with person(database_dsn, record.staging_schema) as connection:
        connection.execute(statement)
    with pytest.raises(UnexpectedDependency) as error:
        await publish(session, record)
    assert (error.value.object, error.value.dependency) == (of, dependency)
    assert relations(database_dsn, "public") == ["secrets", "user_orders"]
    found = await import_records.get_record(session, "new", "main")
    assert found.state is RecordState.STAGED
    with person(database_dsn) as connection:
        assert connection.execute("SELECT * FROM user_orders").fetchall() == [("old", "old")]


async def test_what_uses_its_own_is_published(session: Session, database_dsn: str) -> None:
    """Keys, foreign keys, sequences, functions of translations, and a trigger for an audit."""
    record = await stage(session, database_dsn, "new")
    with person(database_dsn, record.staging_schema) as connection:
        connection.execute(
            "ALTER TABLE users ADD CHECK (pg_catalog.length(email) < 50);"
            'ALTER TABLE users ADD l text GENERATED ALWAYS AS (lower(email COLLATE "C")) STORED;'
            "CREATE TRIGGER t AFTER INSERT ON users FOR EACH ROW EXECUTE FUNCTION public.note();"
            "CREATE INDEX by_lower ON users (lower(email)) WHERE id > 0;"
            "DROP VIEW user_orders; CREATE VIEW user_orders AS SELECT u.email, max(o.note) AS note"
            " FROM users AS u JOIN orders AS o ON o.user_id = u.id GROUP BY u.id"
            " HAVING count(*) > 0"
        )
    await publish(session, record)
    with psycopg.connect(database_dsn) as connection:
        rows = connection.execute(
            "SELECT email, note FROM public.user_orders ORDER BY 1"
        ).fetchall()
    assert rows == [("new-1", "new"), ("new-2", "new")]
