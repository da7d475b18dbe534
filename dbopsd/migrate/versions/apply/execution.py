"""An apply or a rollback from its plan to its report, whatever happens to the connection."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from typing import Final

from dbopsd.db.errors import DatabaseError
from dbopsd.db.retry import retried
from dbopsd.db.session import Session
from dbopsd.errors import DbopsError
from dbopsd.migrate.versions.apply.autovacuum import settings_against_autovacuum
from dbopsd.migrate.versions.apply.engine import AFTER, BEFORE, PlanRun
from dbopsd.migrate.versions.apply.errors import CommitLost, CommitUnknown, LockLost
from dbopsd.migrate.versions.apply.metrics import MigrationMetrics
from dbopsd.migrate.versions.apply.pooler import refuse_pooler
from dbopsd.migrate.versions.apply.schema_before import SchemaBefore, schema_before
from dbopsd.migrate.versions.apply.session_state import working_session
from dbopsd.migrate.versions.apply.trial import PlanTrial
from dbopsd.migrate.versions.apply.watcher import ServersDiffer, watcher_of
from dbopsd.migrate.versions.apply.work import Work
from dbopsd.migrate.versions.ledger.advisory_lock import Holder, database_lock
from dbopsd.migrate.versions.ledger.ledger import Ledger
from dbopsd.migrate.versions.model.ledger_run import Direction, LedgerRun, Result
from dbopsd.migrate.versions.model.reports import MigrationReport, MigrationRun, Outcome
from dbopsd.migrate.versions.plan.plan import PlannedRun
from dbopsd.operations.errors import CancelledWithResult, FailedWithResult
from dbopsd.operations.kind import Run

_AWAY_S: Final = 60.0

Planner = Callable[[list[LedgerRun], frozenset[int], int], tuple[PlannedRun, ...]]
"""The plan, from the ledger's runs, those of them that live, and how many migrations this operation
has done already."""


@dataclass(frozen=True)
class Admission:
    """What was found out before the first migration of a plan begins."""

    reason: str = ""
    """Why findings are none."""
    backup: str = ""
    notes: tuple[str, ...] = ()


@dataclass
class Execution:
    """An apply, or a rollback.

    `admit` looks at a plan that has migrations before the first one begins, and raises where it
    must not.
    """

    run: Run
    direction: Direction
    plan: Planner
    admit: Callable[[Sequence[PlannedRun], Session], Awaitable[Admission]]
    lock_wait_s: float | None = None
    away_s: float = _AWAY_S
    """How long the database may be away before nobody knows whether a migration committed."""
    _first_id: int | None = None
    _earlier: list[MigrationRun] = field(default_factory=list)
    _current: PlanRun | PlanTrial | None = None
    _admission: Admission = field(default_factory=Admission)
    _before: SchemaBefore | None = None
    _spent_s: dict[tuple[str, str], float] = field(default_factory=dict)
    """`Work.spent_s`, of all connections."""

    async def execute(self) -> MigrationReport:
        """Do it.

        Raises `FailedWithResult` and `CancelledWithResult` once there is a plan, and else what was
        in its way.
        """
        try:
            await self._until_done()
        except asyncio.CancelledError as cancelled:
            if self._current is None:
                raise
            report = self._report(Outcome.FAILED, "it was cancelled")
            raise CancelledWithResult(report) from cancelled
        except DbopsError as error:
            if self._current is None:
                raise
            report = self._measured(self._report(Outcome.FAILED, error.message))
            raise FailedWithResult(error, report) from error
        runs = self._runs()
        return self._measured(self._report(Outcome.SUCCEEDED if runs else Outcome.NOTHING_TO_DO))

    async def try_out(self) -> MigrationReport:
        """Do it in a transaction that is rolled back. Raises as `execute`."""
        await refuse_pooler(self.run.database)
        try:
            await self._once(PlanTrial, await self._connect(None))
        except DbopsError as error:
            if self._current is None:
                raise
            report = self._report(Outcome.FAILED, error.message)
            raise FailedWithResult(error, report) from error
        return self._report(Outcome.VALIDATED if self._runs() else Outcome.NOTHING_TO_DO)

    def _measured(self, report: MigrationReport) -> MigrationReport:
        database = self.run.database
        metrics = MigrationMetrics(database.meter, database.name)
        metrics.ended(self.direction, report)
        if self._current is not None and self._current.fingerprint:
            # Drift is measured from that schema now.
            metrics.drifted(0)
        return report

    async def _until_done(self) -> None:
        await refuse_pooler(self.run.database)
        unknown: CommitUnknown | None = None
        while True:
            connected = await self._connect(unknown)
            try:
                return await self._once(PlanRun, connected, unknown)
            except CommitUnknown as error:
                unknown = error
            except LockLost:
                # What is done is recorded; whoever had the lock meanwhile may have done the rest.
                unknown = None

    async def _once(
        self,
        kind: type[PlanRun] | type[PlanTrial],
        connected: tuple[AsyncExitStack, Work],
        unknown: CommitUnknown | None = None,
    ) -> None:
        """Do what the ledger says is left. `unknown`: the migration whose commit is asked for."""
        run, (stack, work) = self.run, connected
        ledger = work.ledger
        async with stack, database_lock(work.session, ledger, waiting=self._tell_holder):
            runs, live = await ledger.read_with_live(work.session, run.operation)
            earlier = self._done_already(runs)
            if unknown is not None and not _is_among(unknown, earlier):
                raise self._lost(unknown)
            plan = self.plan(runs, live, len(earlier))
            self._earlier = [_reported(each) for each in earlier]
            backup = next((each.backup for each in earlier if each.backup), "")
            self._admission = Admission(backup=backup)
            self._current = kind(run, work, plan)
            if self._before is None:
                ignore = run.database.config.migrations.drift_ignore
                self._before = await schema_before(work.session, ledger, ignore)
            if plan:
                async with work.working.looking_up():
                    self._admission = await self.admit(plan, work.session)
            if kind is PlanRun and (plan or runs):
                await ledger.prepare(work.session)
            admitted = replace(work, reason=self._admission.reason, backup=self._admission.backup)
            self._current = kind(run, admitted, plan)
            # A plan without migrations ends what an earlier one left, which needs a ledger.
            if plan or (runs and kind is PlanRun):
                await self._current.run()

    async def _connect(self, unknown: CommitUnknown | None) -> tuple[AsyncExitStack, Work]:
        """The connections, which end with the stack.

        To ask for a commit as soon as the database is back. Raises `CommitUnknown` if it is away
        for too long.
        """
        if unknown is None:
            return await self._connections()
        self.run.progress(f"waiting for database {self.run.database.name}")
        try:
            return await retried(
                self._connections, idempotent=True, attempts=None, timeout_s=self.away_s
            )
        except DatabaseError as error:
            raise replace(unknown, cause=error.message) from error

    def _lost(self, unknown: CommitUnknown) -> CommitLost:
        """What to raise for a commit that did not take effect, which the report says, too."""
        lost = CommitLost(unknown.database, unknown.set, unknown.key, unknown.cause)
        if self._current is not None:
            before = BEFORE[self.direction]
            self._current.runs = [
                replace(each, state=before, problem=lost.message)
                if each.problem == unknown.message
                else each
                for each in self._current.runs
            ]
        return lost

    async def _connections(self) -> tuple[AsyncExitStack, Work]:
        """As `_both`; once more where the two came to different servers, as in a failover."""
        with suppress(ServersDiffer):
            return await self._both()
        return await self._both()

    async def _both(self) -> tuple[AsyncExitStack, Work]:
        """The working connection and its watcher, on one server. Raises `ServersDiffer`."""
        database = self.run.database
        async with AsyncExitStack() as stack:
            watcher = await stack.enter_async_context(watcher_of(database))
            settings = await settings_against_autovacuum(watcher.session)
            working = await stack.enter_async_context(
                working_session(database, settings, self.run.operation)
            )
            await watcher.follow(working.session, working.backend_pid)
            work = Work(
                database.name,
                working,
                watcher,
                Ledger.of(database),
                operation=self.run.operation,
                who=self.run.requester,
                lock_wait_s=self.lock_wait_s,
                spent_s=self._spent_s,
            )
            return stack.pop_all(), work
        raise AssertionError("unreachable: nothing in the stack suppresses errors")

    def _done_already(self, runs: Sequence[LedgerRun]) -> list[LedgerRun]:
        """What this operation has done, in an earlier attempt at it or before it connected anew."""
        if self._first_id is None:
            newest = max((each.id for each in runs), default=0)
            self._first_id = newest if self.run.attempt == 1 else 0
        return [
            each
            for each in runs
            if each.operation == self.run.operation
            and each.id > self._first_id
            and each.direction is self.direction
            and each.result is Result.DONE
        ]

    def _tell_holder(self, holder: Holder) -> None:
        self.run.progress(f"waiting for {holder}")

    def _runs(self) -> list[MigrationRun]:
        return [*self._earlier, *(self._current.runs if self._current else ())]

    def _report(self, outcome: Outcome, problem: str = "") -> MigrationReport:
        current = self._current
        before = self._before or SchemaBefore()
        return MigrationReport(
            operation=f"operations/{self.run.operation}",
            outcome=outcome,
            problem=problem,
            migrations=tuple(self._runs()),
            fingerprint_before=before.digest,
            fingerprint_after=(current.fingerprint if current else "") or before.digest,
            backup=self._admission.backup,
            blockers=current.blockers if current else (),
            notes=(*before.notes, *self._admission.notes, *(current.notes if current else ())),
        )


def _is_among(unknown: CommitUnknown, runs: Sequence[LedgerRun]) -> bool:
    return any((each.set, each.key) == (unknown.set, unknown.key) for each in runs)


def _reported(run: LedgerRun) -> MigrationRun:
    """What an earlier attempt did. How it got its locks is not recorded."""
    duration_s = None
    if run.finished_at is not None:
        duration_s = (run.finished_at - run.started_at).total_seconds()
    return MigrationRun(
        run.set,
        run.version,
        run.name,
        AFTER[run.direction],
        statements_done=run.statements_done,
        statements=run.statements,
        duration_s=duration_s,
        lock_attempts=1,
    )
