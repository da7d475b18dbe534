"""Several statements in one round trip: all are sent before the first answer is read."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from dbopsd.db.spans import StatementSpan
from dbopsd.db.statement import Statement
from dbopsd.db.statement_runner import Row, StatementRunner

Parameters = Sequence[Any] | Mapping[str, Any]

_PIPELINE = Statement("", "PIPELINE")


async def run_pipeline(
    runner: StatementRunner, batch: Iterable[tuple[Statement, Parameters | None]]
) -> list[list[Row]]:
    """Send all statements at once and then read all answers: the rows of each, in order."""
    sent: list[_Sent] = []
    answers: list[list[Row]] = []
    runner.check_refusal()
    try:
        with runner.answer_deadline() as deadline:
            async with runner.connection.pipeline():
                for statement, parameters in batch:
                    span = runner.endpoint.statement(statement).__enter__()
                    sent.append(_Sent(statement, runner.connection.cursor(), span))
                    await sent[-1].cursor.execute(statement.text, parameters)
                for each in sent:
                    answers.append(await _rows_of(each.cursor))
                    each.span.end()
    except psycopg.Error as exc:
        failed = [each.statement for each in sent[len(answers) :] if not each.answered]
        error = runner.translate(exc, failed[0] if failed else _PIPELINE, deadline)
        _end_unanswered(sent[len(answers) :], error)
        raise error from exc
    except BaseException as exc:
        _end_unanswered(sent[len(answers) :], exc)
        raise
    return answers


@dataclass(frozen=True, slots=True)
class _Sent:
    """A statement of a pipeline, on its way."""

    statement: Statement
    cursor: psycopg.AsyncCursor[Row]
    span: StatementSpan

    @property
    def answered(self) -> bool:
        return self.cursor.statusmessage is not None


def _end_unanswered(sent: list[_Sent], error: BaseException) -> None:
    """End the spans of a pipeline that broke: those before the failure had their answer."""
    for each in sent:
        each.span.end(None if each.answered else error)


async def _rows_of(cursor: psycopg.AsyncCursor[Row]) -> list[Row]:
    """Wait for the answer to a statement in a pipeline; its rows, if it has any."""
    try:
        return await cursor.fetchall()
    except psycopg.ProgrammingError as exc:
        if exc.sqlstate is not None:
            raise
        return []  # the driver's way to say that the statement returns no rows
