"""Rows that were appended or upserted are taken out again, and those that gave way come back.

Or nothing happens at all, because somebody has written to them since.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from dbopsd.db.database import Database
from dbopsd.db.errors import ConstraintViolation
from dbopsd.db.session import Session
from dbopsd.migrate.importer.model.plan import Plan, PlannedTable
from dbopsd.migrate.importer.model.report import RevertedTable
from dbopsd.migrate.importer.model.requests import ImportRequest, Mode, Target
from dbopsd.migrate.importer.model.target_errors import (
    ImportNotPublished,
    RowsChangedSince,
    RowsReferredTo,
)
from dbopsd.migrate.importer.processes.resources import import_session
from dbopsd.migrate.importer.publish import publication
from dbopsd.migrate.importer.records import import_records
from dbopsd.migrate.importer.records.import_records import RecordState
from dbopsd.migrate.importer.run_import import clean_up
from tests.support.staged import column, person, schemas, stage

TABLES = """
CREATE TABLE users (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email text NOT NULL UNIQUE,
    settings json,
    shout text GENERATED ALWAYS AS (upper(email)) STORED,
    best bigint,
    seen integer NOT NULL DEFAULT 0
);
CREATE TABLE orders (
    id bigserial PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
    "100% {note}" text
);
CREATE TABLE log ("at%s" bigint, what json);
CREATE TABLE fired (what text);
CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql
    AS 'BEGIN INSERT INTO fired VALUES (tg_op); RETURN coalesce(NEW, OLD); END';
CREATE TRIGGER fires BEFORE INSERT OR UPDATE OR DELETE ON users
    FOR EACH ROW EXECUTE FUNCTION fire();
INSERT INTO users (email, settings, seen) VALUES
    ('a', '{"x":  1}', 7), ('b', '{"x": 2}', 8), ('c', NULL, 9);
INSERT INTO orders VALUES (1, 1, 'old'), (2, 2, 'old'), (3, 3, 'old');
INSERT INTO log VALUES (1, '{"a":  1}'), (1, '{"a":  1}'), (2, NULL);
TRUNCATE fired;
"""
# The first is changed, the second is as it is, the fourth is new, the third is not in the file.
ROWS = """
INSERT INTO users VALUES (1, 'A', '{"x": 1}'), (2, 'b', '{"x": 2}'), (4, 'd', '{}');
INSERT INTO orders VALUES (1, 4, 'new'), (2, 2, 'old'), (4, 1, 'new');
INSERT INTO log VALUES (1, '{"a":  1}'), (1, '{"a":  1}'), (1, '{"a": 1}'), (3, NULL);
"""
USERS = PlannedTable(
    *("users", "users"),
    (column("id", "bigint"), column("email", "text"), column("settings", "json")),
    key=("id",),
)
ORDERS = PlannedTable(
    *("orders", "orders"),
    (column("id", "bigint"), column("user_id", "bigint"), column("100% {note}", "text")),
    key=("id",),
)
LOG = PlannedTable("log", "log", (column("at%s", "bigint"), column("what", "json")))
NAMES = ("users", "orders", "log")


def asked(mode: Mode, *, delete_missing: bool = False) -> ImportRequest:
    return ImportRequest(
        "/srv/new.db", target=Target.EXISTING, mode=mode, delete_missing=delete_missing
    )


UPSERT, MIRROR = asked(Mode.UPSERT), asked(Mode.UPSERT, delete_missing=True)
APPEND = asked(Mode.APPEND)


@pytest.fixture
async def session(database: Database, database_dsn: str) -> AsyncIterator[Session]:
    do(database_dsn, TABLES)
    async with import_session(database) as session:
        yield session


def do(dsn: str, script: str) -> None:
    with person(dsn) as connection:
        connection.execute(script)


def everything(dsn: str, *names: str) -> dict[str, list[str]]:
    """Each row as its text."""
    with person(dsn) as connection:
        return {
            name: [
                row[0] for row in connection.execute(f"SELECT t::text FROM {name} AS t ORDER BY 1")
            ]
            for name in (*(names or NAMES), "fired")
        }


async def merge(
    session: Session,
    dsn: str,
    request: ImportRequest,
    *tables: PlannedTable,
    rows: str = ROWS,
    who: str = "new",
) -> None:
    plan = Plan(tables or (USERS, ORDERS))
    wanted = "".join(
        f"{line}\n"
        for line in rows.splitlines()
        if any(line.startswith(f"INSERT INTO {table.target} ") for table in plan.tables)
    )
    record = await stage(session, dsn, who, plan=plan, rows=wanted)
    await publication.publish(session, record, request)


async def take_back(session: Session, who: str = "new") -> list[RevertedTable]:
    return await publication.revert(session, await import_records.get_record(session, who, "main"))


async def refused(
    session: Session, dsn: str, kind: type[Exception], who: str = "new"
) -> pytest.ExceptionInfo[Exception]:
    """The error of a revert that changes nothing."""
    before = everything(dsn)
    with pytest.raises(kind) as error:
        await take_back(session, who)
    assert everything(dsn) == before
    assert (await import_records.get_record(session, who, "main")).state is RecordState.PUBLISHED
    assert schemas(dsn)
    return error


@pytest.mark.parametrize(
    ("request_", "users", "orders", "kept"),
    [
        (UPSERT, RevertedTable("users", 1, 1), RevertedTable("orders", 1, 1), (1, 1)),
        (MIRROR, RevertedTable("users", 1, 2), RevertedTable("orders", 1, 2), (2, 2)),
    ],
    ids=["upsert", "mirror"],
)
async def test_an_upsert_is_undone(
    session: Session,
    database_dsn: str,
    request_: ImportRequest,
    users: RevertedTable,
    orders: RevertedTable,
    kept: tuple[int, int],
) -> None:
    before = everything(database_dsn)
    await merge(session, database_dsn, request_)
    assert everything(database_dsn) != before
    assert schemas(database_dsn) == ["dbops_old_new"]
    with person(database_dsn, "dbops_old_new") as connection:
        # What was as it is in the file is not kept.
        for name, rows in zip(("users", "orders"), kept, strict=True):
            assert connection.execute(f"SELECT count(*) FROM {name}").fetchone() == (rows,)
            written = connection.execute(f"SELECT count(*) FROM {name}_written").fetchone()
            assert written == (2,)
    assert await take_back(session) == [users, orders]
    assert everything(database_dsn) == before
    assert schemas(database_dsn) == []
    assert (await import_records.get_record(session, "new", "main")).state is RecordState.REVERTED
    with pytest.raises(ImportNotPublished, match="is REVERTED"):
        await take_back(session)
    # Its triggers see what comes.
    do(database_dsn, "UPDATE users SET seen = 1 WHERE id = 1")
    assert everything(database_dsn)["fired"] == ["(UPDATE)"]


async def test_an_append_is_undone(session: Session, database_dsn: str) -> None:
    before = everything(database_dsn)
    rows = (
        "INSERT INTO users VALUES (10, 'x', '[]');\nINSERT INTO orders VALUES (10, 10, 'x'),"
        " (11, 1, 'x');\nINSERT INTO log VALUES (1, '{\"a\":  1}'), (1, '{\"a\": 1}'), (2, NULL);"
    )
    await merge(session, database_dsn, APPEND, USERS, ORDERS, LOG, rows=rows)
    assert len(everything(database_dsn)["log"]) == 6
    # Those of others come and go meanwhile.
    do(database_dsn, "INSERT INTO log VALUES (9, NULL); UPDATE users SET seen = 0 WHERE id = 3")
    before["log"] = sorted([*before["log"], "(9,)"])
    before["users"] = [each.replace(",9)", ",0)") for each in before["users"]]
    do(database_dsn, "TRUNCATE fired")
    assert await take_back(session) == [
        *(RevertedTable("users", 1, 0), RevertedTable("orders", 2, 0), RevertedTable("log", 3, 0))
    ]
    assert everything(database_dsn) == before
    assert schemas(database_dsn) == []


async def test_of_rows_that_are_the_same_as_many_go_as_came(
    session: Session, database_dsn: str
) -> None:
    before = everything(database_dsn)
    await merge(session, database_dsn, APPEND, LOG)
    await merge(session, database_dsn, APPEND, LOG, who="newer")
    assert len(everything(database_dsn)["log"]) == 11
    assert await take_back(session) == [RevertedTable("log", 4, 0)]
    # As many copies as the other one brought have to be there for it.
    do(database_dsn, "DELETE FROM log WHERE ctid = (SELECT max(ctid) FROM log WHERE what IS NULL)")
    error = await refused(session, database_dsn, RowsChangedSince, "newer")
    assert isinstance(error.value, RowsChangedSince)
    assert (error.value.changed, error.value.missing, error.value.taken) == (0, 1, 0)
    do(database_dsn, 'INSERT INTO log ("at%s") VALUES (3)')
    assert await take_back(session, "newer") == [RevertedTable("log", 4, 0)]
    assert everything(database_dsn) == before


async def test_partitions_have_rows_in_the_same_places(session: Session, database_dsn: str) -> None:
    do(
        database_dsn,
        "ALTER TABLE log RENAME TO elsewhere;"
        'CREATE TABLE log ("at%s" bigint, what json) PARTITION BY RANGE ("at%s");'
        "CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM (0) TO (2);"
        "CREATE TABLE log_2 PARTITION OF log FOR VALUES FROM (2) TO (10);"
        "INSERT INTO log SELECT * FROM elsewhere",
    )
    before = everything(database_dsn)
    await merge(session, database_dsn, APPEND, LOG)
    assert await take_back(session) == [RevertedTable("log", 4, 0)]
    assert everything(database_dsn) == before


@pytest.mark.parametrize(
    ("since", "counts"),
    [
        ("UPDATE users SET email = 'other' WHERE id = 1", (1, 0, 0)),
        # Not a column of the file, and of a row that was added.
        ("UPDATE users SET seen = 1 WHERE id = 4", (1, 0, 0)),
        ("UPDATE users SET settings = '{\"x\":   1}' WHERE id = 1", (1, 0, 0)),
        ("DELETE FROM users WHERE id = 1", (0, 1, 0)),
        ("INSERT INTO users (id, email) OVERRIDING SYSTEM VALUE VALUES (3, 'mine')", (0, 0, 1)),
    ],
)
async def test_what_somebody_has_written_since_is_not_lost(
    session: Session, database_dsn: str, since: str, counts: tuple[int, int, int]
) -> None:
    await merge(session, database_dsn, MIRROR)
    do(database_dsn, since)
    error = await refused(session, database_dsn, RowsChangedSince)
    assert isinstance(error.value, RowsChangedSince)
    assert (error.value.changed, error.value.missing, error.value.taken) == counts
    assert error.value.table == '"public"."users"'
    assert '"dbops_old_new"."users" has them as they were before' in error.value.message
    assert '"dbops_old_new"."users_written" has them as the import wrote' in error.value.message


async def test_one_after_the_other(session: Session, database_dsn: str) -> None:
    before = everything(database_dsn)
    await merge(session, database_dsn, MIRROR)
    between = everything(database_dsn)
    rows = "INSERT INTO users VALUES (1, 'Z', NULL), (4, 'd', '{}'), (2, 'B', NULL);"
    await merge(session, database_dsn, UPSERT, USERS, rows=rows, who="newer")
    error = await refused(session, database_dsn, RowsChangedSince)
    assert "Revert the later changes first" in str(error.value)
    assert await take_back(session, "newer") == [RevertedTable("users", 0, 2)]
    assert everything(database_dsn) == between
    await take_back(session)
    assert everything(database_dsn) == before


async def test_rows_that_refer_to_what_was_brought_do_not_go_with_it(
    session: Session, database_dsn: str
) -> None:
    before = everything(database_dsn)
    await merge(session, database_dsn, UPSERT)
    do(database_dsn, "INSERT INTO orders VALUES (50, 4, 'mine')")
    error = await refused(session, database_dsn, RowsReferredTo)
    assert isinstance(error.value, RowsReferredTo)
    assert (error.value.table, error.value.rows) == ('"public"."users"', 1)
    assert error.value.by == "foreign key orders_user_id_fkey of public.orders"
    do(
        database_dsn,
        "DELETE FROM orders WHERE id = 50;"
        "CREATE TABLE other (u bigint CONSTRAINT likes REFERENCES users ON DELETE SET NULL);"
        "INSERT INTO other VALUES (4), (4), (1)",
    )
    error = await refused(session, database_dsn, RowsReferredTo)
    assert isinstance(error.value, RowsReferredTo)
    assert (error.value.rows, error.value.by) == (2, "foreign key likes of public.other")
    do(database_dsn, "DELETE FROM other WHERE u = 4")
    await take_back(session)
    assert everything(database_dsn) == before
    assert everything(database_dsn, "other")["other"] == ["(1)"]


@pytest.mark.parametrize(
    ("other", "request_", "after"),
    [
        ("id bigint CONSTRAINT likes REFERENCES users ON DELETE CASCADE", MIRROR, ["(1)"]),
        (
            "email text CONSTRAINT likes REFERENCES users (email) ON UPDATE SET NULL",
            *(UPSERT, ["()", "(c)"]),
        ),
    ],
    ids=["delete", "update"],
)
async def test_what_changed_elsewhere_cannot_come_back(
    session: Session, database_dsn: str, other: str, request_: ImportRequest, after: list[str]
) -> None:
    do(database_dsn, f"CREATE TABLE other ({other})")
    column_name, _, _ = other.partition(" ")
    do(database_dsn, f"INSERT INTO other SELECT {column_name} FROM users WHERE id <> 2")
    await merge(session, database_dsn, request_)
    assert everything(database_dsn, "other")["other"] == after
    error = await refused(session, database_dsn, ImportNotPublished)
    assert "foreign key likes of public.other" in str(error.value)


async def test_what_refers_elsewhere_follows(session: Session, database_dsn: str) -> None:
    do(
        database_dsn,
        "CREATE TABLE other (email text REFERENCES users (email) ON UPDATE CASCADE, id bigint"
        " REFERENCES users ON UPDATE SET NULL ON DELETE SET NULL);"
        "INSERT INTO other SELECT email, id FROM users WHERE id < 3",
    )
    before = everything(database_dsn, *NAMES, "other")
    await merge(session, database_dsn, MIRROR)
    assert everything(database_dsn, "other")["other"] == ["(A,1)", "(b,2)"]
    await take_back(session)
    assert everything(database_dsn, *NAMES, "other") == before


async def test_tables_that_refer_to_each_other_and_to_themselves(
    session: Session, database_dsn: str
) -> None:
    do(
        database_dsn,
        "ALTER TABLE users ADD FOREIGN KEY (best) REFERENCES orders DEFERRABLE;"
        "ALTER TABLE orders ADD COLUMN after bigint REFERENCES orders ON DELETE CASCADE;"
        "ALTER TABLE orders ALTER CONSTRAINT orders_user_id_fkey DEFERRABLE;"
        "UPDATE users SET best = 3 WHERE id = 1; UPDATE orders SET after = 2 WHERE id = 1;"
        "TRUNCATE fired",
    )
    before = everything(database_dsn)
    users = replace(USERS, columns=(*USERS.columns[:2], column("best", "bigint")))
    orders = replace(ORDERS, columns=(*ORDERS.columns[:2], column("after", "bigint")))
    rows = (
        "INSERT INTO users VALUES (1, 'a', 4), (2, 'b', NULL), (4, 'd', 4);\n"
        # The first goes from one that is there to one that comes.
        "INSERT INTO orders VALUES (4, 4, NULL), (1, 1, 4), (2, 4, 1);"
    )
    await merge(session, database_dsn, MIRROR, users, orders, rows=rows)
    assert len(everything(database_dsn)["orders"]) == 3
    assert await take_back(session) == [
        *(RevertedTable("users", 1, 2), RevertedTable("orders", 1, 3))
    ]
    assert everything(database_dsn) == before


async def test_what_is_unique_is_given_back(session: Session, database_dsn: str) -> None:
    before = everything(database_dsn)
    # An email that one row gives up goes to a new one.
    rows = "INSERT INTO users VALUES (1, 'z', NULL)"
    await merge(session, database_dsn, UPSERT, USERS, rows=f"{rows}, (9, 'a', NULL);")
    do(database_dsn, "INSERT INTO users (id, email) OVERRIDING SYSTEM VALUE VALUES (77, 'free')")
    await take_back(session)
    do(database_dsn, "DELETE FROM users WHERE id = 77; TRUNCATE fired")
    assert everything(database_dsn) == before
    await merge(session, database_dsn, UPSERT, USERS, rows=rows, who="newer")
    do(database_dsn, "INSERT INTO users (id, email) OVERRIDING SYSTEM VALUE VALUES (77, 'a')")
    await refused(session, database_dsn, ConstraintViolation, "newer")


async def test_where_nothing_changes_nothing_is_kept(session: Session, database_dsn: str) -> None:
    before = everything(database_dsn)
    rows = "INSERT INTO users VALUES (2, 'b', '{\"x\": 2}');"
    await merge(session, database_dsn, UPSERT, USERS, rows=rows)
    assert schemas(database_dsn) == []
    assert await take_back(session) == [RevertedTable("users", 0, 0)]
    assert everything(database_dsn) == before


@pytest.mark.parametrize(
    ("since", "said"),
    [
        ("ALTER TABLE users ADD COLUMN more text", "has other columns by now"),
        ("DROP SCHEMA dbops_old_new CASCADE", "is not there any more"),
        ("ALTER TABLE users DROP CONSTRAINT users_pkey CASCADE", "any more that id of"),
        ("CREATE RULE r AS ON UPDATE TO users DO INSTEAD NOTHING", "has a rule by now, r"),
        ("CREATE TABLE child () INHERITS (orders)", "that inherits from it by now, public.child"),
        # As an older version has it.
        ("UPDATE dbops.imports SET published = published #- '{0,merge}'", "kept nothing"),
        ("ALTER TABLE users RENAME TO x; CREATE TABLE users ()", "revert what came after it first"),
    ],
)
async def test_what_cannot_be_undone_says_why(
    session: Session, database_dsn: str, since: str, said: str
) -> None:
    await merge(session, database_dsn, UPSERT)
    do(database_dsn, since)
    before = everything(database_dsn)
    with pytest.raises(ImportNotPublished, match=said):
        await take_back(session)
    assert everything(database_dsn) == before


@pytest.mark.parametrize(
    ("writing", "kind"),
    [
        ("UPDATE users SET seen = 1 WHERE id = 4", RowsChangedSince),
        ("INSERT INTO other VALUES (4)", RowsReferredTo),
    ],
)
async def test_who_is_writing_is_waited_for(
    session: Session, database_dsn: str, writing: str, kind: type[Exception]
) -> None:
    do(database_dsn, "CREATE TABLE other (u bigint REFERENCES users ON DELETE CASCADE)")
    before = everything(database_dsn)
    await merge(session, database_dsn, UPSERT)
    with psycopg.connect(database_dsn) as writer:
        for done in (writer.commit, writer.rollback):
            writer.execute(writing)
            reverting = asyncio.create_task(take_back(session))
            # Longer than it waits for a lock at a time.
            await asyncio.sleep(0.7)
            assert not reverting.done()
            with person(database_dsn) as reader:
                reader.execute("SET lock_timeout = '50ms'; SELECT FROM users, orders, other")
            done()
            if done == writer.commit:
                with pytest.raises(kind):
                    await reverting
                do(database_dsn, "UPDATE users SET seen = 0 WHERE id = 4; DELETE FROM other")
    await reverting
    assert everything(database_dsn) | {"fired": []} == before


async def test_an_import_that_died_before_it_could_tell_is_taken_back(
    session: Session, database: Database, database_dsn: str, tmp_path: Path
) -> None:
    before = everything(database_dsn)
    await merge(session, database_dsn, MIRROR, USERS, ORDERS)

    cleaner: Any = SimpleNamespace(operation="new", database=database, state_dir=tmp_path)
    request: Any = None
    for _ in range(2):
        await clean_up(cleaner, request)
        assert everything(database_dsn) == before
        assert schemas(database_dsn) == []
        assert await import_records.find_record(session, "new") is None


async def test_the_key_of_an_append_is_the_tables(session: Session, database_dsn: str) -> None:
    rows = "INSERT INTO users VALUES (10, 'x', '[]');"
    await merge(session, database_dsn, APPEND, replace(USERS, key=()), rows=rows)
    do(database_dsn, "UPDATE users SET email = 'y' WHERE id = 10")
    error = await refused(session, database_dsn, RowsChangedSince)
    assert isinstance(error.value, RowsChangedSince)
    assert (error.value.changed, error.value.missing) == (1, 0)
