"""A migration that is not in a transaction, statement by statement.

A statement and the record that it is done go as one message, which takes effect whole or not at
all. What PostgreSQL refuses in such a message, such as CREATE INDEX CONCURRENTLY, goes alone, and
the ledger has before that it was begun: where it is cut off, the catalog tells whether it is done.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from dbopsd.db.errors import ConnectionLost, QueryCanceled, QueryTimeout, ScriptFailed
from dbopsd.db.statement import Statement
from dbopsd.errors import DbopsError
from dbopsd.migrate.versions.apply import partitioned_indexes
from dbopsd.migrate.versions.apply.blockers import in_the_way
from dbopsd.migrate.versions.apply.done_digest import digests
from dbopsd.migrate.versions.apply.doubtful_statements import (
    Verdict,
    in_its_place,
    look_up,
    what_to_look_at,
    with_known_indexes,
)
from dbopsd.migrate.versions.apply.errors import MigrationFailed
from dbopsd.migrate.versions.apply.interrupted_run import go_on
from dbopsd.migrate.versions.apply.invalid_indexes import drop_invalid, refuse_invalid_of
from dbopsd.migrate.versions.apply.lock_watch import LockWatch
from dbopsd.migrate.versions.apply.session_state import load
from dbopsd.migrate.versions.apply.statement_kinds import (
    IndexBuild,
    IndexDrop,
    PartitionDetach,
)
from dbopsd.migrate.versions.apply.steps import Step, steps_of
from dbopsd.migrate.versions.apply.work import (
    Tally,
    Work,
    attempts_at,
    connection_lost,
    limits_of,
    script_of,
    statement_failed,
    transaction_ended,
)
from dbopsd.migrate.versions.ledger.new_run import NewRun
from dbopsd.migrate.versions.model.ledger_run import Result
from dbopsd.migrate.versions.plan.plan import PlannedRun
from dbopsd.migrate.versions.sql.transactions import WANTS_NO_TRANSACTION

# How long the last words about a run that was cancelled may take.
_RECORD_S: Final = 5.0


class _NotAgain(Exception):
    """A statement failed that may have committed part of what it does."""

    def __init__(self, error: ScriptFailed) -> None:
        super().__init__()
        self.error = error


class StepwiseRun:
    """Runs one migration. `told` is called after each statement, with how many are done."""

    def __init__(
        self,
        work: Work,
        planned: PlannedRun,
        new: NewRun,
        tally: Tally,
        told: Callable[[int], None],
    ) -> None:
        self._work = work
        self._planned = planned
        self._new = new
        self._tally = tally
        self._told = told
        self._limits = limits_of(work, planned)
        self._steps = steps_of(planned)
        self._digests = digests([step.statement for step in self._steps])
        """Of the first n statements, from none to all."""
        self._run_id = 0
        self._in_doubt = False
        """Whether the next statement was begun outside a transaction."""
        self._unrecorded = False
        """Whether it is done, and the ledger does not have that yet."""

    async def run(self) -> None:
        """Run what is left of it; its row in the ledger says how far it came in any case.

        Raises `MigrationFailed`, `LockNotAcquired`, `MigrationInterrupted`, `TransactionEnded` and
        `LockLost`. With `ConnectionLost` its backend may still be at it, as its row has it.
        """
        await self._begin()
        try:
            for index in range(self._tally.statements_done, len(self._steps)):
                await self._step(index)
            await self._end()
        except ScriptFailed as error:
            raise await self._failed(error) from error
        except (ConnectionLost, QueryTimeout):
            raise
        except DbopsError as error:
            await self._record_failure(error)
            raise
        except asyncio.CancelledError:
            await self._record_cancel()
            raise

    async def _begin(self) -> None:
        work, interrupted = self._work, self._planned.interrupted
        await work.working.set(work.working.file_settings(self._planned.script, self._limits))
        if interrupted is not None:
            found = await go_on(work, self._planned, self._steps, self._digests, interrupted)
            self._tally.statements_done, self._in_doubt = found.done, found.in_doubt
        done = self._tally.statements_done
        new = replace(
            self._new,
            statements=len(self._steps),
            statements_done=done,
            done_digest=self._digests[done],
        )
        async with work.session.transaction():
            await work.session.execute_script(load("own_role"))
            if interrupted is not None and interrupted.result is Result.RUNNING:
                await work.ledger.finish(
                    work.session,
                    interrupted.id,
                    Result.INTERRUPTED,
                    interrupted.statements_done,
                    in_doubt=interrupted.in_doubt,
                    problem="its process ended, and another one went on",
                )
            self._run_id = await work.ledger.begin(work.session, new)
        self._tally.result = Result.RUNNING

    async def _step(self, index: int) -> None:
        try:
            await self._try_step(index)
        except ScriptFailed as error:
            step = self._steps[index]
            if step.alone or error.sqlstate not in WANTS_NO_TRANSACTION:
                raise
            # What its words do not tell, such as a CALL of a procedure that commits.
            self._steps[index] = replace(step, alone=True)
            await self._try_step(index)
        await self._work.working.keep_settings(
            self._planned.script, self._limits, reset=self._steps[index].resets_all
        )
        self._in_doubt = False
        self._tally.statements_done = index + 1
        self._told(index + 1)
        await self._work.keep_lock()

    async def _try_step(self, index: int) -> None:
        step = self._steps[index]
        limits = self._limits.concurrently if step.patient else self._limits
        attempts = attempts_at(self._work, self._planned, limits, step.statement.text)

        async def attempt(watch: LockWatch) -> None:
            if self._unrecorded:
                # What failed came after it.
                return
            step = self._steps[index]
            await drop_invalid(self._work, self._planned, step.kind)
            if not step.alone:
                await self._run_recorded(index, step, watch)
                return
            try:
                await self._run_alone(index, step, watch)
            except ScriptFailed as error:
                if step.repeatable:
                    raise
                attempts.blockers = watch.blockers if watch.over_budget else ()
                raise _NotAgain(error) from error

        try:
            await attempts.run(attempt)
        except _NotAgain as stop:
            raise stop.error from stop
        finally:
            self._tally.add(attempts)
        if self._unrecorded:
            await self._record_done(index)

    async def _run_recorded(self, index: int, step: Step, watch: LockWatch) -> None:
        """Run a statement with its record."""
        session, ledger = self._work.session, self._work.ledger
        record = ledger.progress_text(self._run_id, index + 1, self._digests[index + 1])
        # A comment at the end of the statement must not take in what follows.
        text = f"{step.statement.text}\n;{load('own_role').query_text}\n{record}"
        try:
            async with watch:
                await session.execute_script(script_of(self._planned, text))
        except ScriptFailed as error:
            raise replace(error, position=None) if error.statements_done else error from error
        if not session.usable:
            await session.end_transaction()
            raise transaction_ended(self._work, self._planned)

    async def _run_alone(self, index: int, step: Step, watch: LockWatch) -> None:
        """Run a statement that refuses a transaction, once it is recorded that it begins."""
        session, working = self._work.session, self._work.working
        step = replace(step, kind=await with_known_indexes(session, step.kind))
        self._steps[index] = step
        # What is there before it, such as another index of that name, makes it fail: it is not
        # marked, so that nobody takes that for its work.
        if await look_up(session, step.kind) is not Verdict.DONE:
            known = step.kind.known if isinstance(step.kind, IndexBuild | IndexDrop) else None
            await self._record_progress(index, in_doubt=True, indexes_before=known)
            self._in_doubt = True
        instead = await in_its_place(session, step.kind)
        limited = working.without_lock_timeout() if step.patient else contextlib.nullcontext()
        async with limited, watch:
            await session.execute_script(instead or self._statement(step))
            self._unrecorded = True

    async def _record_done(self, index: int) -> None:
        """Record a statement that went alone: once more after a cancel, which was meant for it."""
        try:
            await self._record_progress(index + 1)
        except QueryCanceled:
            await self._record_progress(index + 1)
        self._unrecorded = False

    async def _record_progress(
        self, done: int, *, in_doubt: bool = False, indexes_before: Sequence[int] | None = None
    ) -> None:
        """Record how many statements are done, as who connected."""
        session, ledger = self._work.session, self._work.ledger
        try:
            async with session.transaction():
                await session.execute_script(load("own_role"))
                await ledger.progress(
                    session,
                    self._run_id,
                    done,
                    self._digests[done],
                    in_doubt=in_doubt,
                    indexes_before=indexes_before,
                )
        except ScriptFailed as error:
            # It is none of the file's.
            raise error.error from error

    async def _end(self) -> None:
        work = self._work
        kinds = [step.kind for step in self._steps]
        await refuse_invalid_of(work, self._planned, kinds)
        await partitioned_indexes.refuse_invalid(work, self._planned, kinds)
        await work.working.end_file(self._work.ledger.lock_key)
        await work.ledger.finish(work.session, self._run_id, Result.DONE, len(self._steps))
        self._tally.result = Result.DONE

    async def _failed(self, error: ScriptFailed) -> DbopsError:
        """What to raise for a statement that failed, once the ledger has it."""
        if isinstance(error.error, ConnectionLost):
            return connection_lost(self._planned, error.error)
        done = self._tally.statements_done
        statements = [step.statement for step in self._steps]
        offset = statements[done].start if done < len(statements) else 0
        failed = statement_failed(self._work, self._planned, statements, done, error, offset)
        if isinstance(error.error, QueryCanceled) and self._tally.blockers:
            failed = _with_more(failed, in_the_way(self._tally.blockers))
        await self._record_failure(failed)
        if self._tally.result is not Result.INTERRUPTED:
            return failed
        return _with_more(failed, self._way_on())

    def _way_on(self) -> str:
        """What to do about a statement that failed, in a few words."""
        step = self._steps[self._tally.statements_done]
        if self._in_doubt and step.kind is None:
            where = what_to_look_at(step.statement.text, step.kind)
            return f"what it had committed stays: look at {where}, then `dbops migrate resolve`"
        return (
            "what was done before it stays: mend this statement or what it found, and the next "
            "apply goes on here"
        )

    async def _record_failure(self, problem: DbopsError) -> None:
        """The failure itself is what the caller is to hear of, whatever comes of this."""
        session, done = self._work.session, self._tally.statements_done
        with contextlib.suppress(DbopsError):
            await session.end_transaction()
            left = self._in_doubt and (
                self._unrecorded or await self._leaves_something(self._steps[done])
            )
            await self._work.working.end_file(self._work.ledger.lock_key)
            result = Result.INTERRUPTED if done or left else Result.FAILED
            await self._work.ledger.finish(
                session, self._run_id, result, done, in_doubt=left, problem=problem.message
            )
            self._tally.result = result

    async def _leaves_something(self, step: Step) -> bool:
        """Whether a statement that failed alone may have left something that is still there."""
        if step.kind is None:
            return True
        if isinstance(step.kind, PartitionDetach):
            return await in_its_place(self._work.session, step.kind) is not None
        try:
            await drop_invalid(self._work, self._planned, step.kind)
        except DbopsError:
            return True
        return False

    async def _record_cancel(self) -> None:
        session, ledger = self._work.session, self._work.ledger
        with contextlib.suppress(DbopsError, TimeoutError):
            async with asyncio.timeout(_RECORD_S):
                await session.end_transaction()
                await self._work.working.end_file(self._work.ledger.lock_key)
                # The statement may have been done before the server heard of the cancel.
                (row,) = [run for run in await ledger.read(session) if run.id == self._run_id]
                some = row.statements_done or row.in_doubt
                await ledger.finish(
                    session,
                    self._run_id,
                    Result.INTERRUPTED if some else Result.FAILED,
                    row.statements_done,
                    in_doubt=row.in_doubt,
                    problem="it was cancelled",
                )

    def _statement(self, step: Step) -> Statement:
        return script_of(self._planned, step.statement.text)


def _with_more(failed: MigrationFailed, more: str) -> MigrationFailed:
    """The error with something more to say."""
    problem = failed.problem
    return replace(failed, problem=replace(problem, message=f"{problem.message}; {more}"))
