"""What a plan notes of a file, and what is not certain about it."""

import sqlite3
from contextlib import closing

import pytest

from dbopsd.migrate.importer.inspect.inspect_schema import inspect_schema
from dbopsd.migrate.importer.model.plan import Plan
from dbopsd.migrate.importer.model.requests import ImportRequest
from dbopsd.migrate.importer.plan.mapping import read_mapping
from dbopsd.migrate.importer.plan.plan_builder import build_plan
from dbopsd.migrate.importer.plan.time_units import ambiguous_time_notes
from dbopsd.migrate.importer.profile.profile_table import profile_table

MIXED = """
CREATE TABLE events (at TIMESTAMP);
INSERT INTO events VALUES (1704067200), (1704067200.5), (1704067200000), ('2024-01-01');
"""


def planned(sql: str, mapping: str = "") -> Plan:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript(sql)
        schema = inspect_schema(connection)
        profiles = {table.name: profile_table(connection, table) for table in schema.tables}
    return build_plan(schema, profiles, ImportRequest(source="app.db"), read_mapping(mapping))


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
