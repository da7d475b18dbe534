"""Staged rows go into tables that are there: all of them or none.

The tables are as migrations make them, with what an import knows nothing of: triggers, computed
columns, keys that are looked at late.
"""

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest

from dbopsd.db.database import Database
from dbopsd.db.errors import ConstraintViolation, UniqueViolation
from dbopsd.db.identifiers import quoted
from dbopsd.db.session import Session
from dbopsd.migrate.importer.model.plan import Fate, Plan, PlannedObject, PlannedTable
from dbopsd.migrate.importer.model.report import RevertedTable
from dbopsd.migrate.importer.model.requests import ImportRequest, Mode, Target
from dbopsd.migrate.importer.model.target_errors import MergeIncomplete, TableInUse
from dbopsd.migrate.importer.plan import existing_tables
from dbopsd.migrate.importer.processes.resources import import_session
from dbopsd.migrate.importer.publish import publication
from dbopsd.migrate.importer.publish.merge import Merge
from dbopsd.migrate.importer.publish.refill import Refill
from dbopsd.migrate.importer.records import import_records
from dbopsd.migrate.importer.records.import_records import PublishedTable, RecordState
from tests.support.patience import eventually
from tests.support.staged import PLAN, column, emails, person, schemas, stage

TABLES = """
CREATE TABLE users (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email text NOT NULL,
    shout text GENERATED ALWAYS AS (upper(email)) STORED,
    best bigint
);
CREATE TABLE orders (
    id bigserial PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES users DEFERRABLE,
    note text,
    made timestamptz NOT NULL DEFAULT '2024-01-01 UTC'
);
ALTER TABLE users ADD FOREIGN KEY (best) REFERENCES orders DEFERRABLE;
CREATE TABLE fired (what text);
CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql
    AS 'BEGIN INSERT INTO fired VALUES (tg_op); RETURN coalesce(NEW, OLD); END';
CREATE TRIGGER fires BEFORE INSERT OR UPDATE OR DELETE ON users
    FOR EACH ROW EXECUTE FUNCTION fire();
INSERT INTO users (email) VALUES ('old-1'), ('old-2');
INSERT INTO orders (user_id, note) VALUES (1, 'old'), (2, 'old');
UPDATE users SET best = 2 WHERE id = 1;
TRUNCATE fired;
"""


def asked(mode: Mode, *, delete_missing: bool = False) -> ImportRequest:
    return ImportRequest(
        "/srv/new.db", target=Target.EXISTING, mode=mode, delete_missing=delete_missing
    )


@pytest.fixture
async def session(database: Database, database_dsn: str) -> AsyncIterator[Session]:
    with person(database_dsn) as connection:
        connection.execute(TABLES)
    async with import_session(database) as session:
        yield session


async def merge_rows(session: Session, dsn: str, request: ImportRequest) -> list[PublishedTable]:
    record = await stage(session, dsn, "new", rows_only=True)
    return await publication.publish(session, record, request)


def everything(dsn: str) -> list[object]:
    with person(dsn) as connection:
        return [
            connection.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()
            for table in ("users", "orders", "fired")
        ]


async def test_replaced_rows_are_kept_and_come_back(session: Session, database_dsn: str) -> None:
    before = everything(database_dsn)
    placed = await merge_rows(session, database_dsn, asked(Mode.REPLACE))
    assert placed == [PublishedTable("users", True, 2), PublishedTable("orders", True, 2)]
    assert emails(database_dsn) == ["new-1", "new-3"]
    assert emails(database_dsn, "dbops_old_new") == ["old-1", "old-2"]
    assert schemas(database_dsn) == ["dbops_old_new"]
    with person(database_dsn) as connection:
        assert connection.execute("SELECT count(*) FROM fired").fetchone() == (0,)
        connection.execute("INSERT INTO users (email) VALUES ('later')")
        assert connection.execute("SELECT id, shout FROM users WHERE id > 3").fetchall() == [
            (4, "LATER")
        ]
        assert connection.execute("SELECT * FROM fired").fetchall() == [("INSERT",)]
        connection.execute("TRUNCATE fired")

    reverted = await publication.revert(
        session, await import_records.get_record(session, "new", "main")
    )
    assert reverted == [RevertedTable("users", 3, 2), RevertedTable("orders", 2, 2)]
    assert everything(database_dsn) == before
    assert schemas(database_dsn) == []
    assert (await import_records.get_record(session, "new", "main")).state is RecordState.REVERTED
    with person(database_dsn) as connection:
        connection.execute("UPDATE users SET email = 'x' WHERE id = 1")
        assert connection.execute("SELECT * FROM fired").fetchall() == [("UPDATE",)]


async def test_merging_twice_is_merging_once(session: Session, database_dsn: str) -> None:
    placed = await merge_rows(session, database_dsn, asked(Mode.UPSERT))
    after = everything(database_dsn)
    record = await import_records.get_record(session, "new", "main")
    assert await publication.publish(session, record, asked(Mode.UPSERT)) == placed
    assert everything(database_dsn) == after


async def test_an_upsert_changes_what_differs_and_deletes_only_if_asked(
    session: Session, database_dsn: str
) -> None:
    with person(database_dsn) as connection:
        connection.execute("UPDATE orders SET note = 'new' WHERE id = 1")
    placed = await merge_rows(session, database_dsn, asked(Mode.UPSERT))
    # The first order was as the file has it already.
    assert placed == [PublishedTable("users", True, 2), PublishedTable("orders", True, 1)]
    assert emails(database_dsn) == ["new-1", "new-3", "old-2"]
    with person(database_dsn) as connection:
        assert connection.execute("SELECT best FROM users WHERE id = 1").fetchone() == (2,)
        connection.execute("UPDATE users SET best = NULL")
    await stage(session, database_dsn, "newer", rows_only=True)
    record = await import_records.get_record(session, "newer", "main")
    placed = await publication.publish(session, record, asked(Mode.UPSERT, delete_missing=True))
    assert placed == [PublishedTable("users", True, 2, 1), PublishedTable("orders", True, 2, 1)]
    assert emails(database_dsn) == ["newer-1", "newer-3"]
    with person(database_dsn) as connection:
        connection.execute("INSERT INTO orders (user_id) VALUES (1)")
        assert connection.execute("SELECT max(id) FROM orders").fetchone() == (4,)


# What is there, what the file has, and what `=` takes for the same in PostgreSQL.
SAME_BY_EQUALITY = {
    "numeric": ("1.00", "1"),
    "double precision": ("-0", "0"),
    "real": ("0", "-0"),
    "jsonb": ('{"a": 1.0}', '{"a": 1}'),
    # Of another collation than the staged one.
    'text COLLATE "POSIX"': ("same", "same"),
    'varchar(5) COLLATE "POSIX"': ("same", "same"),
}


@pytest.mark.parametrize("type_name", SAME_BY_EQUALITY)
async def test_after_an_upsert_a_value_is_the_files_and_not_its_equal(
    session: Session, database_dsn: str, type_name: str
) -> None:
    before, after = SAME_BY_EQUALITY[type_name]
    value = column("v", type_name.partition(" COLLATE")[0])
    table = PlannedTable("loose", "loose", (column("id", "numeric"), value), key=("id",))
    with person(database_dsn) as connection:
        connection.execute(f"CREATE TABLE loose (id numeric PRIMARY KEY, v {type_name})")
        connection.execute(f"INSERT INTO loose VALUES (1.0, {before!r}), (2, {before!r})")
        # Whoever refers to a row by its key does not see that change.
        connection.execute("CREATE TABLE other (id numeric REFERENCES loose ON UPDATE SET NULL)")
        connection.execute("INSERT INTO other VALUES (1)")
    rows = f"INSERT INTO loose VALUES (1, {after!r}), (3, {after!r})"
    # The third row is added, the first is changed where its value is another one.
    for who, written in (("new", 1 + (before != after)), ("newer", 0)):
        record = await stage(session, database_dsn, who, plan=Plan((table,)), rows=rows)
        placed = await publication.publish(session, record, asked(Mode.UPSERT))
        assert [each.merged_rows for each in placed] == [written]
    with person(database_dsn) as connection:
        assert connection.execute("SELECT id::text, v::text FROM loose ORDER BY id").fetchall() == [
            ("1.0", after),
            ("2", before),
            ("3", after),
        ]
        assert connection.execute("SELECT id FROM other").fetchall() == [(1,)]


async def test_triggers_are_afterwards_what_they_were(session: Session, database_dsn: str) -> None:
    names = ("off", "always", 'on a "replica"', "fires")
    with person(database_dsn) as connection:
        for name in names[:3]:
            quoted = name.replace('"', '""')
            connection.execute(
                f'CREATE TRIGGER "{quoted}" AFTER UPDATE ON users'
                " FOR EACH ROW EXECUTE FUNCTION fire()"
            )
        connection.execute(
            'ALTER TABLE users DISABLE TRIGGER "off", ENABLE ALWAYS TRIGGER "always",'
            ' ENABLE REPLICA TRIGGER "on a ""replica"""'
        )

    def states() -> dict[str, str]:
        with person(database_dsn) as connection:
            return dict(
                connection.execute(
                    "SELECT tgname, tgenabled::text FROM pg_trigger WHERE tgname = ANY(%s)",
                    (list(names),),
                ).fetchall()
            )

    expected = dict(zip(names, "DARO", strict=True))
    assert states() == expected
    for mode in (Mode.UPSERT, Mode.REPLACE):
        await merge_rows(session, database_dsn, asked(mode))
        assert states() == expected
        await publication.revert(session, await import_records.get_record(session, "new", "main"))
        assert states() == expected
        await import_records.delete_record(session, "new")
    assert everything(database_dsn)[2] == []


async def test_an_append_with_a_key_that_is_there_does_nothing(
    session: Session, database_dsn: str
) -> None:
    before = everything(database_dsn)
    with pytest.raises(UniqueViolation, match="users_pkey"):
        await merge_rows(session, database_dsn, asked(Mode.APPEND))
    assert everything(database_dsn) == before
    assert (await import_records.get_record(session, "new", "main")).state is RecordState.STAGED


async def test_rows_whose_parents_are_nowhere_do_not_arrive(
    session: Session, database_dsn: str
) -> None:
    before = everything(database_dsn)
    record = await stage(session, database_dsn, "new", rows_only=True)
    with person(database_dsn, record.staging_schema) as connection:
        connection.execute("UPDATE orders SET user_id = 99 WHERE id = 3")
    with pytest.raises(ConstraintViolation, match="violates foreign key"):
        await publication.publish(session, record, asked(Mode.UPSERT))
    assert everything(database_dsn) == before


async def test_a_rule_that_swallows_rows_is_noticed(session: Session, database_dsn: str) -> None:
    with person(database_dsn) as connection:
        connection.execute("CREATE RULE none AS ON INSERT TO orders DO INSTEAD NOTHING")
    before = everything(database_dsn)
    with pytest.raises(MergeIncomplete) as error:
        await merge_rows(session, database_dsn, asked(Mode.REPLACE))
    assert (error.value.table, error.value.rows) == ('"public"."orders"', 2)
    assert everything(database_dsn) == before
    assert schemas(database_dsn) == ["dbops_new_new"]


async def test_rows_that_others_refer_to_cannot_give_way(
    session: Session, database_dsn: str
) -> None:
    await merge_rows(session, database_dsn, asked(Mode.REPLACE))
    with person(database_dsn) as connection:
        connection.execute(
            "CREATE TABLE other (o bigint CONSTRAINT of_order REFERENCES orders);"
            "INSERT INTO other VALUES (1)"
        )
    record = await stage(session, database_dsn, "newer", rows_only=True)
    replaced = await import_records.get_record(session, "new", "main")
    for attempt in (
        Refill().check(session, asked(Mode.REPLACE), PLAN),
        publication.publish(session, record, asked(Mode.REPLACE)),
        publication.revert(session, replaced),
    ):
        with pytest.raises(TableInUse) as error:
            await attempt
        assert error.value.dependents == "foreign key of_order of public.other"
    await Merge().check(session, asked(Mode.UPSERT), PLAN)
    assert emails(database_dsn) == ["new-1", "new-3"]


async def test_a_lock_on_the_rows_is_waited_for(session: Session, database_dsn: str) -> None:
    record = await stage(session, database_dsn, "new", rows_only=True)
    with psycopg.connect(database_dsn) as holder:
        holder.execute("LOCK TABLE orders")
        with person(database_dsn) as other:
            other.execute("SET statement_timeout = '100ms'")
            with pytest.raises(psycopg.errors.QueryCanceled):
                other.execute("SELECT FROM orders")
        holder.rollback()
    await publication.publish(session, record, asked(Mode.REPLACE))
    assert emails(database_dsn) == ["new-1", "new-3"]


async def test_nobody_refers_to_a_row_that_is_about_to_be_deleted(
    session: Session, database_dsn: str
) -> None:
    record = await stage(session, database_dsn, "new", rows_only=True)
    request = asked(Mode.UPSERT, delete_missing=True)
    with psycopg.connect(database_dsn) as holder, person(database_dsn) as watcher:
        # What a foreign key does for a row that comes to refer to another.
        holder.execute("UPDATE users SET best = NULL")
        holder.commit()
        holder.execute("SELECT FROM users WHERE id = 1 FOR KEY SHARE")
        publishing = asyncio.create_task(publication.publish(session, record, request))
        await eventually(
            lambda: watcher.execute(
                "SELECT FROM pg_locks WHERE mode = 'ExclusiveLock' AND NOT granted"
                " AND relation = 'users'::regclass"
            ).fetchall(),
            30,
        )
        holder.rollback()
        await publishing
    assert emails(database_dsn) == ["new-1", "new-3"]


COUNTED = """
CREATE TABLE serial_ (id serial PRIMARY KEY, v text);
CREATE TABLE small (id smallserial PRIMARY KEY, v text);
CREATE TABLE always (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text);
CREATE SEQUENCE shared;
CREATE TABLE "o%s'ther" (id int PRIMARY KEY DEFAULT nextval('shared'), v text);
CREATE SEQUENCE down INCREMENT -1;
CREATE TABLE downwards (id int PRIMARY KEY DEFAULT nextval('down'), v text);
SELECT nextval('shared') FROM generate_series(1, 90);
"""
TABLES_COUNTED = ("serial_", "small", "always", "o%s'ther", "downwards")


@pytest.mark.parametrize("mode", [Mode.REPLACE, Mode.APPEND])
async def test_sequences_go_on_after_the_numbers_that_rows_ever_had(
    database: Database, database_dsn: str, mode: Mode
) -> None:
    """Of rows that the file has no more: 40 was used, and the largest that is there is 7."""
    with person(database_dsn) as connection:
        connection.execute(COUNTED)
    plan = Plan(
        tuple(
            PlannedTable(
                *(name, name, (column("id", "bigint", not_null=True), column("v", "text"))),
                key=("id",),
                rowid_column="id",
                last_number=40,
            )
            for name in TABLES_COUNTED
        )
    )
    async with import_session(database) as session:
        fitted = await existing_tables.fit_plan(session, asked(mode), plan)
        rows = ";".join(f"INSERT INTO \"{name}\" VALUES (7, 'x')" for name in TABLES_COUNTED)
        record = await stage(session, database_dsn, "new", plan=fitted, rows=rows)
        await publication.publish(session, record, asked(mode))
    with person(database_dsn) as connection:
        given = {
            name: connection.execute(
                f"INSERT INTO {quoted(name)} (v) VALUES ('next') RETURNING id"
            ).fetchone()
            for name in TABLES_COUNTED
        }
    assert given == {
        "serial_": (41,),
        "small": (41,),
        "always": (41,),
        "o%s'ther": (91,),
        "downwards": (-1,),
    }


async def test_a_sequence_at_its_end_is_no_error(database: Database, database_dsn: str) -> None:
    with person(database_dsn) as connection:
        connection.execute("CREATE TABLE small (id smallserial PRIMARY KEY, v text)")
    columns = (column("id", "bigint", not_null=True), column("v", "text"))
    plan = Plan(
        (
            PlannedTable(
                *("small", "small", columns), key=("id",), rowid_column="id", last_number=10**12
            ),
        ),
        (PlannedObject("sequence", "small.id", Fate.CARRIED, table="small"),),
    )
    async with import_session(database) as session:
        fitted = await existing_tables.fit_plan(session, asked(Mode.REPLACE), plan)
        assert [each.fate for each in fitted.objects] == [Fate.CARRIED]
        record = await stage(
            session, database_dsn, "new", plan=fitted, rows="INSERT INTO small VALUES (7, 'x')"
        )
        await publication.publish(session, record, asked(Mode.REPLACE))
    with (
        person(database_dsn) as connection,
        pytest.raises(psycopg.errors.SequenceGeneratorLimitExceeded),
    ):
        connection.execute("INSERT INTO small (v) VALUES ('next')")
