"""A part of a table is copied once, with its record in one transaction."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dbopsd.db.database import Database
from dbopsd.db.errors import DatabaseError
from dbopsd.db.session import Session
from dbopsd.migrate.importer.copy.copy_part import copy_part
from dbopsd.migrate.importer.model.plan import Plan, PlannedTable
from dbopsd.migrate.importer.model.requests import BadRows
from dbopsd.migrate.importer.processes.resources import import_session
from dbopsd.migrate.importer.processes.tasks import Copied, CopyPart
from tests.support.staged import column, person, stage

T = PlannedTable("t", "t", (column("id", "bigint"), column("v", "text")), key=("id",), rows=2)


class Copier:
    """A process's context, with one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def session(self) -> Session:
        return self._session

    def progress(self, _units: int) -> None:
        """Nobody watches."""


@pytest.fixture
async def session(database: Database) -> AsyncIterator[Session]:
    async with import_session(database) as session:
        yield session


async def copy(session: Session, dsn: str, file: Path, refusal: str = "") -> Copied:
    """Copy the only part of a table of two rows. `refusal` is SQL of somebody else before it."""
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT);")
        connection.executescript("INSERT INTO t VALUES (1, 'a'), (2, 'b');")
    record = await stage(session, dsn, "new", plan=Plan((T,)), rows="SELECT")
    if refusal:
        with person(dsn) as other:
            other.execute(refusal)
    task = CopyPart(str(file), T, None, 0, "new", record.staging_schema, BadRows.FAIL, 10)
    context: Any = Copier(session)
    first = await copy_part(task, context)
    assert await copy_part(task, context) == first
    return first


def rows_of(dsn: str) -> int:
    with person(dsn) as connection:
        found = connection.execute(
            "SELECT staging_schema FROM dbops.imports WHERE import_id = 'new'"
        ).fetchone()
        assert found is not None
        counted = connection.execute(f'SELECT count(*) FROM "{found[0]}".t').fetchone()
        assert counted is not None
        return int(counted[0])


async def test_a_part_that_is_recorded_is_not_copied_again(
    session: Session, database_dsn: str, tmp_path: Path
) -> None:
    copied = await copy(session, database_dsn, tmp_path / "file.db")
    assert (copied.rows, copied.copied_rows) == (2, 2)
    assert rows_of(database_dsn) == 2


async def test_rows_whose_record_fails_are_not_there(
    session: Session, database_dsn: str, tmp_path: Path
) -> None:
    refuse = "ALTER TABLE dbops.import_parts ADD CONSTRAINT no CHECK (part < 0)"
    with pytest.raises(DatabaseError):
        await copy(session, database_dsn, tmp_path / "file.db", refuse)
    assert rows_of(database_dsn) == 0
