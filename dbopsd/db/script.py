"""A script on its way: one message to the server, with as many statements as it has.

The simple query protocol, https://www.postgresql.org/docs/current/protocol-flow.html: the server
answers each statement, stops at the first that fails, and runs all in one transaction where the
script does not end it.
"""

import re
from dataclasses import dataclass

import psycopg
from psycopg import errors, generators, pq
from psycopg.abc import PQGen

from dbopsd.db.connection import Connection
from dbopsd.db.errors import InvalidData, InvalidStatement, ScriptFailed, StatementFailed
from dbopsd.db.statement import Statement
from dbopsd.db.statement_runner import StatementRunner

_DONE = (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK)
# To the server, which makes it the end of its error's text.
_NO_COPY_DATA = b"a script has no data for COPY FROM STDIN"
# feature_not_supported. The server's own is that of a cancelled statement, which it is not.
_COPY_SQLSTATE = "0A000"
# The files of PL/pgSQL, PL/Python, PL/Perl and PL/Tcl in PostgreSQL's source, which an error names.
_LANGUAGES = ("pl_", "plpy_", "plperl", "pltcl")
_CAPITAL = re.compile(r"(?<=.)(?=[A-Z])")
# In what the server answers to the statements that end a transaction. That of ROLLBACK TO SAVEPOINT
# is the same as of ROLLBACK.
_ENDINGS = (b"COMMIT", b"ROLLBACK", b"PREPARE TRANSACTION")


@dataclass(frozen=True, slots=True)
class ScriptDone:
    """What a script did."""

    statements: int
    ends_transaction: bool
    """Whether one of its statements ends the transaction around it, or goes back to a savepoint."""


class Script:
    """Sends `text` and counts the statements that are done; rows that come back are passed over.

    `opening` is sent before it in the same message, and `closing`, which is one statement, after
    it. They are not counted: the opening is so many statements, each with its semicolon.
    """

    def __init__(
        self,
        connection: Connection,
        text: str,
        opening: str = "",
        opening_statements: int = 0,
        closing: str = "",
    ) -> None:
        self._encoding = _encoding_of(connection)
        self._connection = connection
        self._opening_chars, self._text_chars = len(opening), len(text)
        # A comment at the end of the text must not take in what follows.
        self.text = f"{opening}{text}\n;{closing}" if closing else opening + text
        """The whole message."""
        self._bytes = b""
        """As it was sent."""
        self._copy_refused = False
        self._failure: psycopg.Error | None = None
        self._statements_done = -opening_statements
        self._has_closing = bool(closing)
        self._ends_transaction = False
        self.last_answer = ""
        """The server's to the last statement that is done, such as `COMMIT`."""

    @property
    def done(self) -> ScriptDone:
        """What it has done so far."""
        return ScriptDone(max(self._statements_done, 0), self._ends_transaction)

    async def run(self) -> None:
        """Raise the driver's error for the statement that failed, when the server is done.

        Raises `UnicodeEncodeError` where the encoding of the session lacks one of its characters.
        """
        self._bytes = self.text.encode(self._encoding)
        async with self._connection.lock:
            await self._connection.wait(self._exchange())

    def failed(self, error: StatementFailed) -> ScriptFailed:
        """`error`, which came of this script, with what the server said besides."""
        if self._copy_refused:
            cause = _NO_COPY_DATA.decode()
            error = InvalidStatement(error.database, error.statement, _COPY_SQLSTATE, cause)
        said = self._failure.diag if self._failure else None
        return ScriptFailed(
            error.database,
            error.statement,
            error.sqlstate,
            error.cause,
            error=error,
            statements_done=self.done.statements,
            ends_transaction=self._ends_transaction,
            position=self._position(said.statement_position if said else None),
            detail=(said.message_detail if said else None) or "",
            hint=(said.message_hint if said else None) or "",
            condition=_condition(error.sqlstate),
            raised=((said.source_file if said else None) or "").startswith(_LANGUAGES),
        )

    def _exchange(self) -> PQGen[None]:
        pgconn = self._connection.pgconn
        answer: bytes | None = None
        pgconn.send_query(self._bytes)
        # Else all rows of a SELECT would come to lie in memory.
        pgconn.set_single_row_mode()
        yield from generators.send(pgconn)
        while (result := (yield from generators.fetch(pgconn))) is not None:
            if result.status in _DONE:
                self._statements_done += 1
                answer = result.command_status
                if answer in _ENDINGS:
                    self._ends_transaction = True
            elif result.status == pq.ExecStatus.COPY_IN:
                self._copy_refused = True
                pgconn.put_copy_end(_NO_COPY_DATA)
                yield from generators.send(pgconn)
            elif result.status == pq.ExecStatus.COPY_OUT:
                yield from _pass_over(pgconn)
            elif result.status == pq.ExecStatus.FATAL_ERROR and self._failure is None:
                self._failure = errors.error_from_result(result, encoding=self._encoding)
        if pgconn.status == pq.ConnStatus.BAD and not (self._failure and self._failure.sqlstate):
            raise psycopg.OperationalError(pgconn.get_error_message(self._encoding))
        if self._failure is not None:
            raise self._failure
        self._statements_done -= self._has_closing
        self.last_answer = (answer or b"").decode()

    def _position(self, position: str | None) -> int | None:
        """`position` in characters of the text. The server counts bytes where it knows no more."""
        if position is None:
            return None
        place = int(position)
        if self._connection.pgconn.parameter_status(b"server_encoding") == b"SQL_ASCII":
            place = len(self._bytes[: place - 1].decode(self._encoding, "ignore")) + 1
        place -= self._opening_chars
        # A text that ends too early is an error at what was put behind it.
        return min(place, self._text_chars + 1) if place > 0 else None


def _encoding_of(connection: Connection) -> str:
    """What the text is sent in, as Python names it."""
    try:
        encoding = connection.info.encoding
    except psycopg.NotSupportedError:
        # A script chose one that Python lacks. What undoes that is of ASCII alone.
        return "utf-8"
    # A database without an encoding takes any bytes: those of UTF-8, as they stand in the file.
    return "utf-8" if encoding == "ascii" else encoding


async def send_script(runner: StatementRunner, script: Statement, sent: Script) -> ScriptDone:
    """Run `sent`, of the text of `script`, to its end. Raises `ScriptFailed`."""
    if "\0" in script.query_text:
        raise sent.failed(
            InvalidData(runner.database, script.summary, "22021", "it has a NUL character")
        )
    try:
        with runner.message(script):
            await sent.run()
    except StatementFailed as exc:
        raise sent.failed(exc) from exc
    return sent.done


def _pass_over(pgconn: pq.abc.PGconn) -> PQGen[None]:
    """Read the data of a `COPY … TO STDOUT` to its end."""
    while True:
        size, _data = pgconn.get_copy_data(1)
        if size < 0:
            return
        if size == 0:
            while not (yield psycopg.waiting.Wait.R):
                continue
            pgconn.consume_input()


def _condition(sqlstate: str) -> str:
    """PostgreSQL's name of a SQLSTATE; empty: it has none."""
    try:
        return _CAPITAL.sub("_", errors.lookup(sqlstate).__name__).lower()
    except KeyError:
        return ""
