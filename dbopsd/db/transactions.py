"""Transactions of a session, savepoints within them, and how what is in them is undone."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Literal, TypeVar

from psycopg import pq

from dbopsd.db.errors import (
    DatabaseError,
    StatementFailed,
    TransactionNotCommitted,
    WritesRefused,
)
from dbopsd.db.script import Script, ScriptDone, send_script
from dbopsd.db.statement import Statement
from dbopsd.db.statement_runner import StatementRunner

IsolationLevel = Literal["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]
T = TypeVar("T")

_ROLLBACK_TIMEOUT_S = 5.0

_ROLLBACK = Statement("ROLLBACK", "ROLLBACK")
_COMMIT = Statement("COMMIT", "COMMIT")


class Transactions:
    """The transactions of one session. Each commits what runs inside, or rolls all of it back."""

    def __init__(self, runner: StatementRunner) -> None:
        self._runner = runner
        self._savepoints = itertools.count(1)

    def begun(self, modes: str = "") -> AbstractAsyncContextManager[None]:
        """A transaction with `modes`; inside another one, whoever began it, a savepoint."""
        return self._begun_by(self._begin, modes)

    @asynccontextmanager
    async def begun_by_script(
        self, opening: Sequence[Statement], script: Statement
    ) -> AsyncIterator[ScriptDone]:
        """A transaction that begins with the `opening` statements and a script, in one message."""

        async def send(*begin: Statement) -> ScriptDone:
            before = [*begin, *opening]
            text, head = script.query_text, "".join(f"{each.query_text};\n" for each in before)
            whole = Statement(head + text, script.summary, script.sensitive)
            sent = Script(self._runner.connection, text, head, len(before))
            return await send_script(self._runner, whole, sent)

        if self._is_in_one:
            # Of a message with a syntax error nothing is run, also not its SAVEPOINT.
            async with self.begun():
                yield await send()
        else:
            async with self._begun_by(send) as done:
                yield done

    async def end(self) -> None:
        """Roll back whatever is still open, so that the connection can be shared."""
        if self._status in (pq.TransactionStatus.INTRANS, pq.TransactionStatus.INERROR):
            await self._undo([_ROLLBACK])

    @asynccontextmanager
    async def _begun_by(
        self, send_begin: Callable[[Statement], Awaitable[T]], modes: str = ""
    ) -> AsyncIterator[T]:
        if self._is_in_one:
            if modes:
                raise ValueError("a savepoint takes its modes from the transaction around it")
            begin, commit, undo = self._savepoint_statements()
        else:
            begin, commit, undo = Statement(f"BEGIN{modes}", "BEGIN"), _COMMIT, [_ROLLBACK]
        try:
            begun = await send_begin(begin)
        except BaseException:
            # What was sent with BEGIN may have failed after it.
            if commit is _COMMIT:
                await self.end()
            raise
        self._runner.depth += 1
        try:
            yield begun
        except BaseException:
            self._runner.depth -= 1
            await self._undo(undo)
            raise
        self._runner.depth -= 1
        try:
            with self._runner.run(commit) as cursor:
                await cursor.execute(commit.text)
                answer = cursor.statusmessage
        except (StatementFailed, WritesRefused):
            # A savepoint within which a statement failed cannot be released.
            await self._undo(undo)
            raise
        if commit is _COMMIT and answer != "COMMIT":
            raise TransactionNotCommitted(self._runner.database)

    async def _begin(self, begin: Statement) -> None:
        with self._runner.run(begin) as cursor:
            await cursor.execute(begin.text)

    @property
    def _status(self) -> pq.TransactionStatus:
        return pq.TransactionStatus(self._runner.connection.pgconn.transaction_status)

    @property
    def _is_in_one(self) -> bool:
        return self._runner.depth > 0 or self._status == pq.TransactionStatus.INTRANS

    def _savepoint_statements(self) -> tuple[Statement, Statement, list[Statement]]:
        name = f"dbops_{next(self._savepoints)}"
        start, release, back = (
            Statement(f"{command} {{name}}", command).with_identifiers(name=name)
            for command in ("SAVEPOINT", "RELEASE SAVEPOINT", "ROLLBACK TO SAVEPOINT")
        )
        return start, release, [back, release]

    async def _undo(self, statements: list[Statement]) -> None:
        """Roll back; never in the way of the error that is on its way out."""
        if self._status in (pq.TransactionStatus.UNKNOWN, pq.TransactionStatus.ACTIVE):
            self._runner.connection.sever()
            return
        try:
            async with asyncio.timeout(_ROLLBACK_TIMEOUT_S):
                for statement in statements:
                    with self._runner.run_ungated(statement) as cursor:
                        await cursor.execute(statement.text)
        except (DatabaseError, TimeoutError):
            # The server rolls back by itself once the connection is gone.
            self._runner.connection.sever()


def modes_of(isolation: IsolationLevel | None, read_only: bool, deferrable: bool) -> str:
    """What follows BEGIN."""
    modes = f" ISOLATION LEVEL {isolation}" if isolation else ""
    return modes + " READ ONLY" * read_only + " DEFERRABLE" * deferrable
