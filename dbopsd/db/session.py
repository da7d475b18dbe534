"""The one traced path: everything that dbopsd says to a database goes through a `Session`."""

import asyncio
import contextlib
import itertools
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, TypeVar

import psycopg
from psycopg import pq, rows, sql
from psycopg.abc import PQGen

from dbopsd.db.answer_deadline import AnswerDeadline
from dbopsd.db.connection import Connection
from dbopsd.db.errors import (
    DatabaseError,
    InvalidData,
    QueryTimeout,
    StatementFailed,
    TransactionNotCommitted,
    WritesRefused,
    translate,
)
from dbopsd.db.script import Script, ScriptDone
from dbopsd.db.spans import Endpoint, StatementSpan
from dbopsd.db.statement import Statement
from dbopsd.db.syntax import TWO_STATEMENTS, SyntaxRefusal, parse_only, refusal

Row = tuple[Any, ...]
Parameters = Sequence[Any] | Mapping[str, Any]
IsolationLevel = Literal["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]
T = TypeVar("T")

_ROLLBACK_TIMEOUT_S = 5.0

_ROLLBACK = Statement("ROLLBACK", "ROLLBACK")
_PIPELINE = Statement("", "PIPELINE")
_COMMIT = Statement("COMMIT", "COMMIT")
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
        self._refuse_writes = refuse_writes
        self._endpoint = endpoint
        self._query_timeout_s = query_timeout_s
        self._savepoints = itertools.count(1)
        self._cursors = itertools.count(1)
        self._depth = 0
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

    @property
    def client_encoding(self) -> str:
        """The encoding of texts on their way, as the server names it."""
        return self._connection.info.parameter_status("client_encoding") or ""

    async def execute(
        self, statement: Statement, parameters: Parameters | None = None, *, single: bool = False
    ) -> int:
        """Run `statement`; how many rows it touched, -1 where the server does not say.

        With `single` the server refuses a text that is more than one statement, as it always does
        where there are parameters: it is sent by the extended protocol.
        """
        with self._run(statement) as cursor:
            await cursor.execute(statement.text, parameters, binary=single or None)
            return cursor.rowcount

    async def execute_script(self, script: Statement) -> ScriptDone:
        """Send the text of `script` as one message.

        Outside a transaction all of them take effect or none, where it does not end a transaction
        itself. A `%` in it stands for itself. Raises `ScriptFailed` for the first that fails, and
        for `COPY … FROM STDIN` and a NUL character, at which the server would take the text to end.
        """
        return await self._send_script(script, Script(self._connection, script.query_text))

    async def _send_script(self, script: Statement, sent: Script) -> ScriptDone:
        if "\0" in script.query_text:
            database = self._endpoint.telemetry.database
            error = InvalidData(database, script.summary, "22021", "it has a NUL character")
            raise sent.failed(error)
        try:
            with self._run(script):
                await sent.run()
        except StatementFailed as exc:
            raise sent.failed(exc) from exc
        return sent.done

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
        with self._run(statement) as cursor:
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
        with self._run(statement) as cursor:
            await cursor.execute(statement.text, parameters)
            return await cursor.fetchall()

    async def fetch_table(
        self, statement: Statement, parameters: Parameters | None = None
    ) -> Table:
        """Run `statement`; all its rows, with the names of their columns."""
        with self._run(statement) as cursor:
            await cursor.execute(statement.text, parameters)
            rows = await cursor.fetchall()
            return Table(tuple(column.name for column in cursor.description or ()), rows)

    async def fetch_one(
        self, statement: Statement, parameters: Parameters | None = None
    ) -> Row | None:
        """Run `statement`; its first row, None if it has none."""
        with self._run(statement) as cursor:
            await cursor.execute(statement.text, parameters)
            return await cursor.fetchone()

    async def fetch_all_as(
        self, kind: type[T], statement: Statement, parameters: Parameters | None = None
    ) -> list[T]:
        """Run `statement`; its rows as instances of the dataclass `kind`, columns by name."""
        with self._run(statement) as cursor:
            await cursor.execute(statement.text, parameters)
            make_row = rows.class_row(kind)(cursor)
            return [make_row(row) for row in await cursor.fetchall()]

    async def execute_many(self, statement: Statement, parameters: Iterable[Parameters]) -> int:
        """Run `statement` once for each of `parameters`, in one pipeline; how many rows in all.

        Outside a transaction all of them take effect or none.
        """
        batch = list(parameters)
        with self._run(statement, batch_size=len(batch)) as cursor:
            await cursor.executemany(statement.text, batch)
            return cursor.rowcount

    async def execute_pipeline(
        self, batch: Iterable[tuple[Statement, Parameters | None]]
    ) -> list[list[Row]]:
        """Send all statements at once and then read all answers: the rows of each, in order.

        One round trip. Outside a transaction all of them take effect or none; after the first
        that fails the rest is not run.
        """
        sent: list[_Sent] = []
        answers: list[list[Row]] = []
        self._check_refusal()
        try:
            with self._answer_deadline() as deadline:
                async with self._connection.pipeline():
                    for statement, parameters in batch:
                        span = self._endpoint.statement(statement).__enter__()
                        sent.append(_Sent(statement, self._connection.cursor(), span))
                        await sent[-1].cursor.execute(statement.text, parameters)
                    for each in sent:
                        answers.append(await _rows_of(each.cursor))
                        each.span.end()
        except psycopg.Error as exc:
            failed = [each.statement for each in sent[len(answers) :] if not each.answered]
            error = self._translate(exc, failed[0] if failed else _PIPELINE, deadline)
            self._end_unanswered(sent[len(answers) :], error)
            raise error from exc
        except BaseException as exc:
            self._end_unanswered(sent[len(answers) :], exc)
            raise
        return answers

    @staticmethod
    def _end_unanswered(sent: "list[_Sent]", error: BaseException) -> None:
        """End the spans of a pipeline that broke: those before the failure had their answer."""
        for each in sent:
            each.span.end(None if each.answered else error)

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
            if self._depth == 0:
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
        with self._run(statement) as cursor:
            async with cursor.copy(statement.text, parameters) as copy:
                yield copy

    async def copy_out(
        self, statement: Statement, parameters: Parameters | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Run `COPY … TO STDOUT` and yield its data as it comes.

        Close the generator (`contextlib.aclosing`) when leaving it early: that cancels the COPY.
        """
        with self._run(statement) as cursor:
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
        with self._run(statement) as cursor:
            async with cursor.copy(statement.text, parameters) as copy:
                while batch := await self._connection.wait(_messages(copy, batch_rows)):
                    yield batch

    @asynccontextmanager
    async def transaction(
        self,
        *,
        isolation: IsolationLevel | None = None,
        read_only: bool = False,
        deferrable: bool = False,
    ) -> AsyncIterator[None]:
        """Commit what runs inside, or roll all of it back if an error leaves it.

        Inside another transaction, whoever began it, it is a savepoint; isolation and access belong
        to the outermost.
        Raises `TransactionNotCommitted` if the server rolled back what was to be committed.
        """
        modes = _modes(isolation, read_only, deferrable)
        async with self._transaction(self.execute, modes):
            yield

    @asynccontextmanager
    async def script_transaction(
        self, opening: Sequence[Statement], script: Statement
    ) -> AsyncIterator[ScriptDone]:
        """A transaction that begins with the `opening` statements and a script, in one message.

        Otherwise as `transaction`, with what the script did. Raises what `execute_script` does.
        """

        async def send(*begin: Statement) -> ScriptDone:
            before = [*begin, *opening]
            text, head = script.query_text, "".join(f"{each.query_text};\n" for each in before)
            whole = Statement(head + text, script.summary, script.sensitive)
            return await self._send_script(whole, Script(self._connection, text, head, len(before)))

        if self._is_in_transaction:
            # Of a message with a syntax error nothing is run, also not its SAVEPOINT.
            async with self.transaction():
                yield await send()
        else:
            async with self._transaction(send) as done:
                yield done

    @asynccontextmanager
    async def _transaction(
        self, send_begin: Callable[[Statement], Awaitable[T]], modes: str = ""
    ) -> AsyncIterator[T]:
        if self._is_in_transaction:
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
                await self.end_transaction()
            raise
        self._depth += 1
        try:
            yield begun
        except BaseException:
            self._depth -= 1
            await self._undo(undo)
            raise
        self._depth -= 1
        try:
            with self._run(commit) as cursor:
                await cursor.execute(commit.text)
                answer = cursor.statusmessage
        except (StatementFailed, WritesRefused):
            # A savepoint within which a statement failed cannot be released.
            await self._undo(undo)
            raise
        if commit is _COMMIT and answer != "COMMIT":
            raise TransactionNotCommitted(self._endpoint.telemetry.database)

    @property
    def _is_in_transaction(self) -> bool:
        status = self._connection.pgconn.transaction_status
        return self._depth > 0 or status == pq.TransactionStatus.INTRANS

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
            raise translate(
                exc, database=self._endpoint.telemetry.database, statement=waiting.summary
            ) from exc

    async def end_transaction(self) -> None:
        """Roll back whatever transaction is still open, so that the connection can be shared."""
        status = self._connection.pgconn.transaction_status
        if status in (pq.TransactionStatus.INTRANS, pq.TransactionStatus.INERROR):
            await self._undo([_ROLLBACK])

    def _savepoint_statements(self) -> tuple[Statement, Statement, list[Statement]]:
        name = f"dbops_{next(self._savepoints)}"
        start, release, back = (
            Statement(f"{command} {{name}}", command).with_identifiers(name=name)
            for command in ("SAVEPOINT", "RELEASE SAVEPOINT", "ROLLBACK TO SAVEPOINT")
        )
        return start, release, [back, release]

    async def _undo(self, statements: list[Statement]) -> None:
        """Roll back; never in the way of the error that is on its way out."""
        if self._connection.pgconn.transaction_status in (
            pq.TransactionStatus.UNKNOWN,
            pq.TransactionStatus.ACTIVE,
        ):
            self._connection.sever()
            return
        try:
            async with asyncio.timeout(_ROLLBACK_TIMEOUT_S):
                for statement in statements:
                    with self._run_ungated(statement) as cursor:
                        await cursor.execute(statement.text)
        except (DatabaseError, TimeoutError):
            # The server rolls back by itself once the connection is gone.
            self._connection.sever()

    def _run(self, statement: Statement, *, batch_size: int | None = None) -> "_Running":
        self._check_refusal()
        return self._run_ungated(statement, batch_size=batch_size)

    def _check_refusal(self) -> None:
        # Within a transaction it was checked at its beginning, and is at its end.
        if self._refuse_writes is not None and self._depth == 0:
            self._refuse_writes()

    def _run_ungated(self, statement: Statement, *, batch_size: int | None = None) -> "_Running":
        return _Running(self, statement, self._endpoint.statement(statement, batch_size=batch_size))

    def _answer_deadline(self) -> AnswerDeadline:
        return AnswerDeadline(self._connection, self._query_timeout_s)

    def _translate(
        self, exc: psycopg.Error, statement: Statement, deadline: AnswerDeadline
    ) -> DatabaseError:
        database = self._endpoint.telemetry.database
        if deadline.expired and self._query_timeout_s is not None:
            return QueryTimeout(database, statement.summary, self._query_timeout_s)
        return translate(
            exc, database=database, statement=statement.summary, sensitive=statement.sensitive
        )


@dataclass(frozen=True, slots=True)
class _Sent:
    """A statement of a pipeline, on its way."""

    statement: Statement
    cursor: psycopg.AsyncCursor[Row]
    span: StatementSpan

    @property
    def answered(self) -> bool:
        return self.cursor.statusmessage is not None


class _Running:
    """A cursor to run one statement on: with its span, its deadline, and its errors translated."""

    __slots__ = ("_answer_deadline", "_session", "_span", "_statement")

    def __init__(self, session: Session, statement: Statement, span: StatementSpan) -> None:
        self._session = session
        self._statement = statement
        self._span = span
        self._answer_deadline = session._answer_deadline()  # noqa: SLF001

    def __enter__(self) -> psycopg.AsyncCursor[Row]:
        self._span.__enter__()
        self._answer_deadline.__enter__()
        try:
            return self._session._connection.cursor()  # noqa: SLF001
        except psycopg.Error as exc:  # the connection is closed
            self.__exit__(type(exc), exc, exc.__traceback__)
            raise

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._answer_deadline.__exit__(exc_type, exc, traceback)
        if not isinstance(exc, psycopg.Error):
            self._span.end(exc)
            return
        error = self._session._translate(exc, self._statement, self._answer_deadline)  # noqa: SLF001
        self._span.end(error)
        raise error from exc


def _messages(copy: psycopg.AsyncCopy, limit: int) -> PQGen[list[bytes]]:
    """The next messages of a COPY, `limit` at most; none at its end."""
    messages: list[bytes] = []
    # The driver's own way to read one, without a turn of the event loop for each. As bytes at once,
    # libpq's buffer serves for the next one, which is twice as fast as thousands of buffers.
    while len(messages) < limit and (data := (yield from copy._read_gen())):  # noqa: SLF001
        messages.append(bytes(data))
    return messages


def _modes(isolation: IsolationLevel | None, read_only: bool, deferrable: bool) -> str:
    """What follows BEGIN."""
    modes = f" ISOLATION LEVEL {isolation}" if isolation else ""
    return modes + " READ ONLY" * read_only + " DEFERRABLE" * deferrable


async def _rows_of(cursor: psycopg.AsyncCursor[Row]) -> list[Row]:
    """Wait for the answer to a statement in a pipeline; its rows, if it has any."""
    try:
        return await cursor.fetchall()
    except psycopg.ProgrammingError as exc:
        if exc.sqlstate is not None:
            raise
        return []  # the driver's way to say that the statement returns no rows
