"""Transactions of a session, savepoints within them, and how what is in them is undone."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

from psycopg import pq

from dbopsd.db.errors import (
    DatabaseError,
    StatementFailed,
    TransactionNotCommitted,
    WritesRefused,
)
from dbopsd.db.script import Script
from dbopsd.db.statement import Statement
from dbopsd.db.statement_runner import StatementRunner

IsolationLevel = Literal["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]

_ROLLBACK_TIMEOUT_S = 5.0

_ROLLBACK = Statement("ROLLBACK", "ROLLBACK")
_COMMIT = Statement("COMMIT", "COMMIT")


@dataclass(frozen=True, slots=True)
class Frame:
    """The statements of a transaction, or of a savepoint."""

    begin: Statement
    commit: Statement
    undo: tuple[Statement, ...]

    @property
    def is_savepoint(self) -> bool:
        """Whether it is one, within a transaction."""
        return self.commit is not _COMMIT


class Transactions:
    """The transactions of one session. Each commits what runs inside, or rolls all of it back."""

    def __init__(self, runner: StatementRunner) -> None:
        self._runner = runner
        self._savepoints = itertools.count(1)

    @asynccontextmanager
    async def begun(self, modes: str = "") -> AsyncIterator[None]:
        """A transaction with `modes`; inside another one, whoever began it, a savepoint."""
        frame = self.frame(modes)
        await self.open(frame)
        try:
            yield
        except BaseException:
            await self.undo(frame)
            raise
        await self.close(frame)

    def frame(self, modes: str = "") -> Frame:
        """What begins and ends the next one."""
        if self._runner.depth == 0 and self._status != pq.TransactionStatus.INTRANS:
            return Frame(Statement(f"BEGIN{modes}", "BEGIN"), _COMMIT, (_ROLLBACK,))
        if modes:
            raise ValueError("a savepoint takes its modes from the transaction around it")
        name = f"dbops_{next(self._savepoints)}"
        start, release, back = (
            Statement(f"{command} {{name}}", command).with_identifiers(name=name)
            for command in ("SAVEPOINT", "RELEASE SAVEPOINT", "ROLLBACK TO SAVEPOINT")
        )
        return Frame(start, release, (back, release))

    async def open(self, frame: Frame) -> None:
        """Begin."""
        try:
            with self._runner.run(frame.begin) as cursor:
                await cursor.execute(frame.begin.text)
        except BaseException:
            await self.undo_beginning(frame)
            raise
        self.note_begun()

    def note_begun(self) -> None:
        """Count one that was begun."""
        self._runner.depth += 1

    async def undo_beginning(self, frame: Frame) -> None:
        """Roll back what was sent to begin, and failed: what was sent with BEGIN came after it."""
        if not frame.is_savepoint:
            await self.end()

    async def close(self, frame: Frame) -> None:
        """Commit. Raises `TransactionNotCommitted`."""
        self._runner.depth -= 1
        try:
            with self._runner.run(frame.commit) as cursor:
                await cursor.execute(frame.commit.text)
                answer = cursor.statusmessage
        except (StatementFailed, WritesRefused):
            # A savepoint within which a statement failed cannot be released.
            await self._roll_back(frame.undo)
            raise
        self.check_answer(frame, answer)

    def check_answer(self, frame: Frame, answer: str | None) -> None:
        """Raise `TransactionNotCommitted` where this answer to the COMMIT says so."""
        if not frame.is_savepoint and answer != "COMMIT":
            raise TransactionNotCommitted(self._runner.database)

    async def undo(self, frame: Frame) -> None:
        """Roll back; never in the way of the error that is on its way out."""
        self._runner.depth -= 1
        await self._roll_back(frame.undo)

    async def undo_commit(self, frame: Frame) -> None:
        """Roll back where a message with the COMMIT in it failed, wherever that was."""
        if self._status != pq.TransactionStatus.IDLE:
            await self._roll_back(frame.undo)

    async def end(self) -> None:
        """Roll back whatever is still open, so that the connection can be shared."""
        if self._status in (pq.TransactionStatus.INTRANS, pq.TransactionStatus.INERROR):
            await self._roll_back((_ROLLBACK,))

    @property
    def _status(self) -> pq.TransactionStatus:
        return pq.TransactionStatus(self._runner.connection.pgconn.transaction_status)

    async def _roll_back(self, statements: tuple[Statement, ...]) -> None:
        if self._status in (pq.TransactionStatus.UNKNOWN, pq.TransactionStatus.ACTIVE):
            self._runner.connection.sever()
            return
        try:
            async with asyncio.timeout(_ROLLBACK_TIMEOUT_S):
                for statement in statements:
                    with self._runner.message_ungated(statement):
                        # A script may have chosen an encoding that cursors cannot work with.
                        await Script(self._runner.connection, statement.query_text).run()
        except (DatabaseError, TimeoutError):
            # The server rolls back by itself once the connection is gone.
            self._runner.connection.sever()


def modes_of(isolation: IsolationLevel | None, read_only: bool, deferrable: bool) -> str:
    """What follows BEGIN."""
    modes = f" ISOLATION LEVEL {isolation}" if isolation else ""
    return modes + " READ ONLY" * read_only + " DEFERRABLE" * deferrable
