"""Run scripts on a scratch database: nobody else is there, and no ledger."""

from dataclasses import dataclass
from typing import ClassVar, Final

from dbopsd.db.errors import DatabaseError, ScriptFailed, StatementFailed, one_line
from dbopsd.db.session import Session
from dbopsd.db.statement import Statement
from dbopsd.errors import DbopsError, StatusCode
from dbopsd.migrate.versions.apply.server_words import ServerWords
from dbopsd.migrate.versions.model.migration_file import Script
from dbopsd.migrate.versions.roundtrip.server_wide import refuse_to_reach_beyond
from dbopsd.migrate.versions.roundtrip.statements import load
from dbopsd.migrate.versions.sql import lexer
from dbopsd.migrate.versions.sql.positions import place
from dbopsd.migrate.versions.sql.statements import split_leniently
from dbopsd.migrate.versions.sql.transactions import WANTS_NO_TRANSACTION

# There are no rows but those that migrations insert.
_STATEMENT_TIMEOUT_S: Final = 600.0
_RESET: Final = Statement("DISCARD ALL", "DISCARD")


@dataclass(eq=False)
class StepFailed(DbopsError):
    """A script failed. `undone`: the database is as it was before."""

    reason: ClassVar[str] = "ROUND_TRIP_STEP_FAILED"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    problem: str
    """With the place, as compilers write it."""
    undone: bool

    @property
    def message(self) -> str:
        return self.problem


async def run_script(session: Session, script: Script, statement_timeout_s: float | None) -> None:
    """Run a script as an apply does: whole in a transaction, or statement by statement.

    What it leaves in the session is discarded, before the next one. Raises `StepFailed`, and
    `ReachesBeyond` for what changed what all databases of the server share: it is undone, the
    statements before it are so in a transaction.
    """
    limit_s = script.statement_timeout_s or statement_timeout_s or _STATEMENT_TIMEOUT_S
    try:
        await session.execute(_RESET)
        await session.execute(load("limit"), {"limit": f"{max(round(limit_s * 1000), 1)}ms"})
        if script.transactional:
            await _run_whole(session, script)
        else:
            await _run_statements(session, script)
    except DatabaseError as error:
        raise StepFailed(f"{script.path}: {one_line(error.message)}", undone=False) from error


async def _run_whole(session: Session, script: Script) -> None:
    try:
        async with session.transaction():
            await session.execute_script(Statement(script.text, "MIGRATION"))
            await refuse_to_reach_beyond(session)
    except StatementFailed as error:
        # Without a connection it may be that it was committed.
        raise StepFailed(_located(script, error), undone=session.usable) from error


async def _run_statements(session: Session, script: Script) -> None:
    for each in split_leniently(script.text):
        statement = Statement(each.text, "MIGRATION")
        try:
            if not await _ran_in_transaction(session, statement):
                await session.execute_script(statement)
        except ScriptFailed as error:
            raise StepFailed(_located(script, error, each.start), undone=False) from error


async def _ran_in_transaction(session: Session, statement: Statement) -> bool:
    """Run it so that it can be undone if it reaches beyond; False: it does not run so."""
    try:
        async with session.transaction():
            await session.execute_script(statement)
            await refuse_to_reach_beyond(session)
    except ScriptFailed as error:
        if error.sqlstate in WANTS_NO_TRANSACTION:
            return False
        raise
    return True


def _located(script: Script, error: StatementFailed, start: int = 0) -> str:
    """What the server said, and where: `start` is the first character of what was sent."""
    if not isinstance(error, ScriptFailed):
        return f"{script.path}: {one_line(error.cause)}"
    cause = ServerWords.of(error, script).public
    if error.position is not None:
        offset = start + error.position - 1
    else:
        # Errors at run time have no position: that of the statement.
        sent = [each for each in lexer.statements(script.text) if each.start >= start]
        offset = sent[error.statements_done].start if error.statements_done < len(sent) else start
    line, column = place(script, offset)
    return f"{script.path}:{line}:{column}: {cause}"
