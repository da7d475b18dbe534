"""The file's rows against PostgreSQL's: all that differs is counted, and the first is named."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dbopsd.db.database import Database
from dbopsd.db.session import Session
from dbopsd.migrate.importer.model.plan import Plan, PlannedColumn, PlannedTable
from dbopsd.migrate.importer.model.report import Difference
from dbopsd.migrate.importer.model.requests import ImportRequest, Mode, Target
from dbopsd.migrate.importer.processes.resources import import_session
from dbopsd.migrate.importer.processes.tasks import (
    Differences,
    DigestSource,
    DigestTarget,
    FindDifferences,
    FindMissing,
    Missing,
)
from dbopsd.migrate.importer.publish import publication
from dbopsd.migrate.importer.verify.find_differences import find_differences
from dbopsd.migrate.importer.verify.find_missing import find_missing
from dbopsd.migrate.importer.verify.table_rows import digest_source, digest_target
from tests.support.staged import column, person, stage

UPSERT = ImportRequest("/srv/new.db", target=Target.EXISTING, mode=Mode.UPSERT)
T = PlannedTable("t", "t", (column("id", "bigint"), column("v", "text")), key=("id",))


class Verifier:
    """A process's tasks, with a file and a session; notes what they tell of their progress."""

    def __init__(self, session: Session, dsn: str, path: Path) -> None:
        self.dsn = dsn
        self.path = str(path)
        self.told: list[int] = []
        self._session = session
        self._context: Any = self

    async def session(self) -> Session:
        return self._session

    def progress(self, units: int) -> None:
        self.told.append(units)

    def go_on(self) -> None:
        """It may take as long as it takes."""

    def has(self, here: str, there: str) -> None:
        """Make tables in the file, and in PostgreSQL."""
        with closing(sqlite3.connect(self.path)) as connection:
            connection.executescript(here)
        with person(self.dsn) as other:
            other.execute(there)

    async def missing(self, table: PlannedTable, most: int = 10, **cap: int) -> Missing:
        with closing(sqlite3.connect(self.path)) as connection:
            (rows,) = connection.execute(f"SELECT count(*) FROM {table.source}").fetchone()
        task = FindMissing(self.path, "public", replace(table, rows=rows), most)
        return await find_missing(task, self._context, **cap)

    async def differences(self, table: PlannedTable, most: int = 10, **cap: int) -> Differences:
        here = await digest_source(DigestSource(self.path, table, None), self._context)
        there = await digest_target(DigestTarget("public", table, 0, 0), self._context)
        task = FindDifferences(self.path, "public", table, here.digest, there.digest, most)
        return await find_differences(task, self._context, **cap)


@pytest.fixture
async def verifier(
    database: Database, database_dsn: str, tmp_path: Path
) -> AsyncIterator[Verifier]:
    async with import_session(database) as session:
        yield Verifier(session, database_dsn, tmp_path / "file.db")


def column_of(name: str, type_name: str, conversion: str) -> PlannedColumn:
    return replace(column(name, type_name), conversion=conversion)


async def test_nothing_differs_after_an_upsert(verifier: Verifier) -> None:
    columns = (
        column_of("id", "numeric", "numeric"),
        column_of("n", "numeric", "numeric"),
        column_of("f", "double precision", "double"),
        column_of("j", "jsonb", "jsonb"),
    )
    table = PlannedTable("t", "t", columns, key=("id",))
    row = """(1, 1, 0.0, '{"a": 1}')"""
    verifier.has(
        "CREATE TABLE t (id NUMERIC PRIMARY KEY, n NUMERIC, f REAL, j JSON);"
        f"INSERT INTO t VALUES {row}",
        "CREATE TABLE t (id numeric PRIMARY KEY, n numeric, f float8, j jsonb);"
        """INSERT INTO t VALUES (1.0, 1.00, '-0', '{"a": 1.0}'), (2, 2, 2, '2')""",
    )
    told = [
        Difference("t", "n", "id=1", "1", "1.00"),
        Difference("t", "f", "id=1", "0.0", "-0.0"),
        Difference("t", "j", "id=1", '{"a": 1}', '{"a": 1.0}'),
    ]
    other = Difference("t", "", "id=2", "", "2, 2, 2.0, 2")
    assert await verifier.missing(table) == Missing(1, 1, told)
    assert await verifier.differences(table) == Differences(2, [*told, other])
    session = await verifier.session()
    record = await stage(
        session, verifier.dsn, "new", plan=Plan((table,)), rows=f"INSERT INTO t VALUES {row}"
    )
    await publication.publish(session, record, UPSERT)
    # The key stays what it was: 1.0.
    assert await verifier.missing(table) == Missing(1, 0)
    assert await verifier.differences(table) == Differences(1, [other])


HERE = """
CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT);
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
INSERT INTO t SELECT i, 'here ' || i FROM n;
"""
# But for one row it has the file's keys; one is a stranger's.
THERE = """
CREATE TABLE t (id bigint PRIMARY KEY, v text);
INSERT INTO t SELECT i, CASE WHEN i % 10 = 0 THEN 'here ' ELSE 'there ' END || i
    FROM generate_series(2, 301) AS i;
"""
CHANGED = [
    Difference("t", "", "id=1", "1, here 1", ""),
    *(Difference("t", "v", f"id={i}", f"here {i}", f"there {i}") for i in range(2, 6)),
]


async def test_of_many_missing_rows_few_are_held_and_all_are_counted(verifier: Verifier) -> None:
    verifier.has(HERE, THERE)
    assert await verifier.missing(T, most=5) == Missing(300, 270, CHANGED)
    assert verifier.told == [300]
    verifier.told.clear()
    found = await verifier.missing(T, most=5, rows_at_once=30)
    assert (found.compared_rows, found.rows, len(found.examples)) == (300, 270, 5)
    assert len(verifier.told) == 10
    assert max(verifier.told) < 60
    everything = await verifier.missing(T, most=1000, rows_at_once=30)
    assert len(set(map(repr, everything.examples))) == 270
    assert {repr(each) for each in CHANGED} < set(map(repr, everything.examples))


async def test_of_many_differing_rows_few_are_held_and_all_are_counted(verifier: Verifier) -> None:
    verifier.has(HERE, THERE)
    stranger = Difference("t", "", "id=301", "", "301, there 301")
    assert await verifier.differences(T, most=5) == Differences(271, CHANGED)
    assert (await verifier.differences(T, most=1000)).examples[-1] == stranger
    found = await verifier.differences(T, most=1000, rows_at_once=30)
    assert found.rows == 271
    assert len(set(map(repr, found.examples))) == 271
    assert {repr(each) for each in [*CHANGED, stranger]} < set(map(repr, found.examples))
    keyless = await verifier.differences(replace(T, key=()), most=1000, rows_at_once=30)
    assert keyless.rows == len(set(map(repr, keyless.examples))) == 270 + 270


@pytest.mark.parametrize(
    ("unique", "partner"), [("", False), ("UNIQUE (v)", False), ("UNIQUE (id)", True)]
)
async def test_a_strangers_row_is_no_version_of_the_files(
    verifier: Verifier, unique: str, partner: bool
) -> None:
    constraint = f", {unique}" if unique else ""
    verifier.has(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'mine')",
        f"CREATE TABLE t (id bigint, v text{constraint});INSERT INTO t VALUES (1, 'a stranger''s')",
    )
    told = (
        Difference("t", "v", "id=1", "mine", "a stranger's")
        if partner
        else Difference("t", "", "id=1", "1, mine", "")
    )
    assert await verifier.missing(T) == Missing(1, 1, [told])


async def test_what_the_file_has_more_often_misses_and_has_not_changed(verifier: Verifier) -> None:
    verifier.has(
        "CREATE TABLE t (id, v); INSERT INTO t VALUES (1, 'a'), (1, 'a'), (1, 'a'), (NULL, 'b')",
        "CREATE TABLE t (id bigint UNIQUE, v text); INSERT INTO t VALUES (1, 'a'), (NULL, 'c')",
    )
    again = Difference("t", "", "id=1", "1, a", "")
    null = Difference("t", "", "id=NULL", "NULL, b", "")
    assert await verifier.missing(T) == Missing(4, 3, [again, again, null])
