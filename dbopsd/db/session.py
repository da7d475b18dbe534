"""The one traced path: everything that dbopsd says to a database goes through a `Session`."""

import contextlib
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import psycopg
from psycopg import pq, rows, sql
from psycopg.abc import PQGen

from dbopsd.db.connection import Connection
from dbopsd.db.errors import translate
from dbopsd.db.pipeline import Parameters, run_pipeline
from dbopsd.db.script import Script, ScriptDone, send_script
from dbopsd.db.script_transaction import ScriptTransaction
from dbopsd.db.spans import Endpoint
from dbopsd.db.statement import Statement
from dbopsd.db.statement_runner import Row, StatementRunner
from dbopsd.db.syntax import TWO_STATEMENTS, SyntaxRefusal, parse_only, refusal
from dbopsd.db.transactions import IsolationLevel, Transactions, modes_of

__all__ = ["IsolationLevel", "Parameters", "Row", "Session", "Table"]

T = TypeVar("T")

_NOTIFY = Statement("SELECT pg_notify(%s, %s)", "SELECT pg_notify")


@dataclass(frozen=True, slots=True)
class Table:
    """Rows, and the names of their columns."""

    columns: tuple[str, ...]
    rows: list[Row]


class _TrialEnded(Exception):
    """Rolls the transaction of a trial back."""


class Session:
    """One connection, used by one task at a time. Every statement on it leaves a span.

    Outside `transaction()` each statement commits by itself. What outlives a transaction, such as
    SET and session-level advisory locks, belongs on `Database.dedicated_session()`: a pooled
    connection goes to the next caller as it is. Driver errors come out as
    `dbopsd.db.errors`; a statement without an answer within `query_timeout_s` (None: no limit)
    and a little ends in `QueryTimeout`, with the connection closed. `refuse_writes` is called
    before each transaction begins and before it commits, and raises where neither may be.
    """

    def __init__(
        self,
        connection: Connection,
        endpoint: Endpoint,
        *,
        query_timeout_s: float | None,
        refuse_writes: Callable[[], None] | None = None,
    ) -> None:
        self._connection = connection
        self._runner = StatementRunner(
            connection, endpoint, query_timeout_s=query_timeout_s, refuse_writes=refuse_writes
        )
        self._transactions = Transactions(self._runner)
        self._cursors = itertools.count(1)
        # What the server says to a second statement, in its language.
        self._second_statement: str | None = None
        # Whether the connection may go to another caller once this one is done with it.
        self._shareable = True

    @property
    def usable(self) -> bool:
        """Whether the connection stands, nothing runs on it, and the next caller may have it."""
        idle = self._connection.pgconn.transaction_status == pq.TransactionStatus.IDLE
        return idle and self._shareable

    @property
    def has_news(self) -> bool:
        """Whether the idle connection has something to read: most often, that it has ended.

        `usable` does not know of that before the next statement.
        """
        return self._connection.has_news

    def sever(self) -> None:
        """Cut the connection: who waits on it has an error at once, whatever its server does."""
        self._connection.sever()

    @property
    def client_encoding(self) -> str:
        """The encoding of texts on their way, as the server names it."""
        # Past the driver's own view of it, which needs a codec for the encoding.
        return (self._connection.pgconn.parameter_status(b"client_encoding") or b"").decode()

    @property
    def standard_strings(self) -> bool:
        """Whether a backslash in a plain string stands for itself."""
        return self._connection.pgconn.parameter_status(b"standard_conforming_strings") != b"off"

    async def execute(
        self, statement: Statement, parameters: Parameters | None = None, *, single: bool = False
    ) -> int:
        """Run `statement`; how many rows it touched, -1 where the server does not say.

        With `single` the server refuses a text that is more than one statement, as it always does
        where there are parameters: it is sent by the extended protocol.
        """
        with self._runner.run(statement) as cursor:
            await cursor.execute(statement.text, parameters, binary=single or None)
            return cursor.rowcount

    async def execute_script(self, script: Statement) -> ScriptDone:
        """Send the text of `script` as one message.

        Outside a transaction all of them take effect or none, where it does not end a transaction
        itself. A `%` in it stands for itself. Raises `ScriptFailed` for the first that fails, and
        for `COPY … FROM STDIN` and a NUL character, at which the server would take the text to end.
        """
        sent = Script(self._connection, script.query_text)
        return await send_script(self._runner, script, sent)

    async def refused_syntax(self, text: str) -> SyntaxRefusal | None:
        """Have the server parse `text`, and run nothing of it; None: its grammar accepts it.

        Not in a transaction, which it would fail. `text` has no NUL character, which would end it.
        """
        if self._second_statement is None:
            answer = await self._parse(TWO_STATEMENTS)
            self._second_statement = "" if answer is None else answer.diag.message_primary
        answer = await self._parse(parse_only(text))
        return None if answer is None else refusal(answer, self._second_statement)

    async def _parse(self, statement: Statement) -> psycopg.Error | None:
        """The server's answer to more than one statement by the extended protocol."""
        with self._runner.run(statement) as cursor:
            try:
                await cursor.execute(statement.text, binary=True)
            except psycopg.Error as exc:
                if exc.sqlstate is None:
                    raise
                return exc
        return None

    async def fetch_all(
        self, statement: Statement, parameters: Parameters | None = None
    ) -> list[Row]:
        """Run `statement`; all its rows."""
        with self._runner.run(statement) as cursor:
            await cursor.execute(statement.text, parameters)
            return await cursor.fetchall()

    async def fetch_table(
        self, statement: Statement, parameters: Parameters | None = None
    ) -> Table:
        """Run `statement`; all its rows, with the names of their columns."""
        with self._runner.run(statement) as cursor:
            await cursor.execute(statement.text, parameters)
            rows = await cursor.fetchall()
            return Table(tuple(column.name for column in cursor.description or ()), rows)

    async def fetch_one(
        self, statement: Statement, parameters: Parameters | None = None
    ) -> Row | None:
        """Run `statement`; its first row, None if it has none."""
        with self._runner.run(statement) as cursor:
            await cursor.execute(statement.text, parameters)
            return await cursor.fetchone()

    async def fetch_all_as(
        self, kind: type[T], statement: Statement, parameters: Parameters | None = None
    ) -> list[T]:
        """Run `statement`; its rows as instances of the dataclass `kind`, columns by name."""
        with self._runner.run(statement) as cursor:
            await cursor.execute(statement.text, parameters)
            make_row = rows.class_row(kind)(cursor)
            return [make_row(row) for row in await cursor.fetchall()]

    async def execute_many(self, statement: Statement, parameters: Iterable[Parameters]) -> int:
        """Run `statement` once for each of `parameters`, in one pipeline; how many rows in all.

        Outside a transaction all of them take effect or none.
        """
        batch = list(parameters)
        with self._runner.run(statement, batch_size=len(batch)) as cursor:
            await cursor.executemany(statement.text, batch)
            return cursor.rowcount

    async def execute_pipeline(
        self, batch: Iterable[tuple[Statement, Parameters | None]]
    ) -> list[list[Row]]:
        """Send all statements at once and then read all answers: the rows of each, in order.

        One round trip. Outside a transaction all of them take effect or none; after the first
        that fails the rest is not run.
        """
        return await run_pipeline(self._runner, batch)

    async def stream(
        self, statement: Statement, parameters: Parameters | None = None, *, batch_rows: int = 1000
    ) -> AsyncGenerator[Row, None]:
        """Run `statement` in a server-side cursor and yield its rows, `batch_rows` at a time.

        Memory holds one batch. Runs in the open transaction, or in a read-only one of its own.
        Close the generator (`contextlib.aclosing`) when leaving it early.
        """
        name = sql.Identifier(f"dbops_{next(self._cursors)}")
        query = sql.SQL(statement.query_text)
        declare = Statement(
            sql.SQL("DECLARE {} NO SCROLL CURSOR FOR {}").format(name, query),
            f"DECLARE {statement.summary}",
            statement.sensitive,
        )
        fetch = Statement(
            sql.SQL("FETCH FORWARD {} FROM {}").format(sql.Literal(batch_rows), name),
            f"FETCH {statement.summary}",
        )
        close = Statement(sql.SQL("CLOSE {}").format(name), f"CLOSE {statement.summary}")
        async with contextlib.AsyncExitStack() as stack:
            if self._runner.depth == 0:
                await stack.enter_async_context(self.transaction(read_only=True))
            await self.execute(declare, parameters)
            while batch := await self.fetch_all(fetch):
                for row in batch:
                    yield row
                if len(batch) < batch_rows:
                    break
            await self.execute(close)

    @asynccontextmanager
    async def copy_in(
        self, statement: Statement, parameters: Parameters | None = None
    ) -> AsyncIterator[psycopg.AsyncCopy]:
        """Run `COPY … FROM STDIN`; an error inside undoes it.

        Feed it with `write()` or with `write_row()`, not both: they are buffered apart.
        """
        with self._runner.run(statement) as cursor:
            async with cursor.copy(statement.text, parameters) as copy:
                yield copy

    async def copy_out(
        self, statement: Statement, parameters: Parameters | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Run `COPY … TO STDOUT` and yield its data as it comes.

        Close the generator (`contextlib.aclosing`) when leaving it early: that cancels the COPY.
        """
        with self._runner.run(statement) as cursor:
            async with cursor.copy(statement.text, parameters) as copy:
                async for data in copy:
                    yield bytes(data)

    async def copy_out_rows(
        self, statement: Statement, parameters: Parameters | None = None, *, batch_rows: int = 5000
    ) -> AsyncGenerator[list[bytes], None]:
        """Run `COPY … TO STDOUT` and yield its data in lists, a server's message an item.

        A message is a row; in binary format the first has the header before it, and a last one is
        the trailer alone. Much faster than `copy_out` for many small rows. Close the generator
        (`contextlib.aclosing`) when leaving it early: that cancels the COPY.
        """
        with self._runner.run(statement) as cursor:
            async with cursor.copy(statement.text, parameters) as copy:
                while batch := await self._connection.wait(_messages(copy, batch_rows)):
                    yield batch

    def transaction(
        self,
        *,
        isolation: IsolationLevel | None = None,
        read_only: bool = False,
        deferrable: bool = False,
    ) -> AbstractAsyncContextManager[None]:
        """Commit what runs inside, or roll all of it back if an error leaves it.

        Inside another transaction, whoever began it, it is a savepoint; isolation and access belong
        to the outermost.
        Raises `TransactionNotCommitted` if the server rolled back what was to be committed.
        """
        return self._transactions.begun(modes_of(isolation, read_only, deferrable))

    def script_transaction(
        self, opening: Sequence[Statement], script: Statement, closing: Statement | None = None
    ) -> ScriptTransaction:
        """A transaction that begins with these statements around a script, in one message.

        Otherwise as `transaction`, with what the script did. Raises what `execute_script` does, of
        `closing` too: all statements of the script are done then.
        """
        return ScriptTransaction(self._runner, self._transactions, opening, script, closing)

    @asynccontextmanager
    async def trial(self, *, read_only: bool = False) -> AsyncIterator[None]:
        """A transaction of which nothing stays, however it ends. Otherwise as `transaction`."""
        with contextlib.suppress(_TrialEnded):
            async with self.transaction(read_only=read_only):
                yield
                raise _TrialEnded

    async def listen(self, channel: str) -> None:
        """Subscribe to `channel`; `notifications()` yields what comes.

        A pooled connection is not lent again afterwards: the subscription would outlive the loan.
        """
        self._shareable = False
        text = Statement("LISTEN {channel}", "LISTEN")
        await self.execute(text.with_identifiers(channel=channel))

    async def unlisten(self, channel: str) -> None:
        """End the subscription to `channel`."""
        text = Statement("UNLISTEN {channel}", "UNLISTEN")
        await self.execute(text.with_identifiers(channel=channel))

    async def notify(self, channel: str, payload: str = "") -> None:
        """Send `payload`, at most 7999 bytes, to the listeners of `channel`."""
        await self.execute(_NOTIFY, (channel, payload))

    async def notifications(
        self, *, timeout_s: float | None = None
    ) -> AsyncGenerator[psycopg.Notify, None]:
        """Yield notifications as they come, until `timeout_s` has passed without an end."""
        waiting = Statement("", "LISTEN")
        try:
            async for notification in self._connection.notifies(timeout=timeout_s):
                yield notification
        except psycopg.Error as exc:
            raise translate(exc, database=self._runner.database, statement=waiting.summary) from exc

    async def end_transaction(self) -> None:
        """Roll back whatever transaction is still open, so that the connection can be shared."""
        await self._transactions.end()


def _messages(copy: psycopg.AsyncCopy, limit: int) -> PQGen[list[bytes]]:
    """The next messages of a COPY, `limit` at most; none at its end."""
    messages: list[bytes] = []
    # The driver's own way to read one, without a turn of the event loop for each. As bytes at once,
    # libpq's buffer serves for the next one, which is twice as fast as thousands of buffers.
    while len(messages) < limit and (data := (yield from copy._read_gen())):  # noqa: SLF001
        messages.append(bytes(data))
    return messages
