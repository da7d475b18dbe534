"""Files whose tables are named after PostgreSQL's own, and databases in which traps are laid."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.support.import_daemon import ImportDaemon, import_daemon
from tests.support.servers import PostgresServer

SCHEMAS = ("pg_catalog", "information_schema")
SECRET = "SCRAM-SHA-256"


@pytest.fixture(scope="module")
def importer(server: PostgresServer) -> Iterator[ImportDaemon]:
    with import_daemon(server) as running:
        yield running


def names_of(dsn: str) -> list[str]:
    """All relations of PostgreSQL's own schemas, but for those of the same name in both."""
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "SELECT DISTINCT relname FROM pg_class WHERE relkind IN ('r', 'v')"
            " AND relnamespace::regnamespace::text = ANY (%s) ORDER BY relname",
            (list(SCHEMAS),),
        )
        return [name for (name,) in rows]


def write(path: Path, tables: list[str], views: list[str]) -> None:
    """Tables with keys, defaults, CHECKs and indexes, and a view over each in turn."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for name in tables:
            connection.execute(
                f'CREATE TABLE "{name}" (id INTEGER PRIMARY KEY, rolname TEXT DEFAULT'
                " (lower('FILE')) NOT NULL, rolpassword TEXT UNIQUE,"
                " nick TEXT UNIQUE COLLATE NOCASE,"
                " oid INT DEFAULT 7 CHECK (abs(oid) < 100),"
                " loud TEXT AS (upper(rolname)) STORED)"
            )
            connection.execute(f'CREATE INDEX "{name} i" ON "{name}" (lower(rolname)) WHERE id > 0')
            connection.execute(f"""INSERT INTO "{name}" (rolpassword) VALUES ('{name}')""")
        for number, name in enumerate(views):
            over = tables[number % len(tables)]
            connection.execute(
                f'CREATE VIEW "{name}" AS SELECT a.rolname, max(a.rolpassword) AS rolpassword'
                f' FROM (SELECT * FROM "{over}" WHERE length(rolname) > 0) AS a GROUP BY a.rolname'
            )


def read(dsn: str, schema: str, name: str) -> list[Any]:
    with psycopg.connect(dsn) as connection:
        query = sql.SQL("SELECT rolname, rolpassword FROM {}").format(sql.Identifier(schema, name))
        return connection.execute(query).fetchall()


@pytest.mark.parametrize("first", [pytest.param(0, marks=pytest.mark.thorough), 1])
def test_relations_named_after_those_of_postgresql(importer: ImportDaemon, first: int) -> None:
    """Half of the names are tables, and the others views; then the other way round."""
    names = names_of(importer.dsn)
    tables, views = names[first::2], names[1 - first :: 2]
    assert {"pg_authid", "pg_class", "pg_shadow", "columns"} <= set(names)
    source = importer.files / f"named_{first}.db"
    write(source, tables, views)
    schema = f"named {first}"
    done = importer.run_unjudged(source, schema)
    assert done.published, done.report["problem"]
    objects = done.report["objects"]
    lost = [each for each in objects if each["fate"] == "NOT_CARRIED"]
    assert lost == []
    assert len([each for each in objects if each["kind"] == "view"]) == len(views)
    for name in tables:
        assert read(importer.dsn, schema, name) == [("file", name)]
    for number, name in enumerate(views):
        expected = [("file", tables[number % len(tables)])]
        assert read(importer.dsn, schema, name) == expected
    assert importer.command("verify", done.report["operation"])["equal"]
    importer.command("revert", done.report["operation"])
    with psycopg.connect(importer.dsn) as connection:
        left = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace(quote_ident(%s))",
            (schema,),
        ).fetchall()
    assert left == []


def test_nobody_reads_more_than_before(importer: ImportDaemon, server: PostgresServer) -> None:
    """A view of a file takes the place of one that others may read: they read the file's rows."""
    schema, reader, owner = "handed over", "reader_of_names", "owner_of_names"
    source = importer.files / "handed_over.db"
    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE pg_authid (rolname, rolpassword, oid)")
        connection.execute("INSERT INTO pg_authid VALUES ('file', 'mine', 1)")
        connection.execute("CREATE VIEW logins AS SELECT rolname, rolpassword FROM pg_authid")
    server.execute(f"CREATE ROLE {reader} LOGIN; CREATE ROLE {owner}")
    with psycopg.connect(importer.dsn, autocommit=True) as connection:
        connection.execute(
            f'CREATE SCHEMA "{schema}"; SET search_path = "{schema}";'
            "CREATE TABLE pg_authid (rolname text, rolpassword text, oid bigint);"
            "CREATE VIEW logins AS SELECT rolname::text, rolpassword::text"
            f' FROM "{schema}".pg_authid;'
            f"ALTER VIEW logins OWNER TO {owner}; GRANT SELECT ON logins TO {reader};"
            f'GRANT SELECT ON "{schema}".pg_authid TO {owner}; GRANT USAGE ON SCHEMA "{schema}"'
            f" TO {reader}, {owner}"
        )
    done = importer.run(source, schema)
    done.check()
    assert done.published
    with psycopg.connect(importer.dsn) as connection:
        owned = connection.execute(
            "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'logins'"
            " AND relnamespace = to_regnamespace(quote_ident(%s))",
            (schema,),
        ).fetchall()
        connection.execute(f"SET ROLE {reader}")
        found = connection.execute(f'SELECT * FROM "{schema}".logins').fetchall()
    assert owned == [(owner,)]
    assert found == [("file", "mine")]


# Each fails if anything calls it: better fits for what dbopsd asks, or in front of pg_catalog.
TRAPS = """
CREATE FUNCTION sprung() RETURNS text LANGUAGE plpgsql AS
    $$BEGIN RAISE EXCEPTION 'sprung by %', current_query(); END$$;
{functions}
{operators}
"""
FUNCTIONS = (
    *("lower(text)", "upper(text)", "length(text)", "abs(bigint)", "quote_ident(text)"),
    *("quote_ident(name)", "to_regclass(text)", "to_regnamespace(text)", "now()", "count(bigint)"),
    *("pg_is_in_recovery()", "current_setting(text)", "current_setting(text, boolean)"),
    *("format_type(oid, integer)", "octet_length(bytea)", "nextval(regclass)", "unnest(oid[])"),
    *("pg_get_serial_sequence(text, name)", "set_config(text, text, boolean)", "round(numeric)"),
    *("hashtextextended(text, bigint)", "pg_advisory_xact_lock(bigint)", "lower(varchar)"),
    *("pg_relation_size(regclass)", "setval(regclass, bigint, boolean)", "max(bigint)"),
    *("numeric_send(numeric)", "float8send(double precision)", "jsonb_send(jsonb)"),
)
TYPES = ("text", "bigint", "integer", "oid", "name", '"char"', "varchar", "smallint", "numeric")
OPERATORS = ("=", "<>", "<", ">", ">=", "<=", "||")


def lay_traps(dsn: str, schema: str) -> None:
    functions = "\n".join(
        f"CREATE FUNCTION {schema}.{each} RETURNS text LANGUAGE sql VOLATILE"
        f" AS 'SELECT {schema}.sprung()';"
        for each in FUNCTIONS
    )
    operators = "\n".join(
        f"CREATE FUNCTION {schema}.op_{number}_{place}({kind}, {kind}) RETURNS boolean"
        f" LANGUAGE plpgsql AS $$BEGIN PERFORM {schema}.sprung(); RETURN true; END$$;"
        f"CREATE OPERATOR {schema}.{operator} (LEFTARG = {kind}, RIGHTARG = {kind},"
        f" FUNCTION = {schema}.op_{number}_{place});"
        for number, operator in enumerate(OPERATORS)
        for place, kind in enumerate(TYPES)
    )
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"SET search_path = pg_catalog; CREATE SCHEMA IF NOT EXISTS {schema}")
        traps = TRAPS.format(functions=functions, operators=operators)
        connection.execute(traps.replace("FUNCTION sprung", f"FUNCTION {schema}.sprung"))


@pytest.mark.parametrize(
    "path", ["public, pg_catalog", pytest.param('"$user", public', marks=pytest.mark.thorough)]
)
def test_traps_are_not_sprung(server: PostgresServer, path: str) -> None:
    """Functions and operators that somebody created in `public` are called by nothing."""
    with import_daemon(server) as importer:
        lay_traps(importer.dsn, "public")
        user = psycopg.conninfo.conninfo_to_dict(importer.dsn)["user"]
        name = psycopg.conninfo.conninfo_to_dict(importer.dsn)["dbname"]
        server.execute(f'ALTER ROLE "{user}" IN DATABASE "{name}" SET search_path = {path}')
        source = importer.files / "trapped.db"
        with closing(sqlite3.connect(source, isolation_level=None)) as connection:
            connection.execute(
                "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, s TEXT COLLATE NOCASE"
                " UNIQUE DEFAULT (lower('X')), n INT CHECK (abs(n) > 0 AND length(s) < 100),"
                " v VARCHAR(20), r REAL, d DECIMAL(8, 2), l TEXT AS (lower(v)) STORED,"
                " p INT REFERENCES t (id))"
            )
            connection.execute("CREATE INDEX i ON t (upper(v)) WHERE round(r) = 2.0")
            connection.execute(
                "CREATE VIEW w AS SELECT lower(s) AS s, count(n) AS c, max(n) AS m FROM t"
                " WHERE v = s OR n > 1 GROUP BY lower(s)"
            )
            connection.execute("INSERT INTO t (s, n, v, r, d) VALUES ('A', 5, 'a', 1.5, 2.25)")
        done = importer.run(source, "trapped")
        done.check()
        assert done.published, done.report["problem"]
        for options in (
            ("--target", "existing", "--mode", "upsert", "--delete-missing"),
            ("--target", "existing", "--mode", "replace"),
        ):
            with psycopg.connect(importer.dsn, autocommit=True) as connection:
                connection.execute("SET search_path = pg_catalog")
                connection.execute("UPDATE trapped.t SET n = 6, v = 'b'")
                connection.execute(
                    "INSERT INTO trapped.t (id, s, n) VALUES (9, 'gone', 1) ON CONFLICT DO NOTHING"
                )
            merged = importer.run_unjudged(source, "trapped", *options)
            assert merged.published, merged.report["problem"]
            assert importer.command("verify", merged.report["operation"])["equal"]
            importer.command("revert", merged.report["operation"])
        importer.command("revert", done.report["operation"])
        with psycopg.connect(importer.dsn) as connection:
            connection.execute("SET search_path = pg_catalog")
            strange = connection.execute(
                "SELECT pg_describe_object(classid, objid, 0) FROM pg_depend"
                " WHERE refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass)"
                " AND classid NOT IN ('pg_proc'::regclass, 'pg_operator'::regclass)"
                " AND refobjid >= 16384"
            ).fetchall()
        assert strange == []
