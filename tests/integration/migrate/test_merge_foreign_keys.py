"""What foreign keys do to others' rows as rows are merged and taken out again is never lost unseen.

Either all of it comes back, or the revert says why it does not and changes nothing.
"""

from collections.abc import AsyncIterator

import pytest

from dbopsd.db.database import Database
from dbopsd.db.session import Session
from dbopsd.db.statement import Statement
from dbopsd.migrate.importer.model.plan import PlannedTable
from dbopsd.migrate.importer.model.requests import ImportRequest
from dbopsd.migrate.importer.model.target_errors import (
    ImportNotPublished,
    RevertIncomplete,
    RowsReferredTo,
)
from dbopsd.migrate.importer.processes.resources import import_session
from tests.support.merged import (
    APPEND,
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
from tests.support.staged import column

O = merged_table("o", "email", "note")  # noqa: E741


@pytest.fixture
async def session(database: Database) -> AsyncIterator[Session]:
    async with import_session(database) as session:
        yield session


@pytest.mark.parametrize(
    ("tables", "request_", "rows", "planned", "since"),
    [
        pytest.param(
            f"{PARTITIONED} CREATE TABLE other (id int CONSTRAINT likes REFERENCES p1"
            " ON DELETE CASCADE, note text);",
            *(UPSERT, "INSERT INTO p VALUES (1, 'a'), (2, 'b')", P),
            "INSERT INTO other VALUES (2, 'precious')",
            id="to a partition",
        ),
        pytest.param(
            "CREATE TABLE p (id int, v text) PARTITION BY RANGE (id);"
            "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100);"
            "ALTER TABLE p1 ADD UNIQUE (id);"
            "CREATE TABLE other (id int CONSTRAINT likes REFERENCES p1 (id) ON DELETE SET NULL);",
            *(APPEND, "INSERT INTO p VALUES (1, 'a'), (2, 'b')", merged_table("p", "v", key=())),
            "INSERT INTO other VALUES (2)",
            id="to a partition of a table without a key",
        ),
        pytest.param(
            f"{PARTITIONED} CREATE TABLE other (id int CONSTRAINT likes REFERENCES p"
            " ON DELETE CASCADE);",
            *(UPSERT, "INSERT INTO p1 VALUES (2, 'b')", merged_table("p1", "v")),
            "INSERT INTO other VALUES (2)",
            id="to the table that it is a partition of",
        ),
        pytest.param(
            f"{UNIQUE} INSERT INTO u VALUES (1, 'a');",
            *(UPSERT, "INSERT INTO u VALUES (1, 'z')", U),
            "CREATE TABLE other (email text CONSTRAINT likes REFERENCES u (email)"
            " ON UPDATE SET NULL); INSERT INTO other VALUES ('z')",
            id="to what was changed",
        ),
        pytest.param(
            f"{UNIQUE} INSERT INTO u VALUES (1, 'a');",
            *(UPSERT, "INSERT INTO u VALUES (1, 'z'), (9, 'a')", U),
            "CREATE TABLE other (email text CONSTRAINT likes REFERENCES u (email)"
            " ON DELETE CASCADE); INSERT INTO other VALUES ('a')",
            id="to what another row gets back",
        ),
    ],
)
async def test_rows_that_others_refer_to_do_not_go(
    session: Session,
    database_dsn: str,
    tables: str,
    request_: ImportRequest,
    rows: str,
    planned: PlannedTable,
    since: str,
) -> None:
    do(database_dsn, tables)
    await merge(session, database_dsn, request_, rows, planned)
    do(database_dsn, since)
    before = everything(database_dsn)
    with pytest.raises(RowsReferredTo) as error:
        await take_back(session)
    assert (error.value.rows, error.value.by) == (1, "foreign key likes of public.other")
    assert everything(database_dsn) == before


@pytest.mark.parametrize(
    ("tables", "request_", "rows", "planned", "by"),
    [
        pytest.param(
            f"{PARTITIONED} INSERT INTO p VALUES (2, 'b');"
            "CREATE TABLE other (id int CONSTRAINT likes REFERENCES p1 ON DELETE CASCADE);"
            "INSERT INTO other VALUES (2);",
            *(MIRROR, "INSERT INTO p VALUES (1, 'a')", (P,), "likes of public.other"),
            id="of a partition",
        ),
        pytest.param(
            f"{UNIQUE} CREATE TABLE o (id int PRIMARY KEY, email text CONSTRAINT likes"
            " REFERENCES u (email) ON UPDATE CASCADE, note text);"
            "INSERT INTO u VALUES (1, 'a'); INSERT INTO o VALUES (1, 'a', 'old');",
            UPSERT,
            "INSERT INTO u VALUES (1, 'A'); INSERT INTO o VALUES (1, 'A', 'new')",
            *((U, O), "likes of public.o"),
            id="of another table of the import",
        ),
        pytest.param(
            f"{UNIQUE} CREATE TABLE o (id int PRIMARY KEY, email text CONSTRAINT likes"
            " REFERENCES u (email) ON UPDATE CASCADE, note text);"
            "INSERT INTO u VALUES (1, 'a'); INSERT INTO o VALUES (1, 'a', 'old');",
            UPSERT,
            "INSERT INTO u VALUES (1, 'A'); INSERT INTO o VALUES (1, 'A', 'old')",
            *((U, O), "likes of public.o"),
            id="of another table of the import, and nothing else",
        ),
        pytest.param(
            "CREATE TABLE u (id int PRIMARY KEY, email text UNIQUE, boss text CONSTRAINT likes"
            " REFERENCES u (email) ON UPDATE CASCADE);"
            "INSERT INTO u VALUES (1, 'a', NULL), (2, 'b', 'a');",
            *(UPSERT, "INSERT INTO u VALUES (1, 'A'), (2, 'B')", (U,), "likes of public.u"),
            id="of the table itself",
        ),
        pytest.param(
            f"{UNIQUE} CREATE TABLE other (email text UNIQUE REFERENCES u (email)"
            " ON UPDATE CASCADE); CREATE TABLE third (email text CONSTRAINT likes"
            " REFERENCES other (email) ON UPDATE SET NULL); INSERT INTO u VALUES (1, 'a');"
            "INSERT INTO other VALUES ('a'); INSERT INTO third VALUES ('a');",
            *(UPSERT, "INSERT INTO u VALUES (1, 'z')", (U,), "likes of public.third"),
            id="of what refers to what refers to it",
        ),
        pytest.param(
            "CREATE TABLE u (id int PRIMARY KEY, email text,"
            " loud text GENERATED ALWAYS AS (upper(email)) STORED UNIQUE);"
            "CREATE TABLE other (loud text CONSTRAINT likes REFERENCES u (loud)"
            " ON DELETE SET NULL, id int REFERENCES u ON UPDATE CASCADE);"
            "INSERT INTO u VALUES (1, 'a'), (2, 'b'); INSERT INTO other VALUES ('B', 1);",
            *(MIRROR, "INSERT INTO u VALUES (1, 'a')", (U,), "likes of public.other"),
            id="of what is computed",
        ),
        pytest.param(
            "CREATE TABLE u (id int PRIMARY KEY, n numeric UNIQUE, email text);"
            "CREATE TABLE other (n numeric CONSTRAINT likes REFERENCES u (n) ON UPDATE SET NULL);"
            "INSERT INTO u VALUES (1, 1.0, 'a'); INSERT INTO other VALUES (1);",
            UPSERT,
            "INSERT INTO u VALUES (1, 1.00, 'b')",
            (
                PlannedTable(
                    *("u", "u"),
                    (column("id", "integer"), column("n", "numeric"), column("email", "text")),
                    key=("id",),
                ),
            ),
            "likes of public.other",
            id="of what is the same, but for zeros",
        ),
    ],
)
async def test_what_foreign_keys_did_to_others_is_not_undone(
    session: Session,
    database_dsn: str,
    tables: str,
    request_: ImportRequest,
    rows: str,
    planned: tuple[PlannedTable, ...],
    by: str,
) -> None:
    do(database_dsn, tables)
    await merge(session, database_dsn, request_, rows, *planned)
    before = everything(database_dsn)
    with pytest.raises(ImportNotPublished, match=f"changed or deleted, by foreign key {by}"):
        await take_back(session)
    assert everything(database_dsn) == before


async def test_rows_further_away_that_came_since_stay(session: Session, database_dsn: str) -> None:
    do(
        database_dsn,
        f"{UNIQUE} CREATE TABLE other (email text UNIQUE REFERENCES u (email) ON UPDATE CASCADE);"
        "INSERT INTO u VALUES (1, 'a'); INSERT INTO other VALUES ('a')",
    )
    await merge(session, database_dsn, UPSERT, "INSERT INTO u VALUES (1, 'z')", U)
    do(
        database_dsn,
        "CREATE TABLE third (email text CONSTRAINT likes REFERENCES other (email)"
        " ON UPDATE SET NULL); INSERT INTO third VALUES ('z'), ('z')",
    )
    before = everything(database_dsn)
    with pytest.raises(
        ImportNotPublished, match=r"2 others .* by foreign key likes of public.third"
    ):
        await take_back(session)
    assert everything(database_dsn) == before
    do(database_dsn, "DELETE FROM third")
    await take_back(session)
    assert everything(database_dsn) == {"u": ["(1,a)"], "other": ["(a)"], "third": []}


async def test_what_triggers_of_others_did_is_not_undone(
    session: Session, database_dsn: str
) -> None:
    do(
        database_dsn,
        f"{UNIQUE} CREATE TABLE other (email text REFERENCES u (email) ON UPDATE CASCADE);"
        "CREATE TABLE changes (n int); INSERT INTO changes VALUES (0);"
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql"
        " AS 'BEGIN UPDATE changes SET n = n + 1; RETURN NULL; END';"
        "CREATE TRIGGER counts AFTER UPDATE ON other FOR EACH ROW EXECUTE FUNCTION note();"
        "INSERT INTO u VALUES (1, 'a'), (2, 'b'); INSERT INTO other VALUES ('a')",
    )
    await merge(session, database_dsn, UPSERT, "INSERT INTO u VALUES (2, 'c')", U)
    await take_back(session)
    await merge(session, database_dsn, UPSERT, "INSERT INTO u VALUES (1, 'z')", U, who="newer")
    with pytest.raises(ImportNotPublished, match=r"a function that writes to public\.changes"):
        await take_back(session, "newer")
    assert everything(database_dsn)["changes"] == ["(1)"]


async def test_what_nobody_counts_is_not_undone(session: Session, database_dsn: str) -> None:
    do(database_dsn, f"{UNIQUE} INSERT INTO u VALUES (1, 'a')")
    count = {each: Statement(f"SET track_counts = {each}", "SET") for each in ("off", "on")}
    await session.execute(count["off"])
    await merge(session, database_dsn, UPSERT, "INSERT INTO u VALUES (1, 'b')", U)
    await session.execute(count["on"])
    with pytest.raises(ImportNotPublished, match="while track_counts was off"):
        await take_back(session)
    await merge(session, database_dsn, UPSERT, "INSERT INTO u VALUES (1, 'c')", U, who="newer")
    await session.execute(count["off"])
    with pytest.raises(ImportNotPublished, match="while track_counts is off"):
        await take_back(session, "newer")
    await session.execute(count["on"])
    await take_back(session, "newer")
    assert everything(database_dsn) == {"u": ["(1,b)"]}


async def test_rows_that_are_not_as_they_were_are_noticed(
    session: Session, database_dsn: str
) -> None:
    do(
        database_dsn,
        f"{UNIQUE} CREATE TABLE o (id int PRIMARY KEY, email text, note text);"
        "INSERT INTO u VALUES (1, 'a'), (2, 'q'); INSERT INTO o VALUES (1, 'b', '')",
    )
    rows = "INSERT INTO u VALUES (1, 'b'); INSERT INTO o VALUES (1, 'q', '')"
    await merge(session, database_dsn, UPSERT, rows, U, O)
    do(database_dsn, "ALTER TABLE o ADD FOREIGN KEY (email) REFERENCES u (email) ON UPDATE CASCADE")
    before = everything(database_dsn)
    # The order gets back the email that the user gives up after that.
    with pytest.raises(RevertIncomplete) as error:
        await take_back(session)
    assert (error.value.table, error.value.rows) == ('"public"."o"', 1)
    assert everything(database_dsn) == before
