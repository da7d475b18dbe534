"""Scripts: several statements in one message, and what is known when one of them fails."""

import asyncio
import contextlib

import pytest

from dbopsd.db.database import Database
from dbopsd.db.errors import (
    ConnectionLost,
    InvalidData,
    InvalidStatement,
    ScriptFailed,
    TransactionNotCommitted,
)
from dbopsd.db.script import ScriptDone
from dbopsd.db.session import Session
from dbopsd.db.statement import Statement
from tests.support.recording import Recording

TABLES = Statement(
    "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ '^t[0-9]'", "SELECT"
)


def script(text: str) -> Statement:
    return Statement(text, "SCRIPT")


async def tables(session: Session) -> set[str]:
    return {row[0] for row in await session.fetch_all(TABLES)}


async def test_a_script_is_one_message_with_one_span(
    database: Database, recording: Recording
) -> None:
    text = "CREATE TABLE t1 (a int); INSERT INTO t1 SELECT 100 % 7; SELECT * FROM t1; ; -- end"
    async with database.session() as session:
        assert await session.execute_script(script(text)) == ScriptDone(3, ends_transaction=False)
        assert await session.execute_script(script(" -- nothing")) == ScriptDone(
            0, ends_transaction=False
        )
        assert session.usable
    assert [dict(span.attributes or {})["db.query.text"] for span in recording.spans("SCRIPT")] == [
        text,
        " -- nothing",
    ]


async def test_a_failure_says_how_many_were_done_and_where_it_is_in_characters(
    database: Database,
) -> None:
    text = "CREATE TABLE t1 (a int);\nSELECT 'ü€😀', 1;\nSELECT missing FROM t1;\nSELECT 1"
    async with database.session() as session:
        with pytest.raises(ScriptFailed) as failed:
            await session.execute_script(script(text))
        assert isinstance(failed.value.error, InvalidStatement)
        assert failed.value.sqlstate == "42703"
        assert failed.value.statements_done == 2
        assert failed.value.position == text.index("missing") + 1
        assert await tables(session) == set(), "what came before it in the message is undone too"
        assert session.usable


async def test_a_syntax_error_is_found_before_the_first_statement(database: Database) -> None:
    text = "CREATE TABLE t1 (a int); SELEKT 1"
    async with database.session() as session:
        with pytest.raises(ScriptFailed) as failed:
            await session.execute_script(script(text))
    assert failed.value.statements_done == 0
    assert failed.value.position == text.index("SELEKT") + 1


async def test_an_error_at_run_time_has_no_place_but_a_number(database: Database) -> None:
    async with database.session() as session:
        with pytest.raises(ScriptFailed) as failed:
            await session.execute_script(script("CREATE TABLE t1 (a int PRIMARY KEY); SELECT 1/0"))
        assert failed.value.position is None
        assert failed.value.statements_done == 1
        with pytest.raises(ScriptFailed) as failed:
            await session.execute_script(
                script("CREATE TABLE t1 (a int PRIMARY KEY); INSERT INTO t1 VALUES (1), (1)")
            )
        assert failed.value.detail == "Key (a)=(1) already exists."
        assert "(1)" not in failed.value.message


async def test_a_nul_would_cut_the_message_and_is_refused(database: Database) -> None:
    async with database.session() as session:
        with pytest.raises(ScriptFailed) as failed:
            await session.execute_script(script("CREATE TABLE t1 (); \0 CREATE TABLE t2 ()"))
        assert isinstance(failed.value.error, InvalidData)
        assert await tables(session) == set()


async def test_copy_in_either_direction_ends_cleanly(database: Database) -> None:
    async with database.session() as session:
        text = "COPY (SELECT generate_series(1, 100000)) TO STDOUT; CREATE TABLE t1 (a int)"
        assert await session.execute_script(script(text)) == ScriptDone(2, ends_transaction=False)
        with pytest.raises(ScriptFailed, match="COPY FROM STDIN") as failed:
            await session.execute_script(script("CREATE TABLE t2 (); COPY t1 FROM STDIN; SELECT 1"))
        assert failed.value.sqlstate == "0A000"
        assert failed.value.statements_done == 1
        assert await tables(session) == {"t1"}
        assert session.usable


async def test_a_script_on_a_lost_connection_is_told_so(database: Database) -> None:
    async with database.session() as session:
        with pytest.raises(ScriptFailed) as failed:
            await session.execute_script(
                script("SELECT 1; SELECT pg_terminate_backend(pg_backend_pid())")
            )
        assert isinstance(failed.value.error, ConnectionLost)
        assert failed.value.statements_done == 1
        with pytest.raises(ScriptFailed) as failed:
            await session.execute_script(script("SELECT 1"))
        assert isinstance(failed.value.error, ConnectionLost)


async def test_a_cancelled_script_ends_on_the_server_and_leaves_the_session_usable(
    database: Database,
) -> None:
    running = Statement(
        "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'CREATE TABLE t1%' AND state = 'active'"
        " AND wait_event = 'PgSleep' AND datname = current_database()",
        "SELECT pg_stat_activity",
    )
    async with database.session() as session, database.session() as observer:
        task = asyncio.create_task(
            session.execute_script(script("CREATE TABLE t1 (); SELECT pg_sleep(60)"))
        )
        async with asyncio.timeout(5):
            while await observer.fetch_one(running) is None:
                pass
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert await tables(session) == set()
        assert session.usable


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("SELECT 1", False),
        ("SAVEPOINT a; RELEASE a", False),
        ("COMMIT", True),
        ("END; BEGIN", True),
        ("ROLLBACK AND CHAIN", True),
        ("PREPARE TRANSACTION 'x'", True),
        ("ABORT", True),
    ],
)
async def test_a_script_that_ends_its_transaction_is_known(
    database: Database, text: str, ends: bool
) -> None:
    async with database.session() as session:
        with contextlib.suppress(ScriptFailed):  # servers without prepared transactions
            async with session.script_transaction(OPENING, script(text)) as begun:
                assert begun.done.ends_transaction is ends


OPENING = (Statement("SELECT 1, '€'", "SELECT 1"), Statement("SELECT 2", "SELECT 2"))


async def test_a_transaction_begins_with_its_script_in_one_message(
    database: Database, recording: Recording
) -> None:
    text = "CREATE TABLE t1 (); CREATE TABLE t2 ()"
    async with database.session() as session:
        recording.clear()
        async with session.script_transaction(OPENING, script(text)) as begun:
            assert begun.done == ScriptDone(2, ends_transaction=False)
        assert recording.names() == ["SCRIPT", "COMMIT"]
        assert await tables(session) == {"t1", "t2"}
        async with session.transaction(), session.script_transaction(OPENING, script("SELECT 1")):
            pass


@pytest.mark.parametrize("text", ["CREATE TABLE t1 (); SELECT missing", "CREATE TABLE t1 (); X"])
@pytest.mark.parametrize("within", [False, True])
async def test_a_script_that_fails_undoes_its_transaction(
    database: Database, text: str, within: bool
) -> None:
    async with database.session() as session, contextlib.AsyncExitStack() as stack:
        if within:
            await stack.enter_async_context(session.transaction())
        with pytest.raises(ScriptFailed) as failed:
            async with session.script_transaction(OPENING, script(text)):
                raise AssertionError("it has not begun")
        assert failed.value.position == len(text) - (0 if text.endswith("X") else 6)
        assert failed.value.statements_done == (0 if text.endswith("X") else 1)
        assert await tables(session) == set()


async def test_a_script_that_an_error_leaves_is_undone(database: Database) -> None:
    async with database.session() as session:
        with pytest.raises(ZeroDivisionError):
            async with session.script_transaction(OPENING, script("CREATE TABLE t1 ()")):
                raise ZeroDivisionError
        assert await tables(session) == set()
        assert session.usable


async def test_a_transaction_ends_with_a_script_and_its_commit_in_one_message(
    database: Database, recording: Recording
) -> None:
    last = Statement("CREATE TABLE t2 ()", "LAST")
    async with database.session() as session:
        recording.clear()
        async with session.script_transaction(OPENING, script("CREATE TABLE t1 ()")) as begun:
            await begun.commit_with(last)
            assert await tables(session) == {"t1", "t2"}
            assert session.usable, "it is committed before the context ends"
        assert recording.names() == ["SCRIPT", "LAST", "SELECT"]
        async with session.transaction():
            async with session.script_transaction((), script("CREATE TABLE t3 ()")) as begun:
                await begun.commit_with(Statement("CREATE TABLE t4 ()", "LAST"))
            assert not session.usable, "within another transaction it was a savepoint"
        assert await tables(session) == {"t1", "t2", "t3", "t4"}


@pytest.mark.parametrize("within", [False, True])
async def test_a_failure_in_what_a_transaction_ends_with_undoes_all_of_it(
    database: Database, within: bool
) -> None:
    async with database.session() as session, contextlib.AsyncExitStack() as stack:
        if within:
            await stack.enter_async_context(session.transaction())
        with pytest.raises(ScriptFailed) as failed:
            async with session.script_transaction((), script("CREATE TABLE t1 ()")) as begun:
                await begun.commit_with(script("CREATE TABLE t2 (); SELECT missing"))
        assert failed.value.sqlstate == "42703"
        assert await tables(session) == set()
        assert session.usable is not within


async def test_a_commit_that_is_answered_with_rollback_is_known(database: Database) -> None:
    async with database.session() as session:
        with pytest.raises(TransactionNotCommitted):
            async with session.script_transaction((), script("CREATE TABLE t1 ()")) as begun:
                with contextlib.suppress(ScriptFailed):
                    await session.execute_script(script("SELECT missing"))
                await begun.commit_with(script("/* nothing */"))
        assert await tables(session) == set()


CLOSING = Statement("SET CONSTRAINTS ALL IMMEDIATE", "SET CONSTRAINTS")
DEFERRED = "CREATE TABLE t1 (a int UNIQUE DEFERRABLE INITIALLY DEFERRED);"


@pytest.mark.parametrize(
    ("text", "statements_done", "position"),
    [
        (f"{DEFERRED} INSERT INTO t1 VALUES (1), (1) -- end", 2, None),
        ("CREATE TABLE t1 (a int", 0, 23),
        ("SELECT missing; -- end", 0, 8),
    ],
)
async def test_what_a_script_is_closed_with_is_not_counted(
    database: Database, text: str, statements_done: int, position: int | None
) -> None:
    async with database.session() as session:
        async with session.script_transaction(OPENING, script(f"{DEFERRED} -- end"), CLOSING) as ok:
            assert ok.done == ScriptDone(1, ends_transaction=False)
            await ok.commit_with(script("DROP TABLE t1"))
        with pytest.raises(ScriptFailed) as failed:
            async with session.script_transaction(OPENING, script(text), CLOSING):
                raise AssertionError("it has not begun")
        assert failed.value.statements_done == statements_done
        assert failed.value.position == position
