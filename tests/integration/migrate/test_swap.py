"""Staged tables take the place of others in one moment, and give it back."""

import asyncio
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator

import psycopg
import pytest

from dbopsd.db.database import Database
from dbopsd.db.errors import StatementFailed
from dbopsd.db.session import Session
from dbopsd.migrate.importer.model.plan import Fate, Plan, PlannedObject
from dbopsd.migrate.importer.model.requests import ImportRequest
from dbopsd.migrate.importer.model.target_errors import (
    ImportNotFound,
    ImportNotPublished,
    NameTaken,
    TableInUse,
)
from dbopsd.migrate.importer.processes.resources import import_session
from dbopsd.migrate.importer.publish import publication
from dbopsd.migrate.importer.publish.swap import Swap
from dbopsd.migrate.importer.records import import_records
from dbopsd.migrate.importer.records.import_records import RecordState
from tests.support import staged
from tests.support.patience import eventually
from tests.support.servers import PostgresServer
from tests.support.staged import PLAN, RELATIONS, emails, person, publish, schemas, stage

OLD, NEW = ["old-1", "old-2"], ["new-1", "new-2"]
REQUEST = ImportRequest(source="/srv/new.db")


@pytest.fixture
async def session(database: Database) -> AsyncIterator[Session]:
    """What an import works with."""
    async with import_session(database) as session:
        yield session


@pytest.fixture
def make_role(postgres: PostgresServer) -> Iterator[Callable[[], str]]:
    """`make_role() -> name` of a role that is there until the test's database is gone."""
    names: list[str] = []

    def make() -> str:
        names.append(f"Role {uuid.uuid4().hex[:8]}")
        postgres.execute(f'CREATE ROLE "{names[-1]}"')
        return names[-1]

    yield make
    for name in names:
        postgres.execute(f'DROP ROLE "{name}"')


async def published(session: Session, dsn: str, who: str, schema: str = "public") -> None:
    await publish(session, await stage(session, dsn, who, schema=schema))


async def state_of(session: Session, who: str) -> RecordState:
    return (await import_records.get_record(session, who, "main")).state


async def test_the_first_one_makes_its_schema(session: Session, database_dsn: str) -> None:
    schema = 'Größe "x"'
    await published(session, database_dsn, "new", schema)
    assert staged.relations(database_dsn, schema) == list(RELATIONS)
    assert emails(database_dsn, schema) == NEW
    assert schemas(database_dsn) == []
    with person(database_dsn, schema) as connection:
        assert connection.execute("SELECT count(*) FROM user_orders").fetchone() == (2,)
    record = await import_records.get_record(session, "new", "main")
    assert record.state is RecordState.PUBLISHED
    assert [each.replaced for each in record.published] == ["", "", ""]


async def test_what_stood_there_is_kept_and_comes_back(session: Session, database_dsn: str) -> None:
    await published(session, database_dsn, "old")
    record = await stage(session, database_dsn, "new")
    assert emails(database_dsn) == OLD
    assert await publish(session, record) == await import_records.get_record(session, "new", "main")
    assert emails(database_dsn) == NEW
    assert emails(database_dsn, "dbops_old_new") == OLD
    assert staged.relations(database_dsn, "dbops_old_new") == list(RELATIONS)
    assert schemas(database_dsn) == ["dbops_old_new"]
    with person(database_dsn) as connection:
        connection.execute("INSERT INTO orders (id, user_id) VALUES (7, 1)")
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            connection.execute("INSERT INTO orders (id, user_id) VALUES (8, 8)")

    await publication.revert(session, await import_records.get_record(session, "new", "main"))
    assert emails(database_dsn) == OLD
    # What it brought is there to be looked at, and what was written to it since.
    assert schemas(database_dsn) == ["dbops_new_new"]
    with person(database_dsn, "dbops_new_new") as connection:
        assert connection.execute("SELECT count(*) FROM orders").fetchone() == (3,)
    assert await state_of(session, "new") is RecordState.REVERTED


async def test_a_revert_where_nothing_stood_leaves_nothing(
    session: Session, database_dsn: str
) -> None:
    await published(session, database_dsn, "new")
    await publication.revert(session, await import_records.get_record(session, "new", "main"))
    assert staged.relations(database_dsn, "public") == []
    assert staged.relations(database_dsn, "dbops_new_new") == list(RELATIONS)


async def test_tables_and_views_take_each_others_places(
    session: Session, database_dsn: str
) -> None:
    with person(database_dsn) as connection:
        connection.execute(
            "CREATE TABLE user_orders (old int); CREATE VIEW users AS SELECT 'old' AS email;"
            "CREATE TABLE orders (id int) PARTITION BY RANGE (id);"
            "CREATE TABLE orders_1 PARTITION OF orders FOR VALUES FROM (0) TO (10);"
            "INSERT INTO orders VALUES (5)"
        )
    await published(session, database_dsn, "new")
    assert emails(database_dsn) == NEW
    assert emails(database_dsn, "dbops_old_new") == ["old"]
    await publication.revert(session, await import_records.get_record(session, "new", "main"))
    assert emails(database_dsn) == ["old"]
    with person(database_dsn) as connection:
        assert connection.execute("SELECT id FROM orders").fetchall() == [(5,)]
        assert connection.execute("SELECT count(*) FROM user_orders").fetchall() == [(0,)]


async def test_publishing_twice_is_publishing_once(session: Session, database_dsn: str) -> None:
    await published(session, database_dsn, "old")
    record = await stage(session, database_dsn, "new")
    first = await publish(session, record)
    assert await publish(session, record) == first
    assert emails(database_dsn) == NEW
    assert emails(database_dsn, "dbops_old_new") == OLD


async def test_two_who_publish_at_once_publish_once(
    database: Database, session: Session, database_dsn: str
) -> None:
    await published(session, database_dsn, "old")
    record = await stage(session, database_dsn, "new")

    async def other() -> object:
        async with import_session(database) as another:
            return await publication.publish(another, record, REQUEST)

    found = await asyncio.gather(*(other() for _ in range(4)))
    assert all(each == found[0] for each in found)
    assert [each.kept for each in await publication.publish(session, record, REQUEST)] == [
        True,
        True,
    ]
    assert emails(database_dsn, "dbops_old_new") == OLD


async def test_owner_and_privileges_are_handed_over(
    make_role: Callable[[], str], session: Session, database_dsn: str
) -> None:
    owner, reader, clerk = make_role(), make_role(), make_role()
    await published(session, database_dsn, "old")
    with person(database_dsn) as connection:
        me = connection.info.user
        connection.execute(
            f'ALTER TABLE users OWNER TO "{owner}"; GRANT SELECT ON users TO PUBLIC;'
            f'GRANT INSERT ON users TO "{clerk}" WITH GRANT OPTION;'
            f'GRANT UPDATE (email), SELECT (email) ON users TO "{reader}";'
            f'GRANT SELECT ON user_orders TO "{reader}"; GRANT DELETE ON users TO {me}'
        )

    def privileges() -> tuple[object, ...]:
        with person(database_dsn) as connection:
            return (
                connection.execute(
                    "SELECT relname, pg_get_userbyid(relowner), ARRAY("
                    " SELECT acl::text FROM unnest(relacl) AS acl ORDER BY 1)"
                    " FROM pg_class WHERE relname IN ('users', 'orders', 'user_orders')"
                    " AND relnamespace = 'public'::regnamespace ORDER BY relname"
                ).fetchall(),
                connection.execute(
                    "SELECT attname, attacl::text FROM pg_attribute"
                    " WHERE attrelid = 'users'::regclass AND attacl IS NOT NULL"
                ).fetchall(),
            )

    before = privileges()
    await published(session, database_dsn, "new")
    assert emails(database_dsn) == NEW
    assert privileges() == before
    await publication.revert(session, await import_records.get_record(session, "new", "main"))
    assert privileges() == before


async def test_readers_see_the_old_state_or_the_new_one_and_never_an_error(
    session: Session, database_dsn: str
) -> None:
    await published(session, database_dsn, "old")
    seen: list[tuple[str, ...]] = []
    waits: list[float] = []
    over = threading.Event()

    def read() -> None:
        with person(database_dsn) as connection:
            while not over.is_set():
                began = time.monotonic()
                seen.extend(
                    connection.execute(
                        "SELECT DISTINCT split_part(email, '-', 1), o.note, v.note"
                        " FROM users JOIN orders o ON user_id = users.id"
                        " JOIN user_orders v USING (email)"
                    ).fetchall()
                )
                waits.append(time.monotonic() - began)

    readers = [asyncio.create_task(asyncio.to_thread(read)) for _ in range(3)]
    try:
        await eventually(lambda: len(seen) > 20)
        record = await stage(session, database_dsn, "new")
        already = len(seen)
        await publication.publish(session, record, REQUEST)
        await eventually(lambda: seen[-1][0] == "new")
        await publication.revert(session, await import_records.get_record(session, "new", "main"))
        await eventually(lambda: seen[-1][0] == "old")
    finally:
        over.set()
        await asyncio.gather(*readers)
    assert set(seen) == {("old",) * 3, ("new",) * 3}
    assert set(seen[:already]) == {("old",) * 3}
    assert max(waits) < 3


async def test_a_lock_is_waited_for_in_short_turns(session: Session, database_dsn: str) -> None:
    await published(session, database_dsn, "old")
    record = await stage(session, database_dsn, "new")
    with psycopg.connect(database_dsn) as holder, person(database_dsn) as reader:
        holder.execute("SELECT FROM orders")
        began = time.monotonic()
        placed = asyncio.create_task(publication.publish(session, record, REQUEST))
        longest = 0.0
        while time.monotonic() - began < 1.5:
            asked = time.monotonic()
            await asyncio.to_thread(reader.execute, "SELECT FROM users, orders")
            longest = max(longest, time.monotonic() - asked)
            await asyncio.sleep(0.01)
        assert not placed.done()
        assert emails(database_dsn) == OLD
        holder.rollback()
        await placed
    assert time.monotonic() - began < 10
    assert longest < 1.2, "whoever waits behind it waits for one turn"
    assert emails(database_dsn) == NEW


TAKEN = {
    "index of a table's name": (
        "CREATE TABLE other (id int); CREATE INDEX users ON other (id)",
        ("users", "index"),
    ),
    "index of an index's name": (
        "CREATE TABLE other (id int); CREATE INDEX users_email ON other (id)",
        ("users_email", "index"),
    ),
    "key of a key's name": (
        "CREATE TABLE other (id int CONSTRAINT orders_pkey PRIMARY KEY)",
        ("orders_pkey", "index"),
    ),
    "sequence of a table's name": ("CREATE SEQUENCE orders", ("orders", "sequence")),
    "sequence of a sequence's name": ("CREATE SEQUENCE users_id_seq", ("users_id_seq", "sequence")),
    "materialized view": (
        "CREATE MATERIALIZED VIEW users AS SELECT 1",
        ("users", "materialized view"),
    ),
    "composite type": ("CREATE TYPE user_orders AS (a int)", ("user_orders", "type")),
    "enum": ("CREATE TYPE users AS ENUM ('a')", ("users", "type")),
    "domain": ("CREATE DOMAIN orders AS text", ("orders", "type")),
    "array's type": ("CREATE TYPE _users AS ENUM ('a')", ("_users", "type")),
}


def plan_with_keys() -> Plan:
    """The plan as it is before anything is made of it."""
    names = {"users_pkey": "users", "orders_pkey": "orders", "users_email": "users"}
    objects = [
        PlannedObject("index", name, Fate.CARRIED, ddl="CREATE …", table=of, target=name)
        for name, of in names.items()
    ]
    return Plan(PLAN.tables, (*PLAN.objects, *objects))


@pytest.mark.parametrize(("statement", "taken"), TAKEN.values(), ids=TAKEN.keys())
async def test_a_name_that_something_else_has(
    session: Session, database_dsn: str, statement: str, taken: tuple[str, str]
) -> None:
    name, kind = taken
    with person(database_dsn) as connection:
        connection.execute(statement)
    record = await stage(session, database_dsn, "new")
    with pytest.raises(NameTaken) as error:
        await publish(session, record)
    assert (error.value.name, error.value.kind) == (f'"public"."{name}"', kind)
    assert await state_of(session, "new") is RecordState.STAGED
    # Before anything is copied, too, but for what only PostgreSQL can name.
    if name != "_users":
        with pytest.raises(NameTaken) as error:
            await Swap().check(session, REQUEST, plan_with_keys())
        assert error.value.name == f'"public"."{name}"'


async def test_names_of_what_gives_way_are_free(session: Session, database_dsn: str) -> None:
    await published(session, database_dsn, "old")
    with person(database_dsn) as connection:
        connection.execute(
            "CREATE INDEX more ON users (email); CREATE TABLE other (users int, orders text)"
        )
    await Swap().check(session, REQUEST, plan_with_keys())
    await published(session, database_dsn, "new")
    assert emails(database_dsn) == NEW


IN_USE = {
    "foreign key": (
        "CREATE TABLE other (u bigint CONSTRAINT of_user REFERENCES users)",
        ("public.users", "foreign key of_user of public.other"),
    ),
    "view": (
        "CREATE VIEW other AS SELECT * FROM user_orders",
        ("public.user_orders", "view public.other"),
    ),
    "materialized view": (
        "CREATE MATERIALIZED VIEW other AS SELECT * FROM orders",
        ("public.orders", "view public.other"),
    ),
    "function": (
        "CREATE FUNCTION other() RETURNS bigint BEGIN ATOMIC SELECT count(*) FROM orders; END",
        ("public.orders", "function public.other()"),
    ),
    "child": (
        "CREATE TABLE other () INHERITS (orders)",
        ("public.orders", "table public.other, which inherits from it"),
    ),
    "parent": (
        "CREATE TABLE other (email text); ALTER TABLE users INHERIT other",
        ("public.users", "table public.other, whose partition it is"),
    ),
    "policy": (
        "ALTER TABLE users ENABLE ROW LEVEL SECURITY; CREATE POLICY mine ON users USING (id = 1)",
        ("public.users", "policy mine of public.users"),
    ),
}


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        (
            "CREATE TABLE other (id bigint REFERENCES part)",
            "foreign key other_id_fkey of public.other",
        ),
        (
            "CREATE TABLE other (id bigint REFERENCES users)",
            "foreign key other_id_fkey of public.other",
        ),
        ("CREATE VIEW few AS SELECT * FROM part", "view public.few"),
    ],
)
async def test_a_table_with_a_partition_that_others_go_on_with(
    session: Session, database_dsn: str, statement: str, told: str
) -> None:
    with person(database_dsn) as connection:
        connection.execute(
            "CREATE TABLE users (id bigint PRIMARY KEY) PARTITION BY RANGE (id);"
            "CREATE TABLE part PARTITION OF users FOR VALUES FROM (0) TO (10)"
        )
    await Swap().check(session, REQUEST, PLAN)
    with person(database_dsn) as connection:
        connection.execute(statement)
    with pytest.raises(TableInUse) as error:
        await Swap().check(session, REQUEST, PLAN)
    assert error.value.dependents == told


@pytest.mark.parametrize(("statement", "told"), IN_USE.values(), ids=IN_USE.keys())
async def test_a_table_that_others_go_on_with(
    session: Session, database_dsn: str, statement: str, told: tuple[str, str]
) -> None:
    await published(session, database_dsn, "old")
    await published(session, database_dsn, "newer")
    with person(database_dsn) as connection:
        connection.execute(statement)
    record = await stage(session, database_dsn, "new")
    newer = await import_records.get_record(session, "newer", "main")
    for attempt in (
        publish(session, record),
        Swap().check(session, REQUEST, PLAN),
        publication.revert(session, newer),
    ):
        with pytest.raises(TableInUse) as error:
            await attempt
        assert (error.value.table, error.value.dependents) == told
    assert emails(database_dsn) == ["newer-1", "newer-2"]
    assert await state_of(session, "new") is RecordState.STAGED
    assert await state_of(session, "newer") is RecordState.PUBLISHED
    with person(database_dsn) as connection:
        connection.execute(
            "DROP POLICY IF EXISTS mine ON users; ALTER TABLE users DISABLE ROW LEVEL SECURITY"
        )
        for kind in ("TABLE", "VIEW", "MATERIALIZED VIEW", "FUNCTION"):
            try:
                connection.execute(f"DROP {kind} IF EXISTS other CASCADE")
            except psycopg.errors.WrongObjectType:
                continue
    if not told[1].startswith("table other, whose"):
        await publish(session, record)
        assert emails(database_dsn) == NEW


async def test_only_what_is_published_can_be_reverted(session: Session, database_dsn: str) -> None:
    record = await stage(session, database_dsn, "new")
    with pytest.raises(ImportNotPublished, match="is STAGED"):
        await publication.revert(session, record)
    await publish(session, record)
    await publication.revert(session, await import_records.get_record(session, "new", "main"))
    with pytest.raises(ImportNotPublished, match="is REVERTED"):
        await publication.revert(session, await import_records.get_record(session, "new", "main"))
    with pytest.raises(ImportNotFound, match="operations/other"):
        await import_records.get_record(session, "other", "main")


async def test_imports_are_reverted_in_the_order_in_which_they_lie_on_each_other(
    session: Session, database_dsn: str
) -> None:
    for who in ("old", "new", "newest"):
        await published(session, database_dsn, who)
    with pytest.raises(ImportNotPublished, match="revert what came after it first"):
        await publication.revert(session, await import_records.get_record(session, "new", "main"))
    assert await state_of(session, "new") is RecordState.PUBLISHED
    for who, there in (("newest", NEW), ("new", OLD)):
        await publication.revert(session, await import_records.get_record(session, who, "main"))
        assert emails(database_dsn) == there
    await publication.revert(session, await import_records.get_record(session, "old", "main"))
    assert staged.relations(database_dsn, "public") == []


async def test_a_revert_with_a_table_that_is_gone(session: Session, database_dsn: str) -> None:
    await published(session, database_dsn, "old")
    await published(session, database_dsn, "new")
    with person(database_dsn) as connection:
        connection.execute("DROP VIEW user_orders; DROP TABLE orders")
    with pytest.raises(ImportNotPublished, match="is not what it brought any more"):
        await publication.revert(session, await import_records.get_record(session, "new", "main"))
    assert emails(database_dsn) == NEW


async def test_a_revert_keeps_what_somebody_put_among_what_is_kept(
    session: Session, database_dsn: str
) -> None:
    await published(session, database_dsn, "old")
    await published(session, database_dsn, "new")
    with person(database_dsn, "dbops_old_new") as connection:
        connection.execute("CREATE TABLE mine (id int)")
    with pytest.raises(StatementFailed, match="other objects depend on it"):
        await publication.revert(session, await import_records.get_record(session, "new", "main"))
    assert emails(database_dsn) == NEW
