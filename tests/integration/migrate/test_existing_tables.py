"""Tables that cannot take the rows of a file are told of before anything is copied."""

from collections.abc import AsyncIterator

import pytest

from dbopsd.db.database import Database
from dbopsd.db.session import Session
from dbopsd.migrate.importer.model.plan import Plan, PlannedTable
from dbopsd.migrate.importer.model.requests import Mode
from dbopsd.migrate.importer.model.target_errors import TableInUse, TablesIncompatible
from dbopsd.migrate.importer.plan import existing_tables
from dbopsd.migrate.importer.processes.resources import import_session
from dbopsd.migrate.importer.publish import publication
from dbopsd.migrate.importer.publish.refill import Refill
from dbopsd.migrate.importer.records import import_records
from tests.support.merged import asked, do
from tests.support.staged import column, person, stage

P = PlannedTable("p", "p", (column("id", "integer"), column("v", "text")), key=("id",))
INHERITED = """
CREATE TABLE p (id int PRIMARY KEY, v text);
CREATE TABLE child (extra text) INHERITS (p);
INSERT INTO child VALUES (2, 'c', 'precious');
"""
RULES = """
CREATE TABLE p (id int PRIMARY KEY, v text);
CREATE TABLE audit (id int);
CREATE RULE r AS ON INSERT TO p DO ALSO INSERT INTO audit VALUES (NEW.id);
CREATE RULE off AS ON UPDATE TO p DO INSTEAD NOTHING;
ALTER TABLE p DISABLE RULE off;
CREATE VIEW seen AS TABLE p;
"""
MERGES = [Mode.APPEND, Mode.UPSERT]


@pytest.fixture
async def session(database: Database) -> AsyncIterator[Session]:
    async with import_session(database) as session:
        yield session


async def problems(session: Session, mode: Mode, *tables: PlannedTable) -> str:
    """Those that the tables are refused for."""
    with pytest.raises(TablesIncompatible) as error:
        await existing_tables.fit_plan(session, asked(mode), Plan(tables))
    assert error.value.count == 1
    return error.value.problems


@pytest.mark.parametrize("mode", [*MERGES, Mode.REPLACE])
async def test_rows_of_a_table_that_inherits_stay_there(
    session: Session, database_dsn: str, mode: Mode
) -> None:
    do(database_dsn, INHERITED)
    assert "child inherits from 'p'" in await problems(session, mode, P)
    # It may have come after the plan was made.
    record = await stage(session, database_dsn, "new", plan=Plan((P,)), rows="SELECT")
    with pytest.raises(TablesIncompatible):
        await publication.publish(session, record, asked(mode))
    with person(database_dsn) as connection:
        assert connection.execute("TABLE child").fetchall() == [(2, "c", "precious")]


async def test_rows_of_a_table_that_has_come_to_inherit_stay_there(
    session: Session, database_dsn: str
) -> None:
    do(database_dsn, "CREATE TABLE p (id int PRIMARY KEY, v text)")
    record = await stage(session, database_dsn, "new", plan=Plan((P,)), rows="SELECT")
    await publication.publish(session, record, asked(Mode.REPLACE))
    do(database_dsn, INHERITED.partition(";")[2])
    with pytest.raises(TableInUse, match=r"table public\.child, which inherits from it"):
        await publication.revert(session, await import_records.get_record(session, "new", "main"))
    with person(database_dsn) as connection:
        assert connection.execute("TABLE child").fetchall() == [(2, "c", "precious")]


@pytest.mark.parametrize("mode", MERGES)
async def test_rules_are_told_of(session: Session, database_dsn: str, mode: Mode) -> None:
    do(database_dsn, RULES)
    assert "'p' has the rule r," in await problems(session, mode, P)
    assert (await existing_tables.fit_plan(session, asked(Mode.REPLACE), Plan((P,)))).tables
    do(database_dsn, "DROP RULE r ON p")
    assert (await existing_tables.fit_plan(session, asked(mode), Plan((P,)))).tables


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("UNIQUE (id)", "'p.id' may be NULL, and rows are told by it"),
        ("CHECK (id > 0), ALTER id SET NOT NULL", "nothing says that id of 'p' is unique"),
        ("UNIQUE (id, v), ALTER id SET NOT NULL", "nothing says that id of 'p' is unique"),
        ("UNIQUE (id), ALTER id SET NOT NULL", ""),
        ("UNIQUE (id) INCLUDE (v), ALTER id SET NOT NULL", ""),
        ("PRIMARY KEY (id)", ""),
    ],
)
async def test_a_key_tells_all_rows(
    session: Session, database_dsn: str, key: str, problem: str
) -> None:
    do(database_dsn, f"CREATE TABLE p (id int, v text); ALTER TABLE p ADD {key}")
    if problem:
        assert await problems(session, Mode.UPSERT, P) == problem
    else:
        assert (await existing_tables.fit_plan(session, asked(Mode.UPSERT), Plan((P,)))).tables
    assert (await existing_tables.fit_plan(session, asked(Mode.APPEND), Plan((P,)))).tables


async def test_a_table_and_its_partition_are_not_of_one_file(
    session: Session, database_dsn: str
) -> None:
    do(
        database_dsn,
        "CREATE TABLE p (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);"
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100)",
    )
    p1 = PlannedTable("p1", "p1", P.columns, key=("id",))
    assert "p1 is a partition of 'p'" in await problems(session, Mode.UPSERT, P, p1)
    for each in (P, p1):
        assert (await existing_tables.fit_plan(session, asked(Mode.UPSERT), Plan((each,)))).tables


async def test_a_partition_that_others_refer_to_cannot_give_way(
    session: Session, database_dsn: str
) -> None:
    do(
        database_dsn,
        "CREATE TABLE p (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);"
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100);"
        "CREATE TABLE other (id int CONSTRAINT likes REFERENCES p1)",
    )
    with pytest.raises(TableInUse, match=r"foreign key likes of public\.other"):
        await Refill().check(session, asked(Mode.REPLACE), Plan((P,)))
