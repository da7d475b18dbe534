"""Which statements reach beyond the database that they run in, by their words."""

import pytest

from dbopsd.migrate.versions.model.migration_file import Script
from dbopsd.migrate.versions.roundtrip.server_wide import why_not


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("CREATE ROLE a", "roles"),
        ("alter user a SET jit = off", "roles"),
        ("DROP GROUP a", "roles"),
        ("GRANT a TO b", "memberships of roles"),
        ("REVOKE ADMIN OPTION FOR a FROM b", "memberships of roles"),
        ("GRANT /* ON */ a TO b", "memberships of roles"),
        ("GRANT CONNECT ON DATABASE a TO b", "privileges"),
        ("GRANT SET ON PARAMETER work_mem TO b", "privileges"),
        ("DROP OWNED BY a", "what roles own"),
        ("CREATE DATABASE a", "databases"),
        ("ALTER DATABASE a SET search_path = b", "databases"),
        ("DROP TABLESPACE a", "tablespaces"),
        ("CREATE SUBSCRIPTION a CONNECTION '' PUBLICATION p", "subscriptions"),
        ("ALTER SYSTEM RESET ALL", "settings"),
        ("COMMENT ON ROLE a IS 'b'", "comments"),
        ("SECURITY LABEL FOR p ON DATABASE a IS 'b'", "labels"),
        ("COPY t TO '/tmp/t'", "files"),
        ("COPY t (a, b) FROM PROGRAM 'curl'", "files"),
        ("COPY (SELECT 1) TO '/tmp/t' (FORMAT csv)", "files"),
    ],
)
def test_what_databases_share_is_refused(statement: str, what: str) -> None:
    script = Script("001_a.sql", f"SELECT 1;\n  {statement};")
    assert why_not(script) == (
        f"001_a.sql:2:3: it changes {what} of the server, which all its databases share"
    )


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("SELECT pg_reload_conf()", "pg_reload_conf() reaches beyond its database"),
        ("PERFORM dblink_exec ('x', 'y')", "dblink_exec() reaches beyond its database"),
        ("COMMIT", "COMMIT inside a migration"),
        ("COPY t FROM STDIN", "COPY FROM STDIN has no data"),
    ],
)
def test_other_things_that_do_not_go_are_named(statement: str, problem: str) -> None:
    assert why_not(Script("001_a.sql", statement)) == f"001_a.sql:1:1: {problem}"


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE roles (a integer)",
        "CREATE USER MAPPING FOR a SERVER b",
        "GRANT SELECT ON t TO a",
        "GRANT SELECT (a) ON TABLE database TO a",
        "GRANT USAGE ON SCHEMA a TO b",
        "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC",
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO a",
        "COMMENT ON TABLE t IS 'CREATE ROLE a'",
        "-- CREATE ROLE a\nSELECT 'ALTER SYSTEM', \"pg_reload_conf()\"",
        "COPY t TO STDOUT",
        "INSERT INTO files VALUES ('COPY t TO PROGRAM')",
        "CREATE FUNCTION f() RETURNS integer LANGUAGE sql AS $$ SELECT pg_reload_conf() $$",
        "ALTER TABLE t OWNER TO a",
        "CREATE EXTENSION IF NOT EXISTS citext",
    ],
)
def test_what_stays_in_its_database_is_not(statement: str) -> None:
    assert why_not(Script("001_a.sql", statement)) == ""
