"""Runs statements one by one: each with its span, its deadline, and its errors translated."""

from collections.abc import Callable
from types import TracebackType
from typing import Any

import psycopg

from dbopsd.db.answer_deadline import AnswerDeadline
from dbopsd.db.connection import Connection
from dbopsd.db.errors import DatabaseError, InvalidData, QueryTimeout, translate
from dbopsd.db.spans import Endpoint, StatementSpan
from dbopsd.db.statement import Statement

Row = tuple[Any, ...]

# untranslatable_character
_UNTRANSLATABLE = "22P05"


class StatementRunner:
    """What every statement of a session is run with.

    `refuse_writes` is called before each statement that is not in a transaction of the session,
    and raises where it may not run.
    """

    def __init__(
        self,
        connection: Connection,
        endpoint: Endpoint,
        *,
        query_timeout_s: float | None,
        refuse_writes: Callable[[], None] | None = None,
    ) -> None:
        self.connection = connection
        self.endpoint = endpoint
        self.depth = 0
        """How many transactions and savepoints of the session are open, one within another."""
        self._query_timeout_s = query_timeout_s
        self._refuse_writes = refuse_writes

    @property
    def database(self) -> str:
        """The configured name of the database, as errors have it."""
        return self.endpoint.telemetry.database

    def run(self, statement: Statement, *, batch_size: int | None = None) -> "CursorRun":
        """A cursor to run `statement` on, within the context. Raises what `refuse_writes` does."""
        self.check_refusal()
        return self.run_ungated(statement, batch_size=batch_size)

    def check_refusal(self) -> None:
        """Raise what `refuse_writes` does, outside a transaction."""
        # Within a transaction it was checked at its beginning, and is at its end.
        if self._refuse_writes is not None and self.depth == 0:
            self._refuse_writes()

    def run_ungated(self, statement: Statement, *, batch_size: int | None = None) -> "CursorRun":
        """As `run`, for what may always be done, such as a rollback."""
        return CursorRun(self, statement, self.endpoint.statement(statement, batch_size=batch_size))

    def message(self, statement: Statement) -> "StatementRun":
        """As `run`, for what is sent without a cursor."""
        self.check_refusal()
        return self.message_ungated(statement)

    def message_ungated(self, statement: Statement) -> "StatementRun":
        """As `message`, for what may always be sent, such as a rollback."""
        return StatementRun(self, statement, self.endpoint.statement(statement))

    def answer_deadline(self) -> AnswerDeadline:
        """The deadline of a statement that begins now."""
        return AnswerDeadline(self.connection, self._query_timeout_s)

    def translate(
        self, exc: psycopg.Error, statement: Statement, deadline: AnswerDeadline
    ) -> DatabaseError:
        """What `exc`, with which a statement ended, is called here."""
        if deadline.expired and self._query_timeout_s is not None:
            return QueryTimeout(self.database, statement.summary, self._query_timeout_s)
        return translate(
            exc,
            database=self.database,
            statement=statement.summary,
            sensitive=statement.sensitive,
        )

    def unencodable(self, exc: UnicodeEncodeError, statement: Statement) -> InvalidData:
        """What it is called that a text is not of the session's encoding: as the server calls it.

        Nothing was sent.
        """
        cause = f"encoding {exc.encoding} of the session lacks character {exc.object[exc.start]!a}"
        return InvalidData(self.database, statement.summary, _UNTRANSLATABLE, cause)


class StatementRun:
    """One statement, while the context is open: its span, its deadline, its errors translated."""

    __slots__ = ("_answer_deadline", "_runner", "_span", "_statement")

    def __init__(self, runner: StatementRunner, statement: Statement, span: StatementSpan) -> None:
        self._runner = runner
        self._statement = statement
        self._span = span
        self._answer_deadline = runner.answer_deadline()

    def __enter__(self) -> psycopg.AsyncCursor[Row] | None:
        self._span.__enter__()
        self._answer_deadline.__enter__()
        return None

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._answer_deadline.__exit__(exc_type, exc, traceback)
        if isinstance(exc, UnicodeEncodeError):
            # A script may have chosen an encoding that lacks characters of what is sent.
            error: DatabaseError = self._runner.unencodable(exc, self._statement)
        elif isinstance(exc, psycopg.Error):
            error = self._runner.translate(exc, self._statement, self._answer_deadline)
        else:
            self._span.end(exc)
            return
        self._span.end(error)
        raise error from exc


class CursorRun(StatementRun):
    """A statement with a cursor to run it on."""

    __slots__ = ()

    def __enter__(self) -> psycopg.AsyncCursor[Row]:
        super().__enter__()
        try:
            return self._runner.connection.cursor()
        except psycopg.Error as exc:  # the connection is closed
            self.__exit__(type(exc), exc, exc.__traceback__)
            raise
