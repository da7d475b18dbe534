"""What a plan notes of a file, and what is not certain about it."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from dbopsd.migrate.importer.inspect.inspect_schema import inspect_schema
from dbopsd.migrate.importer.model.errors import InvalidMapping
from dbopsd.migrate.importer.model.mapping import read_mapping
from dbopsd.migrate.importer.model.plan import Fate, Plan, PlannedObject
from dbopsd.migrate.importer.model.requests import ImportRequest
from dbopsd.migrate.importer.plan.plan_builder import build_plan, count_rows
from dbopsd.migrate.importer.plan.time_units import ambiguous_time_notes
from dbopsd.migrate.importer.profile.profile_table import profile_table
from dbopsd.migrate.importer.snapshot.open_sqlite import open_immutable

MIXED = """
CREATE TABLE events (at TIMESTAMP);
INSERT INTO events VALUES (1704067200), (1704067200.5), (1704067200000), ('2024-01-01');
"""


def planned(sql: str, mapping: str = "") -> Plan:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.create_collation("german", _compare_folded)
        connection.executescript(sql)
        schema = inspect_schema(connection)
        profiles = {table.name: profile_table(connection, table) for table in schema.tables}
    return build_plan(
        schema, profiles, ImportRequest(source="app.db"), read_mapping(mapping), "staging"
    )


def counted(path: Path, sql: str, mapping: str) -> Plan:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(sql)
    with closing(open_immutable(path)) as connection:
        return count_rows(connection, planned(sql, mapping))


def _compare_folded(one: str, other: str) -> int:
    return (one.casefold() > other.casefold()) - (one.casefold() < other.casefold())


def object_named(plan: Plan, kind: str, name: str) -> PlannedObject:
    (found,) = [each for each in plan.objects if (each.kind, each.name) == (kind, name)]
    return found


def test_numbers_that_may_be_of_another_unit_are_noted() -> None:
    (note,) = ambiguous_time_notes(planned(MIXED))
    assert note == (
        "events.at: 2 numbers, read as milliseconds, are times of January or February 1970, and"
        " may be seconds; if they are, give the column an `expression` in the mapping, else its"
        " `unit`"
    )


@pytest.mark.parametrize(
    "mapping",
    [
        '[tables.events.columns.at]\nunit = "ms"',
        '[tables.events.columns.at]\ntype = "timestamptz"\nexpression = "at"',
        '[tables.events.columns.at]\ntype = "numeric"',
        "[tables.events]\nskip = true",
        "[tables.events.columns.at]\nskip = true",
    ],
)
def test_unless_the_mapping_says_what_they_are(mapping: str) -> None:
    assert list(ambiguous_time_notes(planned(MIXED, mapping))) == []


def test_numbers_of_one_unit_need_no_note() -> None:
    seconds = "CREATE TABLE events (at TIMESTAMP); INSERT INTO events VALUES (0), (1704067200);"
    assert list(ambiguous_time_notes(planned(seconds))) == []


def test_a_file_of_another_encoding_and_with_versions_of_its_own_is_noted() -> None:
    made = planned(
        "PRAGMA encoding = 'UTF-16le'; PRAGMA user_version = 7; PRAGMA application_id = 9;"
    )
    assert made.notes == (
        "the file has no tables",
        "the file's text is UTF-16le, PostgreSQL's is UTF-8",
        "user_version is 7",
        "application_id is 9",
    )


LOST = "the collation german is the application's own: the database's default compares instead"


@pytest.mark.parametrize(
    ("kind", "name", "create"),
    [
        ("unique", "i", "CREATE UNIQUE INDEX i ON t (a COLLATE german)"),
        ("index", "i", "CREATE INDEX i ON t (n, b COLLATE german DESC)"),
        ("index", "i", "CREATE INDEX i ON t ((a || b) COLLATE german)"),
        ("unique", "u (k, n)", "CREATE TABLE u (k TEXT COLLATE german, n INT, UNIQUE (k, n))"),
        ("unique", "u (k)", "CREATE TABLE u (k TEXT, UNIQUE (k COLLATE german))"),
        ("primary key", "u", "CREATE TABLE u (k TEXT PRIMARY KEY COLLATE german)"),
        ("primary key", "u", "CREATE TABLE u (k TEXT, PRIMARY KEY (k COLLATE german))"),
    ],
)
def test_a_comparison_that_only_the_application_has_is_told_of(
    kind: str, name: str, create: str
) -> None:
    plan = planned(f"CREATE TABLE t (a TEXT, b TEXT, n INT); {create};")
    lost = object_named(plan, kind, name)
    assert (lost.fate, LOST in lost.reason) == (Fate.CHANGED, True)
    assert lost.ddl


def test_a_collation_does_not_matter_to_numbers() -> None:
    plan = planned("CREATE TABLE t (n INT); CREATE UNIQUE INDEX i ON t (n COLLATE german);")
    assert object_named(plan, "unique", "i").fate is Fate.CARRIED


def test_the_collation_of_an_indexed_expression_is_carried() -> None:
    plan = planned(
        "CREATE TABLE t (a TEXT, b TEXT); CREATE UNIQUE INDEX i ON t ((a || b) COLLATE NOCASE);"
        " INSERT INTO t VALUES ('x', 'y');"
    )
    index = object_named(plan, "unique", "i")
    assert index.fate is Fate.CHANGED
    assert "which is what NOCASE compares" in index.reason
    assert "lower(" in index.ddl


COUNTED = """
CREATE TABLE a (id INTEGER PRIMARY KEY AUTOINCREMENT, t TEXT);
INSERT INTO a VALUES (7, 'x'), (40000, 'y');
DELETE FROM a WHERE id > 7;
"""


@pytest.mark.parametrize("type_name", ["smallint", "integer", "bigint"])
def test_an_id_goes_on_counting_in_each_type_of_whole_numbers(type_name: str) -> None:
    plan = planned(COUNTED, f'[tables.a.columns.id]\ntype = "{type_name}"')
    table = plan.table("a")
    assert (table.identity, table.rowid_column, table.last_number) == ("id", "id", 40_000)
    sequence = object_named(plan, "sequence", "a.id")
    fits = type_name != "smallint"
    assert sequence.fate is (Fate.CARRIED if fits else Fate.CHANGED)
    assert sequence.reason == (
        ""
        if fits
        else "40000 has been used, and smallint ends at 32767: the next row needs a number given"
    )


@pytest.mark.parametrize("type_name", ["numeric", "text", "double precision"])
def test_an_id_that_does_not_count_any_more_is_told_of(type_name: str) -> None:
    plan = planned(COUNTED, f'[tables.a.columns.id]\ntype = "{type_name}"')
    assert plan.table("a").identity == ""
    sequence = object_named(plan, "sequence", "a.id")
    assert sequence.fate is Fate.NOT_CARRIED
    assert f"does not number a column of {type_name}" in sequence.reason


KEYED = """
CREATE TABLE people (email TEXT PRIMARY KEY, nick TEXT COLLATE NOCASE, age INT CHECK (age > 0));
CREATE UNIQUE INDEX nicks ON people (nick) WHERE age IS NOT NULL;
CREATE TABLE pets (
    id INTEGER PRIMARY KEY,
    owner TEXT REFERENCES people (email) ON DELETE CASCADE ON UPDATE SET NULL
        DEFERRABLE INITIALLY DEFERRED
);
CREATE TABLE codes (code TEXT COLLATE NOCASE PRIMARY KEY);
INSERT INTO people VALUES ('a', 'x', 1);
INSERT INTO codes VALUES ('a');
"""


def test_a_key_without_nulls_is_a_primary_key() -> None:
    plan = planned(KEYED)
    key = object_named(plan, "primary key", "people")
    assert (key.fate, "PRIMARY KEY" in key.ddl) == (Fate.CARRIED, True)
    email = next(each for each in plan.table("people").columns if each.source == "email")
    assert email.not_null


def test_a_key_with_nulls_is_unique_and_may_be_null() -> None:
    plan = planned(KEYED + "INSERT INTO people VALUES (NULL, 'y', 2);")
    key = object_named(plan, "primary key", "people")
    assert (key.fate, "UNIQUE" in key.ddl) == (Fate.CHANGED, True)
    assert not next(
        each for each in plan.table("people").columns if each.source == "email"
    ).not_null


def test_a_key_that_is_compared_without_case_has_an_index_for_it() -> None:
    folded = object_named(planned(KEYED), "unique", "codes (code)")
    assert folded.ddl.startswith("CREATE UNIQUE INDEX")
    assert "lower(" in folded.ddl


def test_what_is_made_where_rows_break_a_unique_index_has_its_condition() -> None:
    index = object_named(planned(KEYED), "unique", "nicks")
    assert "UNIQUE" not in index.fallback
    condition = index.ddl.partition(" WHERE ")[2]
    assert condition
    assert index.fallback.partition(" WHERE ")[2] == condition


def test_constraints_are_made_without_a_look_at_the_rows_and_validated_apart() -> None:
    plan = planned(KEYED)
    check = object_named(plan, "check", "people: age > 0")
    foreign = object_named(plan, "foreign key", "pets (owner) → people (email)")
    for constraint in (check, foreign):
        assert constraint.ddl.endswith(" NOT VALID")
        assert "VALIDATE CONSTRAINT" in constraint.validate
    assert " ON UPDATE SET NULL ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED" in foreign.ddl


NUMBERS = "CREATE TABLE t (a); INSERT INTO t VALUES (1), (2), (3);"


@pytest.mark.parametrize(
    "text",
    [
        "count(*)",
        "max(a)",
        "group_concat(a)",
        "row_number() OVER ()",
        "1) OR (1",
        "1), (2",
        "1 AS TEXT), CAST(2",
        "1 AS TEXT) OR CAST(2",
        "1) FROM t UNION SELECT (2",
        "1); SELECT (2",
        "/* nothing */",
    ],
)
@pytest.mark.parametrize("key", ["where", "expression"])
def test_sql_of_a_mapping_is_one_expression_over_a_row(tmp_path: Path, key: str, text: str) -> None:
    table = "[tables.t]" if key == "where" else "[tables.t.columns.a]\ntype = 'text'"
    with pytest.raises(InvalidMapping):
        counted(tmp_path / "a.db", NUMBERS, f"{table}\n{key} = '{text}'")


@pytest.mark.parametrize(
    "text",
    [
        "a > 1 OR a IS NULL -- a comment",
        "a IN (SELECT max(a) FROM t) /* and one more */",
        "CASE WHEN a = ')' THEN '(' ELSE a END",
        "(SELECT count(*) FROM t AS o WHERE o.a < t.a)",
        "CAST(a AS TEXT) COLLATE NOCASE",
    ],
)
def test_whatever_is_one_expression_is_taken(tmp_path: Path, text: str) -> None:
    quoted = json.dumps(text)
    mapping = f"[tables.t]\nwhere = {quoted}\n"
    mapping += f"[tables.t.columns.a]\ntype = 'text'\nexpression = {quoted}"
    (table,) = counted(tmp_path / "a.db", NUMBERS, mapping).tables
    assert table.where == table.columns[0].expression == text
