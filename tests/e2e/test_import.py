"""Imports as people make them, with the `dbops` command: planned, edited, run, verified, reverted.

One daemon with one worker serves all of them; each test has a schema of its own.
"""

import json
import os
import shutil
import sqlite3
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from dbops.v1 import operations_pb2
from dbops_client import DbopsClient
from psycopg import sql

from tests.e2e.conftest import database, wait_until_ready
from tests.support.daemon import Daemon
from tests.support.dbops_command import Ended, run_dbops
from tests.support.patience import eventually_blocking
from tests.support.scratch import new_directory
from tests.support.servers import PostgresServer

TIMEOUT_S = 90.0

SHOP = """
CREATE TABLE customers (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    email TEXT NOT NULL UNIQUE COLLATE NOCASE,
    active BOOLEAN NOT NULL DEFAULT 1,
    joined DATE,
    age INTEGER CHECK (age > 0)
);
CREATE TABLE orders (
    id INTEGER PRIMARY KEY,
    customer_id INTEGER NOT NULL REFERENCES customers (id),
    total DECIMAL(8, 2),
    state TEXT DEFAULT 'new'
);
CREATE INDEX orders_by_customer ON orders (customer_id);
CREATE TABLE log (at TIMESTAMP, what TEXT);
CREATE VIEW states AS
    SELECT state, count(*) AS n FROM customers JOIN orders ON customer_id = customers.id
    GROUP BY state;
INSERT INTO customers (email, active, joined, age) VALUES
    ('ann@example.org', 1, '2024-01-31', 30), ('bob@example.org', 0, NULL, 41),
    ('cat@example.org', 1, '2024-02-29', NULL);
INSERT INTO orders VALUES (1, 1, 9.5, 'paid'), (2, 1, 0.25, 'new'), (5, 3, 100, 'paid');
INSERT INTO log VALUES ('2024-01-31T10:00:00', 'start'), ('2024-01-31 11:00:00', 'stop'),
    ('2024-01-31 11:00:00', 'stop');
"""


@dataclass(frozen=True)
class Importer:
    """The daemon, the database that it imports into, and where files are that it may read."""

    daemon: Daemon
    dsn: str
    files: Path

    def dbops(self, *arguments: str) -> Ended:
        """A command, to its end."""
        return run_dbops(self.daemon.grpc_address, *arguments)

    def run(self, source: Path, schema: str, *options: str, code: int = 0) -> dict[str, Any]:
        """`dbops import run`: its report."""
        return self._imports(
            code, "run", str(source), "--database", "main", "--schema", schema, *options
        )

    def plan(self, source: Path, *options: str) -> dict[str, Any]:
        """`dbops import plan`: the plan."""
        return self._imports(0, "plan", str(source), "--database", "main", *options)

    def verify(self, report: dict[str, Any], *options: str, code: int = 0) -> dict[str, Any]:
        """`dbops import verify` of what a report is of."""
        return self._imports(code, "verify", report["operation"], *options)

    def revert(self, report: dict[str, Any]) -> dict[str, Any]:
        """`dbops import revert` of what a report is of."""
        return self._imports(0, "revert", report["operation"])

    def _imports(self, code: int, *arguments: str) -> dict[str, Any]:
        answer = self.dbops("import", *arguments, "--output", "json")
        assert answer.code == code, f"{answer.err}{answer.out}"
        told: dict[str, Any] = json.loads(answer.out)
        return told

    def refused(self, *arguments: str) -> str:
        """What a command says on standard error that ends with an error."""
        answer = self.dbops("import", *arguments)
        assert answer.code in (1, 3), answer.out
        return answer.err

    def client(self) -> DbopsClient:
        """The client library, for what is asked while something runs."""
        return DbopsClient(self.daemon.grpc_address)

    def sql(self, text: str, schema: str = "public") -> list[tuple[Any, ...]]:
        """The rows of a statement, for which names are looked up in `schema`."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            path = sql.SQL("SET search_path = {}").format(sql.Identifier(schema))
            connection.execute(path)
            cursor = connection.execute(text)
            return cursor.fetchall() if cursor.description else []

    def left_behind(self) -> list[str]:
        """The schemas in which imports work, but for those of what was reverted."""
        kept = []
        if self.sql("SELECT to_regclass('dbops.imports')") != [(None,)]:
            kept = self.sql("SELECT staging_schema FROM dbops.imports WHERE state = 'REVERTED'")
        rows = self.sql(r"SELECT nspname FROM pg_namespace WHERE nspname ~ '^dbops_(new|try)_'")
        return [row[0] for row in rows if row not in kept]

    def file(self, name: str, script: str = SHOP) -> Path:
        """A new file."""
        path = self.files / f"{name}.db"
        edit(path, script)
        return path


def edit(path: Path, script: str) -> None:
    """Have SQLite run statements on a file."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)


@pytest.fixture(scope="module")
def importer(server: PostgresServer) -> Iterator[Importer]:
    files = new_directory("dbopsd-imports-")
    dsn = server.dsn(dbname=server.create_database())
    config = database("main", dsn, f"import_roots = [{json.dumps(str(files))}]")
    with Daemon(config, server={"workers": 1}) as running:
        wait_until_ready(running.wait_until_serving())
        yield Importer(running, dsn, files)
    shutil.rmtree(files)


def fates(told: dict[str, Any], kind: str) -> dict[str, str]:
    return {each["name"]: each["fate"] for each in told["objects"] if each["kind"] == kind}


def table_of(told: dict[str, Any], source: str) -> dict[str, Any]:
    (found,) = [each for each in told["tables"] if each["source"] == source]
    return found


def rejected(told: dict[str, Any]) -> list[tuple[str, ...]]:
    names = ("table", "column", "key", "reason")
    return sorted(tuple(each[name] for name in names) for each in told["rejects"])


def different(told: dict[str, Any]) -> list[tuple[str, ...]]:
    names = ("table", "column", "key", "source", "target")
    return sorted(tuple(each[name] for name in names) for each in told["differences"])


def test_a_file_arrives_with_all_that_is_in_it(importer: Importer) -> None:
    source = importer.file("whole")
    report = importer.run(source, "whole")
    assert report["outcome"] == "SUCCEEDED"
    assert (report["rows"], report["copiedRows"], report["verifiedRows"]) == ("9", "9", "9")
    assert report["problem"] == report["rejectsTable"] == report["previousSchema"] == ""
    assert fates(report, "view") == {"states": "CARRIED"}
    assert fates(report, "foreign key") == {"orders (customer_id) → customers (id)": "CARRIED"}
    assert importer.sql("SELECT id, total, state FROM orders ORDER BY id", "whole")[1][1:] == (
        pytest.approx(0.25),
        "new",
    )
    assert importer.sql("SELECT n FROM states WHERE state = 'paid'", "whole") == [(2,)]
    # Numbers go on after the largest that there is, defaults and constraints hold.
    assert importer.sql(
        "INSERT INTO customers (email) VALUES ('d') RETURNING id, active", "whole"
    ) == [(4, True)]
    assert importer.sql(
        "INSERT INTO orders (customer_id) VALUES (4) RETURNING id, state", "whole"
    ) == [(6, "new")]
    for wrong in (
        "INSERT INTO customers (email) VALUES ('ANN@example.org')",
        "INSERT INTO orders (customer_id) VALUES (99)",
        "UPDATE customers SET age = -1",
    ):
        with pytest.raises(psycopg.errors.IntegrityError):
            importer.sql(wrong, "whole")
    # The planner knows the tables, and nothing is left for VACUUM to freeze.
    statistics = (
        "SELECT count(DISTINCT tablename) FROM pg_stats WHERE schemaname = 'whole'"
        " AND tablename IN ('customers', 'orders', 'log')"
        " UNION ALL SELECT count(*) FROM pg_class WHERE relnamespace = 'whole'::regnamespace"
        " AND relkind = 'r' AND reltuples = 3"
    )
    assert importer.sql(statistics) == [(3,), (3,)]
    described = importer.dbops("import", "describe", report["operation"])
    assert described.code == 0
    assert "SUCCEEDED" in described.out
    assert importer.left_behind() == []


MAPPING = """
[tables.log]
skip = true
[tables.orders]
rename = "Bestellungen"
where = "state <> 'void'"
columns.total = { type = "numeric(10,3)" }
columns.state = { rename = "status", value_map = { paid = "bezahlt", new = false } }
[tables.customers.columns]
email = { type = "text", expression = "upper(email)" }
active = { skip = true }
age = { on_bad = "null" }
joined = { type = "text" }
"""


def test_a_mapping_says_what_becomes_of_what(importer: Importer, tmp_path: Path) -> None:
    source = importer.file("mapped")
    edit(
        source,
        "INSERT INTO orders VALUES (7, 2, 1, 'void'), (8, 2, 1, 'other');"
        "UPDATE customers SET age = 'old' WHERE id = 2",
    )
    mapping = tmp_path / "mapping.toml"
    mapping.write_text(MAPPING)
    report = importer.run(source, "mapped", "--mapping", str(mapping))
    assert report["outcome"] == "SUCCEEDED"
    assert importer.sql('SELECT id, total, status FROM "Bestellungen" ORDER BY id', "mapped") == [
        (1, pytest.approx(9.5), "bezahlt"),
        (2, pytest.approx(0.25), None),
        (5, 100, "bezahlt"),
        (8, 1, "other"),
    ]
    assert importer.sql("SELECT * FROM customers ORDER BY id", "mapped") == [
        (1, "ANN@EXAMPLE.ORG", "2024-01-31", 30),
        (2, "BOB@EXAMPLE.ORG", None, None),
        (3, "CAT@EXAMPLE.ORG", "2024-02-29", None),
    ]
    assert table_of(report, "customers")["changedValues"] == "1"
    assert fates(report, "table") == {
        "log": "NOT_CARRIED",
        "orders": "CHANGED",
        "customers": "CARRIED",
    }
    assert fates(report, "column") == {"customers.active": "NOT_CARRIED"}
    assert importer.verify(report)["equal"]


POLICIES = """
CREATE TABLE t (id INTEGER PRIMARY KEY, small TEXT, big TEXT, name TEXT, r TEXT);
INSERT INTO t VALUES (1, '5', '7', 'fine', '1'), (2, '5', '7', 'a' || char(0) || 'b', '2'),
    (3, '99999', '7', CAST(x'61ff62' AS TEXT), 'x'), (4, '-99999', '99999999999', NULL, NULL);
"""


def test_what_becomes_of_bad_values(importer: Importer, tmp_path: Path) -> None:
    source = importer.file("policies", POLICIES)
    mapping = tmp_path / "mapping.toml"
    mapping.write_text(
        "[tables.t.columns]\n"
        'small = { type = "smallint", expression = "CAST(small AS INTEGER)", on_bad = "clamp" }\n'
        'big = { type = "integer", expression = "CAST(big AS INTEGER)", on_bad = "null" }\n'
        'name = { on_bad = "replace" }\n'
    )
    report = importer.run(source, "policies", "--mapping", str(mapping))
    assert importer.sql("SELECT * FROM t ORDER BY id", "policies") == [
        (1, 5, 7, "fine", "1"),
        (2, 5, 7, "a\ufffdb", "2"),
        (3, 32767, 7, "a\ufffdb", "x"),
        (4, -32768, None, None, None),
    ]
    assert (report["outcome"], report["tables"][0]["changedValues"]) == ("SUCCEEDED", "5")

    failed = importer.run(source, "policies", code=1)
    assert failed["outcome"] == "FAILED"
    assert "2 rows" in failed["problem"]
    assert "t.name" in failed["problem"]
    assert rejected(failed) == [
        ("t", "name", "id=2", "NUL_CHARACTER"),
        ("t", "name", "id=3", "INVALID_UTF8"),
    ]
    assert importer.left_behind() == []
    operation = failed["operation"].removeprefix("operations/")
    assert importer.sql(f"SELECT 1 FROM dbops.imports WHERE import_id = '{operation}'") == []
    # What stood there stands there.
    assert importer.sql("SELECT count(*) FROM t", "policies") == [(4,)]


@pytest.mark.thorough
def test_what_is_computed_of_values_that_the_mapping_changes(
    importer: Importer, tmp_path: Path
) -> None:
    source = importer.file(
        "computed",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b INTEGER,"
        " shout TEXT AS (a || '!') VIRTUAL, more INTEGER AS (b + 1) STORED);"
        "INSERT INTO t VALUES (1, 'x', 1), (2, CAST(x'61ff' AS TEXT), 2), (3, 'y', 'n/a')",
    )
    mapping = tmp_path / "mapping.toml"
    mapping.write_text(
        '[tables.t.columns]\na = { on_bad = "replace" }\nb = { value_map = { "n/a" = "7" } }\n'
    )
    report = importer.run(source, "computed", "--mapping", str(mapping))
    assert importer.sql("SELECT * FROM t ORDER BY id", "computed") == [
        (1, "x", 1, "x!", 2),
        (2, "a\ufffd", 2, "a\ufffd!", 3),
        (3, "y", 7, "y!", 8),
    ]
    assert importer.verify(report)["equal"]
    importer.sql("UPDATE t SET a = 'z' WHERE id = 1", "computed")
    assert not importer.verify(report, code=1)["equal"]


def test_bad_rows_are_kept_apart_and_arrive_once_they_are_mended(importer: Importer) -> None:
    source = importer.file("apart", POLICIES)
    report = importer.run(source, "apart", "--on-bad-rows", "quarantine")
    assert report["outcome"] == "SUCCEEDED_WITH_REJECTS"
    assert (report["rejectedRows"], report["copiedRows"]) == ("2", "2")
    assert report["rejectsTable"] == "dbops.import_rejects"
    assert importer.sql("SELECT id FROM t ORDER BY id", "apart") == [(1,), (4,)]
    operation = report["operation"].removeprefix("operations/")
    assert importer.sql(
        "SELECT source_table, key, column_name, reason, raw FROM dbops.import_rejects"
        f" WHERE import_id = '{operation}' ORDER BY key"
    ) == [
        ("t", "id=2", "name", "NUL_CHARACTER", b"a\0b"),
        ("t", "id=3", "name", "INVALID_UTF8", b"a\xffb"),
    ]
    assert importer.verify(report)["equal"]
    edit(source, "UPDATE t SET name = 'mended' WHERE id IN (2, 3)")
    mended = importer.run(source, "apart")
    assert mended["outcome"] == "SUCCEEDED"
    assert importer.sql("SELECT count(*) FROM t WHERE name = 'mended'", "apart") == [(2,)]
    assert importer.sql("SELECT count(*) FROM t", mended["previousSchema"]) == [(2,)]


@pytest.mark.thorough
def test_a_row_that_is_too_large_for_a_page_is_named(importer: Importer, tmp_path: Path) -> None:
    source = importer.file("pages", "CREATE TABLE other (x); INSERT INTO other VALUES (1)")
    columns = [f"c{number}" for number in range(1100)]
    with closing(sqlite3.connect(source)) as connection:
        declared = ", ".join(f"{name} INTEGER" for name in columns)
        connection.execute(f"CREATE TABLE wide (name TEXT PRIMARY KEY, {declared})")
        insert = f"INSERT INTO wide VALUES (?{', ?' * len(columns)})"
        for number in range(1, 1800):
            # Some do not arrive anyway: what is counted is not the number of the row.
            first = "bad" if number % 7 == 0 else number
            rest = number if number in (1234, 1235, 1700) else None
            connection.execute(insert, (f"row {number}", first, *(rest,) * (len(columns) - 1)))
        connection.commit()
    quarantine = ("--on-bad-rows", "quarantine")
    failed = importer.run(source, "pages", *quarantine, code=1)
    assert "the row name='row 1234' of table 'wide'" in failed["problem"]
    assert "row is too big: size" in failed["problem"]
    assert "maximum size 8160" in failed["problem"]
    said = importer.refused(
        "run", str(source), "--database", "main", "--schema", "pages", *quarantine
    )
    assert "ROW_TOO_LARGE" in said
    assert importer.left_behind() == []
    assert importer.sql("SELECT 1 FROM pg_namespace WHERE nspname = 'pages'") == []
    # The ways out that it tells of.
    mapping = tmp_path / "mapping.toml"
    mapping.write_text(
        "[tables.wide]\nwhere = \"name NOT IN ('row 1234', 'row 1235', 'row 1700')\"\n"
    )
    report = importer.run(source, "pages", *quarantine, "--mapping", str(mapping))
    assert table_of(report, "wide")["copiedRows"] == str(1542 - 3)
    skipped = "".join(f"c{number}.skip = true\n" for number in range(2, 200))
    mapping.write_text(f"[tables.wide.columns]\n{skipped}")
    report = importer.run(source, "pages", *quarantine, "--mapping", str(mapping))
    assert table_of(report, "wide")["copiedRows"] == "1542"


@pytest.mark.thorough
def test_a_saved_plan_is_a_mapping_that_changes_nothing(importer: Importer, tmp_path: Path) -> None:
    source = importer.file("planned")
    saved = tmp_path / "plan.toml"
    plan = importer.plan(source, "--schema", "planned", "--save", str(saved))
    assert saved.read_text() == plan["mapping"]
    assert tomllib.loads(plan["mapping"])["tables"]["orders"]["columns"]["total"]["type"] == (
        "numeric(8,2)"
    )
    again = importer.plan(source, "--schema", "planned", "--mapping", str(saved))
    assert tomllib.loads(again["mapping"]) == tomllib.loads(plan["mapping"])
    assert again["objects"] == plan["objects"]
    evidence = [column["evidence"] for table in again["tables"] for column in table["columns"]]
    assert all(each.startswith("by the mapping; ") for each in evidence)
    assert importer.sql("SELECT 1 FROM pg_namespace WHERE nspname IN ('planned')") == []
    assert importer.left_behind() == []
    saved.write_text(saved.read_text().replace("numeric(8,2)", "double precision"))
    importer.run(source, "planned", "--mapping", str(saved))
    assert importer.sql("SELECT total FROM orders WHERE id = 1", "planned") == [(9.5,)]


@pytest.mark.thorough
def test_a_part_of_a_file(importer: Importer) -> None:
    source = importer.file("part")
    report = importer.run(source, "part", "--table", "ORDERS", "--table", "log")
    assert [each["source"] for each in report["tables"]] == ["orders", "log"]
    assert fates(report, "foreign key") == {"orders (customer_id) → customers (id)": "NOT_CARRIED"}
    assert fates(report, "view") == {"states": "NOT_CARRIED"}
    report = importer.run(source, "part", "--exclude-table", "orders", "--exclude-table", "log")
    assert [each["source"] for each in report["tables"]] == ["customers"]
    assert importer.sql("SELECT count(*) FROM orders", "part") == [(3,)]
    for option in ("--table", "--exclude-table"):
        said = importer.refused("run", str(source), "--database", "main", option, "ordres")
        assert "the file has no table 'ordres'; it has: customers, orders, log" in said
        assert "SOURCE_TABLE_NOT_FOUND" in said


@pytest.mark.thorough
def test_any_schema(importer: Importer) -> None:
    source = importer.file(
        "any",
        'CREATE TABLE "{Tab} %s" ("Co{l} %s" INTEGER PRIMARY KEY, "sel""ect" TEXT);'
        """INSERT INTO "{Tab} %s" VALUES (5, 'é{}%')""",
    )
    schema = 'Größe "{weird}" %s; --'
    report = importer.run(source, schema)
    assert report["schema"] == schema
    assert importer.sql('TABLE "{Tab} %s"', schema) == [(5, "é{}%")]
    upsert = importer.run(source, schema, "--mode", "upsert", "--delete-missing")
    assert table_of(upsert, "{Tab} %s")["mergedRows"] == "0"
    assert importer.verify(upsert)["equal"]


@pytest.mark.thorough
def test_names_in_lower_case(importer: Importer) -> None:
    source = importer.file(
        "lower",
        'CREATE TABLE Users ("userId" INTEGER PRIMARY KEY, Mail TEXT UNIQUE);'
        'CREATE TABLE "Ord er" (u REFERENCES Users ("userId"));'
        "INSERT INTO Users VALUES (1, 'x'); INSERT INTO \"Ord er\" VALUES (1);"
        "CREATE VIEW V AS SELECT Mail FROM Users",
    )
    report = importer.run(source, "lower", "--names", "lower")
    assert importer.sql("SELECT userid, mail FROM users", "lower") == [(1, "x")]
    assert importer.sql("SELECT mail FROM v", "lower") == [("x",)]
    assert importer.sql('SELECT u FROM "ord er"', "lower") == [(1,)]
    assert fates(report, "table") == {"Users": "CHANGED", "Ord er": "CHANGED"}
    assert importer.sql("INSERT INTO users (mail) VALUES ('y') RETURNING userid", "lower") == [(2,)]


def test_a_verification_names_what_differs(importer: Importer) -> None:
    source = importer.file("differs")
    report = importer.run(source, "differs")
    assert importer.verify(report)["equal"]
    importer.sql(
        "UPDATE customers SET age = 42, active = false WHERE id = 1;"
        "DELETE FROM orders WHERE id = 5;"
        "INSERT INTO orders VALUES (9, 2, 1, 'x');"
        "DELETE FROM log WHERE ctid = (SELECT max(ctid) FROM log)",
        "differs",
    )
    found = importer.verify(report, code=1)
    assert not found["equal"]
    assert found["differingRows"] == "4"
    assert different(found) == [
        ("customers", "active", "id=1", "true", "false"),
        ("customers", "age", "id=1", "30", "42"),
        (
            *("log", "", "at=2024-01-31 11:00:00, what=stop"),
            *("2024-01-31 11:00:00, stop", ""),
        ),
        ("orders", "", "id=5", "5, 3, 100.00, paid", ""),
        ("orders", "", "id=9", "", "9, 2, 1.00, x"),
    ]
    assert {each["source"]: each["differingRows"] for each in found["tables"]} == {
        "customers": "1",
        "orders": "2",
        "log": "1",
    }
    # With a file that has changed in the same way there is nothing to tell.
    edit(
        source,
        "UPDATE customers SET age = 42, active = 0 WHERE id = 1; DELETE FROM orders WHERE id = 5;"
        "INSERT INTO orders VALUES (9, 2, 1, 'x'); DELETE FROM log WHERE rowid = 3",
    )
    assert importer.verify(report)["equal"]


def test_a_revert_puts_back_what_stood_there(importer: Importer) -> None:
    source = importer.file("reverted")
    first = importer.run(source, "reverted")
    edit(source, "UPDATE customers SET age = 99; DROP TABLE log; CREATE TABLE more (x)")
    second = importer.run(source, "reverted")
    assert second["previousSchema"]
    said = importer.refused("revert", first["operation"])
    assert "IMPORT_NOT_PUBLISHED" in said
    assert "revert what came after it first" in said
    told = importer.revert(second)
    assert told["restoredTables"] == ["customers", "orders", "states"]
    assert told["removedTables"] == ["more"]
    said = importer.refused("verify", first["operation"])
    assert "cannot read table 'log'" in said
    assert "TABLE_UNREADABLE" in said
    assert importer.sql("SELECT max(age) FROM customers", "reverted") == [(41,)]
    assert importer.sql("SELECT count(*) FROM log", "reverted") == [(3,)]
    assert "is REVERTED" in importer.refused("verify", second["operation"])
    told = importer.revert(first)
    assert told["removedTables"] == ["customers", "orders", "log", "states"]
    assert "is REVERTED" in importer.refused("revert", first["operation"])
    unknown = importer.refused("revert", "operations/none", "--database", "main")
    assert "IMPORT_NOT_FOUND" in unknown
    # Of a failure nothing is kept, of what was reverted all.
    kept = importer.sql("SELECT staging_schema FROM dbops.imports WHERE state = 'REVERTED'")
    assert len(kept) >= 2
    assert importer.sql("SELECT max(age) FROM customers", kept[-1][0])


EXISTING = """
CREATE SCHEMA {schema};
CREATE TABLE {schema}.customers (
    id bigint PRIMARY KEY, "Email" text NOT NULL, active boolean NOT NULL, joined timestamptz,
    age smallint, made timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE {schema}.orders (
    id integer GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    customer_id bigint NOT NULL REFERENCES {schema}.customers,
    total numeric(12, 4), state character varying(10)
);
CREATE TABLE {schema}.log (at timestamp, what text);
"""


TAMPER = """
CREATE FUNCTION public.tamper_row() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN NEW.state := NEW.state || '!'; RETURN NEW; END $$;
CREATE FUNCTION public.tamper_table() RETURNS event_trigger LANGUAGE plpgsql AS $$
    DECLARE made record;
    BEGIN
        FOR made IN SELECT * FROM pg_event_trigger_ddl_commands()
            WHERE command_tag = 'CREATE TABLE' AND object_identity LIKE 'dbops_new_%.orders'
        LOOP
            EXECUTE format('CREATE TRIGGER tampers BEFORE INSERT ON %s FOR EACH ROW'
                ' WHEN (NEW.id = 2) EXECUTE FUNCTION public.tamper_row()', made.object_identity);
        END LOOP;
    END $$;
CREATE EVENT TRIGGER tampers ON ddl_command_end EXECUTE FUNCTION public.tamper_table();
"""
NO_TAMPER = """
DROP EVENT TRIGGER tampers;
DROP FUNCTION public.tamper_table();
DROP FUNCTION public.tamper_row() CASCADE;
"""


def test_rows_that_arrive_as_others_are_not_published(importer: Importer) -> None:
    source = importer.file("tampered")
    importer.sql(TAMPER)
    try:
        report = importer.run(source, "tampered", code=1)
    finally:
        importer.sql(NO_TAMPER)
    assert (report["outcome"], table_of(report, "orders")["differingRows"]) == ("FAILED", "1")
    assert "orders" in report["problem"]
    assert importer.sql("SELECT to_regclass('tampered.orders')") == [(None,)]
    assert importer.left_behind() == []


def test_tables_that_are_there(importer: Importer) -> None:
    source = importer.file("existing")
    importer.sql(EXISTING.format(schema="existing"))
    into = ("--target", "existing")
    report = importer.run(source, "existing", *into)
    assert report["outcome"] == "SUCCEEDED"
    assert [each["mergedRows"] for each in report["tables"]] == ["3", "3", "3"]
    assert importer.sql('SELECT "Email", joined::text, age FROM customers', "existing")[0] == (
        *("ann@example.org", "2024-01-31 00:00:00+00", 30),
    )
    assert importer.verify(report)["equal"]
    assert importer.sql("INSERT INTO orders (customer_id) VALUES (1) RETURNING id", "existing") == [
        (6,)
    ]
    edit(source, "DELETE FROM orders WHERE id = 1")
    second = importer.run(source, "existing", *into)
    assert importer.sql("SELECT id FROM orders ORDER BY id", "existing") == [(2,), (5,)]
    told = importer.revert(second)
    assert told["restoredTables"] == ["customers", "orders", "log"]
    assert importer.sql("SELECT id FROM orders ORDER BY id", "existing") == [
        (1,), (2,), (5,), (6,)
    ]  # fmt: skip

    importer.sql(
        "ALTER TABLE customers DROP COLUMN active, ADD COLUMN must text NOT NULL DEFAULT '';"
        "ALTER TABLE customers ALTER COLUMN must DROP DEFAULT;"
        "ALTER TABLE orders ALTER COLUMN state TYPE inet USING NULL; DROP TABLE log",
        "existing",
    )
    said = importer.refused("run", str(source), "--database", "main", "--schema", "existing", *into)
    assert "TABLES_INCOMPATIBLE" in said
    for problem in (
        "for 4 reasons",
        "'customers' has no column 'active'",
        "'customers.must' needs a value, and the file has no such column",
        "'orders.state' is inet, which no conversion makes",
        "there is no table 'log'",
    ):
        assert problem in " ".join(said.split())


@pytest.mark.thorough
def test_values_that_the_tables_cannot_hold_are_found_before_they_are_touched(
    importer: Importer,
) -> None:
    source = importer.file("narrow")
    importer.sql(EXISTING.format(schema="narrow"))
    edit(source, "UPDATE customers SET age = 40000 WHERE id = 2")
    failed = importer.run(source, "narrow", "--target", "existing", code=1)
    assert rejected(failed) == [("customers", "age", "id=2", "OUT_OF_RANGE")]
    assert importer.sql("SELECT count(*) FROM log", "narrow") == [(0,)]


@pytest.mark.thorough
def test_rows_that_are_added(importer: Importer) -> None:
    source = importer.file("added")
    importer.run(source, "added")
    append = ("--mode", "append", "--table", "log")
    report = importer.run(source, "added", *append)
    assert table_of(report, "log")["mergedRows"] == "3"
    assert importer.sql("SELECT count(*) FROM log", "added") == [(6,)]
    failed = importer.run(source, "added", "--mode", "append", code=1)
    assert "duplicate key value" in failed["problem"]
    assert importer.sql("SELECT count(*) FROM log", "added") == [(6,)]
    assert importer.left_behind() == []

    # Only the file's rows count, each as often as it is there, and of two imports it is one.
    importer.sql("INSERT INTO log VALUES (now(), 'mine')", "added")
    verified = importer.verify(report)
    assert (verified["equal"], verified["verifiedRows"]) == (True, "3")
    importer.sql(
        "DELETE FROM log WHERE what = 'start';"
        "DELETE FROM log WHERE ctid = (SELECT max(ctid) FROM log WHERE what = 'stop');"
        "UPDATE log SET what = 'x' WHERE what = 'stop'",
        "added",
    )
    found = importer.verify(report, code=1)
    assert found["differingRows"] == "3"
    assert {each["target"] for each in found["differences"]} == {""}
    said = importer.refused("revert", report["operation"])
    assert "ROWS_CHANGED_SINCE" in said
    importer.sql(
        "UPDATE log SET what = 'stop' WHERE what = 'x';"
        "INSERT INTO log VALUES ('2024-01-31 10:00:00', 'start')",
        "added",
    )
    told = importer.revert(report)
    assert told["tables"] == [{"target": "log", "removedRows": "3", "restoredRows": "0"}]
    assert told["restoredTables"] == ["log"]
    assert importer.sql("SELECT what FROM log ORDER BY 1", "added") == [("mine",), ("stop",)]
    assert "is REVERTED" in importer.refused("revert", report["operation"])
    assert "is REVERTED" in importer.refused("verify", report["operation"])


def test_a_changed_file_is_brought_over_again(importer: Importer) -> None:
    source = importer.file("changed")
    tables = ("--table", "customers", "--table", "orders")
    importer.run(source, "changed", *tables)
    importer.sql("INSERT INTO customers (id, email) VALUES (50, 'here only')", "changed")
    edit(
        source,
        "INSERT INTO customers (email) VALUES ('new@example.org');"
        "UPDATE customers SET age = 31 WHERE id = 1; DELETE FROM orders WHERE id = 2;"
        "INSERT INTO orders VALUES (11, 4, 1.5, NULL)",
    )
    before = importer.sql("SELECT * FROM customers ORDER BY id", "changed")
    report = importer.run(source, "changed", "--mode", "upsert", *tables)
    assert report["previousSchema"]
    assert table_of(report, "customers")["mergedRows"] == "2"
    assert table_of(report, "orders")["mergedRows"] == "1"
    assert importer.sql("SELECT id, age FROM customers ORDER BY id", "changed") == [
        *((1, 31), (2, 41), (3, None), (4, None), (50, None)),
    ]
    assert importer.sql("SELECT id FROM orders ORDER BY id", "changed") == [(1,), (2,), (5,), (11,)]
    # A customer and an order are not the file's, and do not count.
    verified = importer.verify(report)
    assert (verified["equal"], verified["verifiedRows"]) == (True, "7")
    importer.sql(
        "UPDATE customers SET age = 30 WHERE id = 1; DELETE FROM orders WHERE id = 11", "changed"
    )
    found = importer.verify(report, code=1)
    assert different(found) == [
        ("customers", "age", "id=1", "31", "30"),
        ("orders", "", "id=11", "11, 4, 1.50, NULL", ""),
    ]
    assert "ROWS_CHANGED_SINCE" in importer.refused("revert", report["operation"])
    importer.sql(
        "UPDATE customers SET age = 31 WHERE id = 1; INSERT INTO orders VALUES (11, 4, 1.5, NULL)",
        "changed",
    )
    told = importer.revert(report)
    assert told["tables"] == [
        {"target": "customers", "removedRows": "1", "restoredRows": "1"},
        {"target": "orders", "removedRows": "1", "restoredRows": "0"},
    ]
    assert importer.sql("SELECT * FROM customers ORDER BY id", "changed") == before
    assert importer.sql("SELECT id FROM orders ORDER BY id", "changed") == [(1,), (2,), (5,)]

    report = importer.run(source, "changed", "--mode", "upsert", *tables)
    upsert = ("--mode", "upsert", "--delete-missing", *tables)
    report = importer.run(source, "changed", *upsert)
    for table in ("customers", "orders"):
        assert table_of(report, table)["mergedRows"] == "0"
        assert table_of(report, table)["deletedRows"] == "1"
    assert importer.verify(report)["equal"]
    # Here whatever is not the file's does.
    assert importer.sql("INSERT INTO orders (customer_id) VALUES (1) RETURNING id", "changed") == [
        (12,)
    ]
    assert different(importer.verify(report, code=1)) == [
        ("orders", "", "id=12", "", "12, 1, NULL, new")
    ]
    told = importer.revert(report)
    assert [each["restoredRows"] for each in told["tables"]] == ["1", "1"]
    assert importer.sql("SELECT id FROM customers ORDER BY id", "changed") == [
        *((1,), (2,), (3,), (4,), (50,)),
    ]
    said = importer.refused(
        *("run", str(source), "--database", "main", "--schema", "changed", "--mode", "upsert"),
        *("--table", "log"),
    )
    assert "'log' has no primary key" in said


def slow_file(importer: Importer, name: str) -> Path:
    """A file that takes some seconds to import."""
    return importer.file(
        name,
        "CREATE TABLE n (id INTEGER PRIMARY KEY, t TEXT, j JSON);"
        "WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 300000)"
        " INSERT INTO n SELECT i, 'row ' || i, json_object('a', i, 'b', 'x') FROM s",
    )


def test_a_second_import_beside_it_is_refused(importer: Importer) -> None:
    source = slow_file(importer, "slow")
    other = importer.file("beside")
    with importer.client() as client:
        first = client.imports.run("main", str(source), schema="slow")
        said = importer.refused("run", str(other), "--database", "main", "--schema", "beside")
        assert "ABORTED" in said
        # To look is not to change.
        assert importer.plan(other, "--schema", "beside")["rows"] == "9"
        report = first.result(timeout_s=TIMEOUT_S)
    assert report.rows == 300_000
    assert importer.sql("SELECT count(*), sum(id) FROM n", "slow") == [(300_000, 45_000_150_000)]
    assert importer.run(other, "beside")["outcome"] == "SUCCEEDED"


def test_a_cancelled_import_leaves_nothing(importer: Importer) -> None:
    source = slow_file(importer, "cancelled")
    with importer.client() as client:
        started = client.imports.run("main", str(source), schema="cancelled")
        copying = ("copy", "verify", "keys and indexes")
        eventually_blocking(lambda: started.refresh().metadata.stage in copying, TIMEOUT_S)
        started.cancel()
        started.wait(timeout_s=TIMEOUT_S)
    assert started.metadata.state == operations_pb2.OperationMetadata.CANCELLED
    assert importer.left_behind() == []
    assert importer.sql("SELECT 1 FROM pg_namespace WHERE nspname = 'cancelled'") == []


def test_only_files_inside_the_roots(importer: Importer, tmp_path: Path) -> None:
    outside = tmp_path / "outside.db"
    edit(outside, SHOP)
    link = importer.files / "link.db"
    link.symlink_to(outside)
    for path in (link, importer.files / ".." / "outside.db"):
        said = importer.refused("run", str(path), "--database", "main", "--schema", "outside")
        assert "PATH_OUTSIDE_ROOTS" in said
    inside = importer.file("inside")
    link.unlink()
    link.symlink_to(inside)
    assert importer.run(link, "inside")["outcome"] == "SUCCEEDED"
    said = importer.refused("run", str(importer.files / "none.db"), "--database", "main")
    assert "SOURCE_NOT_FOUND" in said
    (importer.files / "text.db").write_text("not a database" * 100)
    said = importer.refused("run", str(importer.files / "text.db"), "--database", "main")
    assert "SOURCE_NOT_SQLITE" in said
    os.mkfifo(importer.files / "pipe.db")
    said = importer.refused("run", str(importer.files / "pipe.db"), "--database", "main")
    assert "SOURCE_UNREADABLE" in said


def test_what_would_be_refused_is_refused_without_a_start(
    importer: Importer, tmp_path: Path
) -> None:
    source = importer.file("validated")
    mapping = tmp_path / "mapping.toml"
    mapping.write_text("[tables.orders.columns.total]\ntype = 'nonsense'\n")

    def validated(*options: str) -> Sequence[object]:
        answer = importer.dbops(
            *("import", "run", str(source), "--database", "main", "--schema", "validated"),
            *("--validate-only", *options),
        )
        return answer.code, answer.out + answer.err

    code, said = validated()
    assert code == 0, said
    for options, problem in (
        (("--mapping", str(mapping)), "tables.orders.columns.total.type"),
        (("--delete-missing",), "needs --mode upsert"),
    ):
        code, said = validated(*options)
        assert code != 0
        assert problem in " ".join(str(said).split())
    assert importer.sql("SELECT 1 FROM pg_namespace WHERE nspname = 'validated'") == []


@pytest.mark.thorough
def test_a_mapping_that_the_file_has_nothing_for(importer: Importer, tmp_path: Path) -> None:
    source = importer.file("wrong")
    mapping = tmp_path / "mapping.toml"
    for text, problem in {
        "[tables.nobody]\nskip = true": "the file has no table 'nobody'",
        "[tables.orders.columns.nobody]\nskip = true": "tables.orders.columns.nobody",
        "[tables.orders]\nwhere = 'no such'": "tables.orders.where",
        "[tables.orders.columns.total]\ntype = 'text'\nexpression = 'no('": (
            "tables.orders.columns.total.expression"
        ),
        "[tables.orders.columns.total]\nexpression = 'total + 1'": "needs a type",
    }.items():
        mapping.write_text(text)
        arguments = (str(source), "--database", "main", "--mapping", str(mapping))
        said = importer.refused("plan", *arguments)
        assert problem in " ".join(said.split())
        assert "INVALID_MAPPING" in said or "SOURCE_TABLE_NOT_FOUND" in said
