"""Work done again where that is safe, look-ups kept for a while."""

import asyncio

import pytest

from dbopsd.db.database import Database
from dbopsd.db.errors import ConnectionLost, UniqueViolation
from dbopsd.db.session import Session
from dbopsd.db.statement import Statement, load_sql
from tests.support.recording import Recording

CREATE = Statement("CREATE TABLE counter (id int PRIMARY KEY, n int)", "CREATE TABLE counter")
FILL = Statement("INSERT INTO counter VALUES (1, 0), (2, 0)", "INSERT counter")
READ = Statement("SELECT n FROM counter WHERE id = %s", "SELECT counter")
WRITE = Statement("UPDATE counter SET n = %s WHERE id = %s", "UPDATE counter")
ADD = Statement("UPDATE counter SET n = n + 1 WHERE id = %s", "UPDATE counter add")
END_MYSELF = Statement(
    "SELECT pg_terminate_backend(pg_backend_pid())", "SELECT pg_terminate_backend"
)


@pytest.fixture
async def counter(database: Database) -> Database:
    async with database.session() as session:
        await session.execute(CREATE)
        await session.execute(FILL)
    return database


async def value(database: Database, number: int) -> int:
    async with database.session() as session:
        row = await session.fetch_one(READ, (number,))
    assert row is not None
    return int(row[0])


async def test_serialization_failures_are_tried_again_until_all_have_counted(
    counter: Database,
) -> None:
    async def increment(session: Session) -> None:
        row = await session.fetch_one(READ, (1,))
        assert row is not None
        await session.execute(WRITE, (row[0] + 1, 1))

    await asyncio.gather(
        *(counter.run(increment, idempotent=False, isolation="SERIALIZABLE") for _ in range(4))
    )
    assert await value(counter, 1) == 4


async def test_a_deadlock_is_tried_again(counter: Database, recording: Recording) -> None:
    both_locked = asyncio.Barrier(2)
    attempts = []

    def crossing(first: int, second: int):
        async def work(session: Session) -> None:
            attempts.append(first)
            await session.execute(ADD, (first,))
            if len(attempts) <= 2:
                await both_locked.wait()
            await session.execute(ADD, (second,))

        return work

    await asyncio.gather(
        counter.run(crossing(1, 2), idempotent=False),
        counter.run(crossing(2, 1), idempotent=False),
    )
    assert (await value(counter, 1), await value(counter, 2)) == (2, 2)
    assert len(attempts) == 3
    codes = [(span.attributes or {}).get("error.type") for span in recording.spans()]
    assert codes.count("40P01") == 1


@pytest.mark.parametrize("idempotent", [True, False])
async def test_work_whose_connection_is_lost_is_repeated_only_if_idempotent(
    counter: Database, idempotent: bool
) -> None:
    attempts = []

    async def work(session: Session) -> str:
        attempts.append(1)
        await session.execute(WRITE, (7, 1))
        if len(attempts) == 1:
            await session.execute(END_MYSELF)
        return "done"

    running = counter.run(work, idempotent=idempotent)
    if idempotent:
        assert await running == "done"
        assert (len(attempts), await value(counter, 1)) == (2, 7)
    else:
        with pytest.raises(ConnectionLost):
            await running
        assert (len(attempts), await value(counter, 1)) == (1, 0)


async def test_an_error_that_will_not_pass_is_not_tried_again(counter: Database) -> None:
    attempts = []

    async def work(session: Session) -> None:
        attempts.append(1)
        await session.execute(FILL)

    with pytest.raises(UniqueViolation):
        await counter.run(work, idempotent=True)
    assert attempts == [1]


async def test_look_ups_are_shared_kept_and_forgotten(
    counter: Database, recording: Recording
) -> None:
    async def look_up(number: int) -> object:
        return await counter.look_up(READ, (number,), ttl_s=60)

    answers = await asyncio.gather(*(look_up(1) for _ in range(10)))
    assert answers == [[(0,)]] * 10
    assert len(recording.spans("SELECT counter")) == 1
    await look_up(2)
    assert len(recording.spans("SELECT counter")) == 2
    await counter.reconnect()
    await look_up(1)
    assert len(recording.spans("SELECT counter")) == 3


async def test_a_failed_look_up_is_not_kept(counter: Database) -> None:
    missing = Statement("SELECT * FROM later", "SELECT later")
    with pytest.raises(Exception, match="does not exist"):
        await counter.look_up(missing, ttl_s=60)
    async with counter.session() as session:
        await session.execute(Statement("CREATE TABLE later ()", "CREATE TABLE later"))
    assert await counter.look_up(missing, ttl_s=60) == []


def test_a_sql_file_has_its_summary_in_the_header() -> None:
    file = load_sql("dbopsd.health.checks", "connections.sql")
    assert file.header == {"summary": "SELECT pg_stat_activity connections"}
    assert file.statement.query_text.startswith("SELECT")
