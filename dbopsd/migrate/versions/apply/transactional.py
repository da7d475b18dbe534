"""A migration in one transaction, with its row in the ledger.

Its text goes whole, as one message: a syntax error anywhere in it is found before the first
statement runs, and nothing depends on where a statement ends.
"""

import contextlib
from contextlib import AsyncExitStack
from dataclasses import replace

from dbopsd.db.errors import ConnectionLost, DatabaseError, QueryTimeout, ScriptFailed
from dbopsd.db.script_transaction import ScriptTransaction
from dbopsd.errors import DbopsError
from dbopsd.migrate.versions.apply import invalid_indexes, partitioned_indexes
from dbopsd.migrate.versions.apply.errors import (
    CommitUnknown,
    LockLost,
    MigrationFailed,
    TransactionEnded,
)
from dbopsd.migrate.versions.apply.large_texts import off_the_loop
from dbopsd.migrate.versions.apply.lock_watch import LockWatch
from dbopsd.migrate.versions.apply.server_words import ServerWords
from dbopsd.migrate.versions.apply.session_state import load, refuse_lost_lock
from dbopsd.migrate.versions.apply.statement_kinds import IndexBuild
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
from dbopsd.migrate.versions.ledger.errors import LedgerDamaged
from dbopsd.migrate.versions.ledger.lock_key import mark_of
from dbopsd.migrate.versions.ledger.new_run import NewRun
from dbopsd.migrate.versions.model.ledger_run import Result
from dbopsd.migrate.versions.model.migration import MigrationProblem
from dbopsd.migrate.versions.plan.plan import PlannedRun
from dbopsd.migrate.versions.sql.lexer import statements as split_roughly


class TransactionalRun:
    """Runs one migration."""

    _skipping: tuple[IndexBuild, ...] = ()
    """What it builds unless an index of that name is there."""
    _partitioned: tuple[IndexBuild, ...] = ()
    """What it builds on tables that may be partitioned."""

    def __init__(self, work: Work, planned: PlannedRun, new: NewRun, tally: Tally) -> None:
        self._work = work
        self._planned = planned
        self._new = new
        self._tally = tally
        self._limits = limits_of(work, planned)
        self._attempts = attempts_at(work, planned, self._limits)
        self._started_at = work.working.now()
        self._committing = False
        """Whether the last attempt had come to its end, with which it commits."""

    async def run(self) -> None:
        """Run it, until the ledger has its row: of a failure, too.

        Raises `MigrationFailed`, `LockNotAcquired`, `TransactionEnded`, `CommitUnknown` and
        `LedgerDamaged`.
        """
        try:
            self._skipping = await invalid_indexes.drop_skipped(self._work, self._planned)
            self._partitioned = await partitioned_indexes.partitioned_builds(
                self._work, self._planned
            )
            await self._attempts.run(self._attempt)
        except LockLost:
            # Whoever has the lock now may have run it. If not, it does not begin at nothing.
            file, spent = self._planned.file, self._work.spent_s
            spent[file.set, file.key] = (
                spent.get((file.set, file.key), 0.0) + self._attempts.waited_s
            )
            raise
        except (ConnectionLost, QueryTimeout) as error:
            raise self._lost(error) from error
        except ScriptFailed as error:
            raise await self._failed(error) from error
        except TransactionEnded as error:
            await self._record(Result.INTERRUPTED, error)
            raise
        except DbopsError as error:
            await self._record(Result.FAILED, error)
            raise
        finally:
            self._tally.add(self._attempts)

    async def _attempt(self, watch: LockWatch) -> None:
        work, script = self._work, self._planned.script
        if self._attempts.count > 1:
            # The transaction that failed had a lock of its own, and the file may have given the
            # session's back.
            await work.refuse_lost_lock()
            await work.session.execute(load("forget_prepared"))
        self._committing = False
        mark = mark_of(self._planned.file.set, self._planned.file.key)
        opening = await work.working.opening(script, self._limits, work.ledger.lock_key, mark)
        text = script_of(self._planned, script.text)
        async with AsyncExitStack() as watching:
            await watching.enter_async_context(watch)
            closing = load("check_constraints")
            async with work.session.script_transaction(opening, text, closing) as transaction:
                done = transaction.done
                if done.ends_transaction:
                    raise transaction_ended(work, self._planned)
                await invalid_indexes.refuse_invalid_of(work, self._planned, self._skipping)
                await partitioned_indexes.refuse_invalid(
                    work, self._planned, self._partitioned, made_in_transaction=True
                )
                if not opening:
                    await self._refuse_lost_lock()
                # Nothing is cancelled any more.
                await watching.aclose()
                await self._commit(transaction, done.statements)
        self._tally.statements_done = done.statements
        self._tally.result = Result.DONE

    async def _commit(self, transaction: ScriptTransaction, statements_done: int) -> None:
        """Undo what the file did to the session, write its row, and commit: in one message."""
        work = self._work
        row = work.ledger.done_statement(self._row(Result.DONE, statements_done))
        ending = await work.working.ending(work.ledger.lock_key, row)
        self._committing = True
        try:
            await transaction.commit_with(ending)
        except ScriptFailed as error:
            if isinstance(error.error, ConnectionLost):
                raise error.error from error
            refuse_lost_lock(error)
            work.ledger.refuse_lost_row(error)
            raise

    async def _refuse_lost_lock(self) -> None:
        """Raise `MigrationFailed` where a file gave back the lock that it runs under.

        Of its own transaction it has none if it sets its mode: a SELECT before that is too early.
        Others may have begun the same file by now, and even be done.
        """
        work = self._work
        if not await work.working.holds(work.ledger.lock_key):
            raise self._failure(
                "it sets the mode of its transaction and gives back all advisory locks, of which "
                "one keeps others from running it at the same time: do either in another migration"
            )

    async def _failed(self, error: ScriptFailed) -> DbopsError:
        """What to raise for a statement that failed, once the ledger has it."""
        if error.ends_transaction:
            # Also where the connection was lost afterwards.
            ended = transaction_ended(self._work, self._planned)
            await self._record(Result.INTERRUPTED, ended)
            return ended
        if isinstance(error.error, ConnectionLost):
            return connection_lost(self._planned, error.error)
        if self._committing:
            # None of its statements failed.
            cause = ServerWords.of(error, self._planned.script).public
            said = f"it ran, but its row in the ledger or its COMMIT failed: {cause}"
            unrecorded = self._failure(said, error.sqlstate)
            await self._record(Result.FAILED, unrecorded)
            return unrecorded
        text = self._planned.script.text

        def named() -> MigrationFailed:
            done = error.statements_done
            return statement_failed(self._work, self._planned, split_roughly(text), done, error)

        failed = await off_the_loop(text, named)
        await self._record(Result.FAILED, failed)
        return failed

    def _lost(self, error: DatabaseError) -> DbopsError:
        """What to raise once the connection is lost, with which all but a commit is undone."""
        if not self._committing:
            return error
        # Nobody knows until the ledger is asked.
        self._tally.result = Result.RUNNING
        file = self._planned.file
        return CommitUnknown(self._work.database, file.set, file.key, error.message)

    def _failure(self, message: str, sqlstate: str = "") -> MigrationFailed:
        """The failure of a migration all of whose statements ran."""
        file = self._planned.file
        problem = MigrationProblem(
            reason=MigrationFailed.reason,
            message=message,
            set=file.set,
            version=file.version,
            path=self._planned.script.path,
        )
        return MigrationFailed(self._work.database, problem, 0, 0, sqlstate)

    async def _record(self, result: Result, problem: DbopsError) -> None:
        row = replace(self._row(result, 0), problem=problem.message)
        # The failure itself is what the caller is to hear of.
        with contextlib.suppress(DatabaseError, LedgerDamaged, LockLost):
            await self._work.refuse_lost_lock()
            await self._work.ledger.record(self._work.session, [row])
            self._tally.result = result

    def _row(self, result: Result, statements_done: int) -> NewRun:
        return replace(
            self._new,
            result=result,
            started_at=self._started_at,
            statements_done=statements_done,
        )
