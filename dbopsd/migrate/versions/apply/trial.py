"""A plan in one transaction that is rolled back: what `validate_only` asks for."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from dbopsd.db.errors import DeadlockDetected, LockTimeout, QueryCanceled, ScriptFailed
from dbopsd.errors import DbopsError
from dbopsd.migrate.versions.apply.attempts import LockAttempts, LockLimits
from dbopsd.migrate.versions.apply.engine import UNIT, VERBS, PlanState, not_begun
from dbopsd.migrate.versions.apply.lock_watch import LockWatch
from dbopsd.migrate.versions.apply.server_words import ServerWords
from dbopsd.migrate.versions.apply.session_state import sets_modes
from dbopsd.migrate.versions.apply.trial_constraints import check_deferred
from dbopsd.migrate.versions.apply.work import (
    limits_of,
    script_of,
    statement_failed,
    transaction_ended,
)
from dbopsd.migrate.versions.model.migration_file import Script
from dbopsd.migrate.versions.plan.plan import PlannedRun
from dbopsd.migrate.versions.sql.lexer import statements

# unsafe_new_enum_value_usage: of a value that an earlier migration of the plan adds, which is safe
# once that is committed.
_NEEDS_COMMIT: Final = "55P04"
# active_sql_transaction
_TOO_LATE: Final = "25001"


class PlanTrial(PlanState):
    """Tries a plan. Its locks are held until all is rolled back.

    No longer than the migrations may wait for their locks: writers stand behind them. Nothing stays
    but for numbers of sequences.
    """

    async def run(self) -> None:
        """Try every migration of the plan, up to the first that fails.

        Raises `MigrationFailed`, `LockNotAcquired`, `TransactionEnded`, and what else the database
        does.
        """
        limits = min((limits_of(self._work, each) for each in self._plan), key=_strictness)
        attempts = LockAttempts(
            self._work.watcher,
            self._work.working.backend_pid,
            limits,
            database=self._work.database,
            migration="the plan",
        )
        try:
            await attempts.run(partial(self._attempt, limits.wait_s))
        finally:
            self.blockers = attempts.blockers

    async def _attempt(self, longest_s: float, watch: LockWatch) -> None:
        self.runs = [not_begun(each) for each in self._plan]
        self.notes = []
        limit = asyncio.timeout(longest_s)
        try:
            async with limit, self._work.session.trial(), watch:
                await self._try_all()
        except TimeoutError:
            if not limit.expired():
                raise
            self.notes.append(
                f"not tried to the end: it was rolled back after {longest_s:g} s, for writers wait "
                "behind its locks; a longer --lock-wait lets them wait for longer"
            )

    async def _try_all(self) -> None:
        untried: list[str] = []
        done = 0
        for index, planned in enumerate(self._plan):
            path = planned.script.path
            self._run.progress(f"try {VERBS[planned.direction]}", done, self._total, UNIT)
            done += self.runs[index].statements
            if not planned.script.transactional or planned.interrupted is not None:
                untried.append(path)
                self.notes.append(f"{path} was not tried: it is not in a transaction")
                continue
            try:
                await self._try(index, planned)
            except ScriptFailed as error:
                reason = _untestable(error, planned.script, untried)
                if not reason:
                    raise self._failed(index, planned, error) from error
                self.notes.append(f"{path} and what follows could not be tried: {reason}")
                return

    async def _try(self, index: int, planned: PlannedRun) -> None:
        work, key = self._work, self._work.ledger.lock_key
        opening = await work.working.opening(planned.script, limits_of(work, planned), key)
        text = script_of(planned, planned.script.text)
        async with work.session.script_transaction(opening, text) as transaction:
            done = transaction.done
            self.runs[index] = replace(self.runs[index], statements_done=done.statements)
            if done.ends_transaction:
                raise transaction_ended(work, planned)
            try:
                await work.working.reset_encoding()
                await check_deferred(work.session)
                await work.working.end_file(key)
            except ScriptFailed as error:
                raise replace(error, position=None, statements_done=done.statements) from error

    def _failed(self, index: int, planned: PlannedRun, error: ScriptFailed) -> DbopsError:
        """What to raise for a statement that failed."""
        if isinstance(error.error, LockTimeout | DeadlockDetected | QueryCanceled):
            return error.error  # all of it is tried again, if that is it
        found = statements(planned.script.text)
        failed = statement_failed(self._work, planned, found, error.statements_done, error)
        self.runs[index] = replace(self.runs[index], problem=failed.message, detail=failed.detail)
        return failed


def _strictness(limits: LockLimits) -> tuple[int, int]:
    return (limits.budget_ms, limits.lock_timeout_ms)


def _untestable(error: ScriptFailed, script: Script, untried: Sequence[str]) -> str:
    """Why a failure says nothing of the migration; empty: it does."""
    cause = ServerWords.of(error, script).public
    if error.sqlstate == _NEEDS_COMMIT:
        return f"{cause}, which an earlier migration adds and commits before"
    if error.sqlstate == _TOO_LATE and _failed_at_modes(error, script):
        return f"{cause}, and all of a trial is one transaction"
    if untried and error.sqlstate.startswith("42"):
        return f"{cause}, which may come of {untried[-1]}, which was not tried"
    return ""


def _failed_at_modes(error: ScriptFailed, script: Script) -> bool:
    """Whether a statement failed that sets a mode of its transaction, such as its isolation."""
    failed = statements(script.text)[error.statements_done :][:1]
    return any(sets_modes(each.text) for each in failed)
