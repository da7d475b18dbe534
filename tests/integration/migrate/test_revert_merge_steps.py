"""Merged rows are taken out again step by step, the last one first: constraints hold at each."""

from collections.abc import AsyncIterator

import pytest

from dbopsd.db.database import Database
from dbopsd.db.session import Session
from dbopsd.migrate.importer.model.plan import PlannedTable
from dbopsd.migrate.importer.model.requests import ImportRequest
from dbopsd.migrate.importer.model.target_errors import RowsChangedSince
from dbopsd.migrate.importer.processes.resources import import_session
from tests.support.merged import (
    KEYS,
    MIRROR,
    PARTITIONED,
    UNIQUE,
    UPSERT,
    P,
    U,
    do,
    everything,
    merge,
    merged_table,
    take_back,
)
from tests.support.staged import column, person


@pytest.fixture
async def session(database: Database) -> AsyncIterator[Session]:
    async with import_session(database) as session:
        yield session


NOTHING_REFERS = f"""
{UNIQUE} CREATE TABLE other (email text REFERENCES u (email) ON UPDATE SET NULL);
INSERT INTO u VALUES (1, 'a'), (2, 'x'); INSERT INTO other VALUES ('x');
"""


@pytest.mark.parametrize(
    ("tables", "request_", "rows", "planned"),
    [
        pytest.param(
            f"{UNIQUE} INSERT INTO u VALUES (1, 'b'), (2, 'a');",
            *(UPSERT, "INSERT INTO u VALUES (2, 'b'), (1, 'c')", (U,)),
            id="handed on",
        ),
        pytest.param(
            f"{UNIQUE} INSERT INTO u SELECT i, 1000 - i FROM generate_series(1, 500) AS i;",
            *(UPSERT, "INSERT INTO u SELECT i, 1001 - i FROM generate_series(1, 500) AS i", (U,)),
            id="handed on by many",
        ),
        pytest.param(
            f"{UNIQUE} INSERT INTO u VALUES (1, 'a'), (2, 'b'), (3, 'c');",
            *(UPSERT, "INSERT INTO u VALUES (1, 'q'), (2, 'a'), (3, 'b'), (4, 'c')", (U,)),
            id="handed on to one that comes",
        ),
        pytest.param(
            'CREATE TABLE u (id text COLLATE "C" PRIMARY KEY, email text UNIQUE);'
            "INSERT INTO u VALUES ('B', 1), ('a', 2), ('é', 3), ('Z', 4);",
            UPSERT,
            "INSERT INTO u VALUES ('B', 0), ('Z', 1), ('a', 4), ('é', 2)",
            (PlannedTable("u", "u", (column("id", "text"), column("email", "text")), key=("id",)),),
            id="handed on in the order of texts",
        ),
        pytest.param(
            f"{UNIQUE} CREATE TABLE other (email text REFERENCES u (email));"
            "INSERT INTO u VALUES (1, 'a'); INSERT INTO other VALUES ('a');",
            *(UPSERT, "INSERT INTO u VALUES (1, 'z'), (9, 'a')", (U,)),
            id="referred to, and given back",
        ),
        pytest.param(
            *(NOTHING_REFERS, UPSERT, "INSERT INTO u VALUES (1, 'z')", (U,)),
            id="nothing refers to what changes",
        ),
        pytest.param(
            *(NOTHING_REFERS, UPSERT, "INSERT INTO u VALUES (1, NULL)", (U,)),
            id="nothing refers to what goes",
        ),
        pytest.param(
            "CREATE TABLE u (id int PRIMARY KEY);"
            "CREATE TABLE a (id int PRIMARY KEY, u int) PARTITION BY RANGE (id);"
            "CREATE TABLE a1 PARTITION OF a FOR VALUES FROM (0) TO (100);"
            "ALTER TABLE a1 ADD FOREIGN KEY (u) REFERENCES u;",
            UPSERT,
            "INSERT INTO u VALUES (1); INSERT INTO a VALUES (1, 1)",
            (
                PlannedTable(
                    *("a", "a"), (column("id", "integer"), column("u", "integer")), key=("id",)
                ),
                KEYS,
            ),
            id="a partition refers to another table",
        ),
        *(
            pytest.param(
                'CREATE TABLE u (id int PRIMARY KEY, email text COLLATE "C" UNIQUE);'
                'CREATE TABLE other (email text COLLATE "POSIX" REFERENCES u (email)'
                " ON DELETE CASCADE ON UPDATE SET NULL);"
                "INSERT INTO u VALUES (1, 'a'), (3, 'c'), (4, 'd'); INSERT INTO other VALUES ('a')",
                *(request_, "INSERT INTO u VALUES (1, 'a'), (2, 'b'), (4, 'D')", (U,)),
                id=f"two collations, {name}",
            )
            for name, request_ in (("upsert", UPSERT), ("mirror", MIRROR))
        ),
        pytest.param(
            "CREATE TABLE u (id int PRIMARY KEY); CREATE TABLE u_written (id int PRIMARY KEY);",
            *(UPSERT, "INSERT INTO u VALUES (1); INSERT INTO u_written VALUES (3)"),
            (KEYS, merged_table("u_written")),
            id="a table that is called as what is kept",
        ),
    ],
)
async def test_all_of_it_comes_back(
    session: Session,
    database_dsn: str,
    tables: str,
    request_: ImportRequest,
    rows: str,
    planned: tuple[PlannedTable, ...],
) -> None:
    do(database_dsn, tables)
    before = everything(database_dsn)
    await merge(session, database_dsn, request_, rows, *planned)
    assert everything(database_dsn) != before
    await take_back(session)
    assert everything(database_dsn) == before


async def test_what_is_kept_is_named(session: Session, database_dsn: str) -> None:
    do(
        database_dsn,
        "CREATE TABLE u (id int PRIMARY KEY, email text);"
        "CREATE TABLE u_written (id int PRIMARY KEY); INSERT INTO u VALUES (1, 'a')",
    )
    rows = "INSERT INTO u VALUES (1, 'b'); INSERT INTO u_written VALUES (3)"
    await merge(session, database_dsn, UPSERT, rows, U, merged_table("u_written"))
    do(database_dsn, "DELETE FROM u")
    with pytest.raises(RowsChangedSince) as error:
        await take_back(session)
    kept = (error.value.before, error.value.after)
    assert kept == ('"dbops_old_new"."u"', '"dbops_old_new"."u_written_2"')
    with person(database_dsn) as connection:
        for name, email in zip(kept, "ab", strict=True):
            assert connection.execute(f"SELECT email FROM {name}").fetchall() == [(email,)]
            assert name in error.value.message


async def test_the_triggers_of_a_partition_see_nothing(session: Session, database_dsn: str) -> None:
    do(
        database_dsn,
        f"{PARTITIONED} CREATE TABLE fired (what text);"
        "CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql"
        " AS 'BEGIN INSERT INTO fired VALUES (tg_op); RETURN coalesce(NEW, OLD); END';"
        "CREATE TRIGGER own BEFORE INSERT OR UPDATE OR DELETE ON p1"
        " FOR EACH ROW EXECUTE FUNCTION fire();"
        "CREATE TRIGGER shared BEFORE INSERT OR UPDATE OR DELETE ON p"
        " FOR EACH ROW EXECUTE FUNCTION fire()",
    )
    before = everything(database_dsn)
    await merge(session, database_dsn, UPSERT, "INSERT INTO p VALUES (1, 'b'), (2, 'b')", P)
    await take_back(session)
    assert everything(database_dsn) == before
    do(database_dsn, "UPDATE p SET v = 'c'")
    assert everything(database_dsn)["fired"] == ["(UPDATE)", "(UPDATE)"]
