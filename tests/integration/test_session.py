"""The traced session: what it does, and the span that each statement leaves."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from dbopsd.db.database import Database
from dbopsd.db.errors import (
    ConnectionLost,
    InvalidStatement,
    QueryCanceled,
    QueryTimeout,
    StatementFailed,
    TransactionNotCommitted,
    UniqueViolation,
)
from dbopsd.db.statement import Statement
from tests.integration.conftest import OpenDatabase
from tests.support.recording import Recording
from tests.support.servers import PostgresServer

CREATE = Statement("CREATE TABLE item (id int PRIMARY KEY, name text)", "CREATE TABLE item")
INSERT = Statement("INSERT INTO item VALUES (%s, %s)", "INSERT item")
COUNT = Statement("SELECT count(*) FROM item", "SELECT item")
IDS = Statement("SELECT id FROM item ORDER BY id", "SELECT item ids")
SLEEP = Statement("SELECT pg_sleep(%s)", "SELECT pg_sleep")


@dataclass
class Point:
    x: int
    y: int


async def count(database: Database) -> int:
    async with database.session() as session:
        row = await session.fetch_one(COUNT)
    assert row is not None
    return int(row[0])


@pytest.fixture
async def table(database: Database, recording: Recording) -> Database:
    async with database.session() as session:
        await session.execute(CREATE)
    recording.clear()
    return database


async def test_a_statement_leaves_a_span_with_the_stable_attributes(
    table: Database, postgres: PostgresServer, recording: Recording, database_dsn: str
) -> None:
    async with table.session() as session:
        assert await session.execute(INSERT, (1, "one")) == 1
    (span,) = recording.spans("INSERT item")
    assert span.kind is SpanKind.CLIENT
    attributes = dict(span.attributes or {})
    assert attributes.pop("db.namespace").endswith("|public")
    assert attributes == {
        "db.system.name": "postgresql",
        "db.query.text": "INSERT INTO item VALUES (%s, %s)",
        "db.query.summary": "INSERT item",
        "server.address": postgres.host,
        "server.port": postgres.port,
    }
    points = recording.metric("db.client.operation.duration")
    (point,) = [each for each in points if each.attributes["db.query.summary"] == "INSERT item"]
    # Neither text nor batch size, which would make a series of each.
    assert point.attributes == {
        key: value for key, value in (span.attributes or {}).items() if key != "db.query.text"
    }
    assert point.count == 1
    assert point.explicit_bounds == (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)


async def test_a_failed_statement_is_a_typed_error_and_says_nothing_of_the_row(
    table: Database, recording: Recording
) -> None:
    async with table.session() as session:
        await session.execute(INSERT, (1, "hunter2"))
        with pytest.raises(UniqueViolation) as caught:
            await session.execute(INSERT, (1, "hunter2"))
        assert caught.value.sqlstate == "23505"
        with pytest.raises(InvalidStatement):
            await session.execute(Statement("SELECT nothing FROM nowhere", "SELECT nowhere"))
    failed = recording.spans("INSERT item")[1]
    assert failed.status.status_code is StatusCode.ERROR
    assert (failed.attributes or {})["error.type"] == "23505"
    assert (failed.attributes or {})["db.response.status_code"] == "23505"
    assert "hunter2" not in failed.to_json()


async def test_the_text_of_a_sensitive_statement_stays_out_of_the_span(
    open_database: OpenDatabase,
    disposable_server: Callable[[], PostgresServer],
    recording: Recording,
) -> None:
    # Not on the shared server, whose log is held against the texts of all spans.
    database = await open_database(disposable_server().dsn())
    async with database.session() as session:
        await session.fetch_one(Statement("SELECT 'hunter2'", "SELECT secret", sensitive=True))
        with pytest.raises(InvalidStatement) as caught:
            await session.execute(
                Statement("ALTER ROLE x PASSWORD hunter2", "ALTER ROLE", sensitive=True)
            )
    assert "hunter2" not in f"{caught.value} {caught.value.metadata}"
    (span,) = recording.spans("SELECT secret")
    assert "hunter2" not in span.to_json()
    assert "db.query.text" not in (span.attributes or {})


async def test_a_transaction_commits_and_an_error_rolls_back(
    table: Database, recording: Recording
) -> None:
    async with table.session() as session:
        async with session.transaction(isolation="SERIALIZABLE"):
            await session.execute(INSERT, (1, "kept"))
        with pytest.raises(ZeroDivisionError):
            async with session.transaction():
                await session.execute(INSERT, (2, "gone"))
                raise ZeroDivisionError
    assert await count(table) == 1
    texts = [str((span.attributes or {})["db.query.text"]) for span in recording.statements()]
    assert texts[0] == "BEGIN ISOLATION LEVEL SERIALIZABLE"
    assert [text for text in texts if text in ("BEGIN", "COMMIT", "ROLLBACK")] == [
        "COMMIT",
        "BEGIN",
        "ROLLBACK",
    ]


async def test_a_nested_transaction_is_a_savepoint(table: Database, recording: Recording) -> None:
    async with table.session() as session, session.transaction():
        await session.execute(INSERT, (1, "outer"))
        with pytest.raises(UniqueViolation):
            async with session.transaction():
                await session.execute(INSERT, (2, "inner"))
                await session.execute(INSERT, (1, "again"))
        async with session.transaction():
            await session.execute(INSERT, (3, "second inner"))
        with pytest.raises(ValueError, match="savepoint"):
            async with session.transaction(read_only=True):
                pass
    assert await count(table) == 2
    names = recording.names()
    assert names.count("SAVEPOINT") == 2
    assert names.count("ROLLBACK TO SAVEPOINT") == 1
    assert names.count("RELEASE SAVEPOINT") == 2


async def test_a_savepoint_that_cannot_be_released_is_rolled_back(table: Database) -> None:
    async with table.session() as session, session.transaction():
        await session.execute(INSERT, (1, "outer"))
        with pytest.raises(StatementFailed):
            async with session.transaction():
                await session.execute(INSERT, (2, "inner"))
                with contextlib.suppress(UniqueViolation):
                    await session.execute(INSERT, (1, "again"))
        await session.execute(INSERT, (3, "after"))
    assert await count(table) == 2


async def test_a_commit_that_the_server_turns_into_a_rollback_is_no_success(
    table: Database,
) -> None:
    async with table.session() as session:
        with pytest.raises(TransactionNotCommitted):
            async with session.transaction():
                await session.execute(INSERT, (1, "one"))
                with contextlib.suppress(UniqueViolation):
                    await session.execute(INSERT, (1, "again"))
    assert await count(table) == 0


async def test_a_read_only_transaction_refuses_writes(table: Database) -> None:
    async with table.session() as session:
        with pytest.raises(StatementFailed) as caught:
            async with session.transaction(read_only=True):
                await session.execute(INSERT, (1, "one"))
    assert caught.value.reason == "READ_ONLY_SERVER"


async def test_execute_many_is_one_span_with_the_size_of_the_batch(
    table: Database, recording: Recording
) -> None:
    async with table.session() as session:
        rows = [(number, str(number)) for number in range(50)]
        assert await session.execute_many(INSERT, rows) == 50
    (span,) = recording.spans("INSERT item")
    assert (span.attributes or {})["db.operation.batch.size"] == 50
    assert await count(table) == 50


async def test_a_pipeline_answers_in_order_and_each_statement_has_its_span(
    table: Database, recording: Recording
) -> None:
    async with table.session() as session:
        answers = await session.execute_pipeline(
            [(INSERT, (1, "a")), (INSERT, (2, "b")), (COUNT, None), (SLEEP, (0.1,))]
        )
    assert answers[:3] == [[], [], [(2,)]]
    assert recording.names() == ["INSERT item", "INSERT item", "SELECT item", "SELECT pg_sleep"]
    (sleep,) = recording.spans("SELECT pg_sleep")
    # The time to the answer, not the time to queue it.
    assert (sleep.end_time or 0) - (sleep.start_time or 0) >= 100_000_000


async def test_a_failure_in_a_pipeline_undoes_all_of_it(
    table: Database, recording: Recording
) -> None:
    async with table.session() as session:
        with pytest.raises(UniqueViolation):
            await session.execute_pipeline(
                [(INSERT, (1, "a")), (INSERT, (1, "b")), (INSERT, (2, "c"))]
            )
        states = [span.status.status_code for span in recording.spans("INSERT item")]
        assert states == [StatusCode.UNSET, StatusCode.ERROR, StatusCode.ERROR]
        assert await session.fetch_one(COUNT) == (0,)


async def test_a_pipeline_on_a_lost_connection_is_a_typed_error(
    database: Database, postgres: PostgresServer
) -> None:
    async with database.session() as session:
        row = await session.fetch_one(Statement("SELECT pg_backend_pid()", "SELECT pid"))
        assert row is not None
        await asyncio.to_thread(postgres.execute, f"SELECT pg_terminate_backend({row[0]}, 5000)")
        with pytest.raises(ConnectionLost):
            await session.execute_pipeline([(COUNT, None)])
        with pytest.raises(ConnectionLost):
            await session.execute_pipeline([(COUNT, None)])


async def test_a_stream_reads_in_batches_through_a_server_side_cursor(
    table: Database, recording: Recording
) -> None:
    async with table.session() as session:
        await session.execute_many(INSERT, [(number, "") for number in range(25)])
        recording.clear()
        rows = [row async for row in session.stream(IDS, batch_rows=10)]
        assert rows == [(number,) for number in range(25)]
        assert recording.names() == [
            "BEGIN",
            "DECLARE SELECT item ids",
            *["FETCH SELECT item ids"] * 3,
            "CLOSE SELECT item ids",
            "COMMIT",
        ]
        async with contextlib.aclosing(session.stream(IDS, batch_rows=10)) as stream:
            async for row in stream:
                assert row == (0,)
                break
        assert session.usable


async def test_copy_both_ways(table: Database, recording: Recording) -> None:
    copy_in = Statement("COPY item FROM STDIN", "COPY item")
    copy_out = Statement("COPY item TO STDOUT", "COPY item out")
    async with table.session() as session:
        async with session.copy_in(copy_in) as copy:
            await copy.write_row((1, "one"))
            await copy.write_row((2, "two"))
        data = b"".join([part async for part in session.copy_out(copy_out)])
        assert data == b"1\tone\n2\ttwo\n"
        with pytest.raises(UniqueViolation):
            async with session.copy_in(copy_in) as copy:
                await copy.write_row((3, "three"))
                await copy.write_row((1, "one"))
        with pytest.raises(ZeroDivisionError):
            async with session.copy_in(copy_in) as copy:
                await copy.write_row((4, "four"))
                raise ZeroDivisionError
        assert await session.fetch_one(COUNT) == (2,)
    assert len(recording.spans("COPY item")) == 3
    assert len(recording.spans("COPY item out")) == 1


async def test_listen_and_notify(database: Database, recording: Recording) -> None:
    async with database.session() as listener, database.session() as sender:
        await listener.listen("Some channel")
        await sender.notify("Some channel", "payload")
        async for notification in listener.notifications(timeout_s=5):
            assert notification.payload == "payload"
            break
        await listener.unlisten("Some channel")
    assert {"LISTEN", "SELECT pg_notify", "UNLISTEN"} <= set(recording.names())


async def test_a_row_can_come_as_a_dataclass(database: Database) -> None:
    async with database.session() as session:
        points = await session.fetch_all_as(
            Point, Statement("SELECT 1 AS y, 2 AS x", "SELECT point")
        )
    assert [(point.x, point.y) for point in points] == [(2, 1)]


async def test_a_cancelled_statement_is_ended_on_the_server_too(
    database: Database, recording: Recording
) -> None:
    running = Statement(
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%%'"
        " AND state = 'active' AND datname = current_database()",
        "SELECT pg_stat_activity",
    )
    async with database.session() as session, database.session() as observer:
        task = asyncio.create_task(session.execute(SLEEP, (60,)))
        async with asyncio.timeout(5):
            while await observer.fetch_one(running, ()) != (1,):
                pass
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            while await observer.fetch_one(running, ()) != (0,):
                pass
        assert await session.fetch_one(Statement("SELECT 1", "SELECT 1")) == (1,)
    (span,) = recording.spans("SELECT pg_sleep")
    assert (span.attributes or {})["error.type"] == "CancelledError"


async def test_the_servers_own_timeout_ends_a_long_statement(
    open_database: OpenDatabase, database_dsn: str
) -> None:
    database = await open_database(database_dsn, query_timeout_s=0.3)
    async with database.session() as session:
        with pytest.raises(QueryCanceled):
            await session.execute(SLEEP, (60,))
        assert session.usable


async def test_a_hung_server_does_not_hold_the_caller(
    open_database: OpenDatabase, disposable_server: Callable[[], PostgresServer]
) -> None:
    server = disposable_server()
    database = await open_database(server.dsn(), query_timeout_s=0.5)
    loop = asyncio.get_running_loop()
    async with database.session() as session:
        await session.execute(Statement("SELECT 1", "SELECT 1"))
        with server.paused():
            started = loop.time()
            with pytest.raises(QueryTimeout):
                await session.execute(Statement("SELECT 1", "SELECT 1"))
            assert loop.time() - started < 3
            assert not session.usable


async def test_a_caller_that_gives_up_on_a_hung_backend_is_not_held(
    open_database: OpenDatabase, disposable_server: Callable[[], PostgresServer]
) -> None:
    server = disposable_server()
    database = await open_database(server.dsn())
    loop = asyncio.get_running_loop()
    async with database.session() as session:
        row = await session.fetch_one(Statement("SELECT pg_backend_pid()", "SELECT"))
        assert row is not None
        # The postmaster lives, and takes the cancel request.
        os.kill(row[0], signal.SIGSTOP)
        try:
            started = loop.time()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await session.execute(Statement("SELECT 1", "SELECT 1"))
            assert loop.time() - started < 3
            assert not session.usable
        finally:
            os.kill(row[0], signal.SIGCONT)


async def test_a_connection_stays_after_a_statement_that_was_cancelled(
    table: Database,
) -> None:
    async with table.session() as session:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await session.execute(SLEEP, (60,))
        # Longer than a cancelled statement may take to end.
        await session.execute(SLEEP, (1.5,))
        assert session.usable


async def test_a_caller_that_gives_up_on_a_hung_server_is_not_held(
    open_database: OpenDatabase, disposable_server: Callable[[], PostgresServer]
) -> None:
    server = disposable_server()
    database = await open_database(server.dsn())
    loop = asyncio.get_running_loop()
    async with database.session() as session:
        await session.execute(Statement("SELECT 1", "SELECT 1"))
        with server.paused():
            started = loop.time()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await session.execute(Statement("SELECT 1", "SELECT 1"))
            # One second for the cancel request that nobody answers; psycopg alone takes ten.
            assert loop.time() - started < 3


async def test_nothing_of_a_trial_stays(database: Database) -> None:
    create = Statement("CREATE TABLE tried (n int)", "CREATE TABLE tried")
    look = Statement("SELECT to_regclass('tried')::text", "SELECT to_regclass")
    async with database.session() as session:
        async with session.trial():
            await session.execute(create)
            assert await session.fetch_all(look) == [("tried",)]
        assert await session.fetch_all(look) == [(None,)]
        with pytest.raises(ZeroDivisionError):
            async with session.trial():
                await session.execute(create)
                raise ZeroDivisionError
        assert await session.fetch_all(look) == [(None,)]
        with pytest.raises(StatementFailed, match="read-only"):
            async with session.trial(read_only=True):
                await session.execute(create)
