"""Runs a plan, migration after migration."""

import contextlib
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from dbopsd.db.errors import LockTimeout, QueryCanceled
from dbopsd.errors import DbopsError
from dbopsd.migrate.versions.apply.blockers import waited_for
from dbopsd.migrate.versions.apply.errors import MigrationFailed
from dbopsd.migrate.versions.apply.fingerprint_budget import FingerprintBudget
from dbopsd.migrate.versions.apply.large_texts import off_the_loop
from dbopsd.migrate.versions.apply.stepwise import StepwiseRun
from dbopsd.migrate.versions.apply.transactional import TransactionalRun
from dbopsd.migrate.versions.apply.work import Tally, Work, interruption
from dbopsd.migrate.versions.fingerprint.fingerprint import take_fingerprint
from dbopsd.migrate.versions.ledger.new_run import NewRun
from dbopsd.migrate.versions.model.ledger_run import Direction, Result
from dbopsd.migrate.versions.model.migration import State
from dbopsd.migrate.versions.model.reports import Blocker, MigrationRun
from dbopsd.migrate.versions.plan.plan import PlannedRun
from dbopsd.operations.kind import Run

UNIT: Final = "{statements}"
BEFORE: Final = {Direction.UP: State.PENDING, Direction.DOWN: State.APPLIED}
VERBS: Final = {Direction.UP: "apply", Direction.DOWN: "roll back"}
AFTER: Final = {Direction.UP: State.APPLIED, Direction.DOWN: State.PENDING}


class PlanState:
    """What there is to tell of a plan, right at every moment, also when a migration fails."""

    def __init__(self, run: Run, work: Work, plan: Sequence[PlannedRun]) -> None:
        self._run = run
        self._work = work
        self._plan = plan
        self.runs = [not_begun(each) for each in plan]
        """One of each migration, in the plan's order."""
        self._total = sum(each.statements for each in self.runs)
        self.blockers: tuple[Blocker, ...] = ()
        """Who was in the way of the one that failed."""
        self.fingerprint = ""
        """Of the schema after the last migration; empty: there was none."""
        self.notes: list[str] = []


class PlanRun(PlanState):
    """Runs a plan. The caller has the lock of migrations, and a ledger that is prepared."""

    def __init__(self, run: Run, work: Work, plan: Sequence[PlannedRun]) -> None:
        super().__init__(run, work, plan)
        self._done = 0
        self._changed = False
        self._began_s = time.monotonic()
        self._fingerprints = FingerprintBudget(len(plan))

    async def run(self) -> None:
        """Run every migration of the plan, up to the first that fails.

        Raises `MigrationFailed`, `LockNotAcquired`, `MigrationInterrupted`, `TransactionEnded`,
        `CommitUnknown`, `LockLost`, and what else the database does.
        """
        if not self._plan:
            await self._begin_anew()
            return
        last = len(self._plan) - 1
        try:
            for index, planned in enumerate(self._plan):
                with self._run.tracer.start_as_current_span(
                    f"migration {planned.direction.value}",
                    attributes={
                        "dbops.migration.set": planned.file.set,
                        "dbops.migration.key": planned.file.key,
                    },
                ):
                    await self._migrate(index, planned)
                    if index != last:
                        await self._take_fingerprint()
        except DbopsError:
            if self._work.session.usable and self._changed:
                # Drift is measured from what was done, too.
                with contextlib.suppress(DbopsError):
                    await self._store_fingerprint()
            raise
        await self._store_fingerprint()

    async def _migrate(self, index: int, planned: PlannedRun) -> None:
        tally = Tally()
        began_s = time.monotonic()
        turn = f"({index + 1} of {len(self._plan)})"
        stage = f"{VERBS[planned.direction]} {planned.file.key} {turn}"
        before = self._done

        def tell(statements_done: int) -> None:
            self._done = before + statements_done
            self._run.progress(stage, self._done, self._total, UNIT)

        def wait(attempt: int, _seconds: float, blockers: tuple[Blocker, ...]) -> None:
            waiting = f"{stage}, attempt {attempt}, waiting for {waited_for(blockers)}"
            self._run.progress(waiting, self._done, self._total, UNIT)

        def tell_of_work(text: str) -> None:
            self._run.progress(f"{stage}, {text}", self._done, self._total, UNIT)

        work = replace(self._work, on_wait=wait, on_work=tell_of_work)
        tell(0)
        problem = detail = ""
        try:
            if planned.script.transactional:
                await self._in_transaction(work, index, planned, tally)
            else:
                new = await self._new(index, planned)
                await StepwiseRun(work, planned, new, tally, tell).run()
            tell(self.runs[index].statements)
        except DbopsError as error:
            problem = error.message
            detail = error.detail if isinstance(error, MigrationFailed) else ""
            self.blockers = tally.blockers
            raise
        finally:
            self._changed = self._changed or tally.statements_done > 0
            refused = tally.result is None and planned.interrupted is not None
            run = self.runs[index]
            self.runs[index] = replace(
                run,
                # One that was refused is as it was.
                state=run.state if refused else _state(planned, tally.result),
                statements_done=run.statements_done if refused else tally.statements_done,
                duration_s=time.monotonic() - began_s,
                lock_attempts=tally.lock_attempts,
                lock_wait_s=tally.lock_wait_s,
                problem=problem,
                detail=detail,
            )

    async def _in_transaction(
        self, work: Work, index: int, planned: PlannedRun, tally: Tally
    ) -> None:
        if planned.interrupted is not None:
            # It ended its own transaction.
            raise interruption(work, planned, planned.interrupted)
        new = await self._new(index, planned)
        await TransactionalRun(work, planned, new, tally).run()

    async def _begin_anew(self) -> None:
        """Store the schema where a kill has left none to measure drift from."""
        ledger, session = self._work.ledger, self._work.session
        if await ledger.last_run(session) and not await ledger.last_digest(session):
            await self._store_fingerprint()
            self.notes.append(
                "the schema after the last run was not known: drift is measured from that of now"
            )

    async def _take_fingerprint(self) -> None:
        """Record the schema's digest after a run, where that does not take too long in all."""
        if self._fingerprints.allows(time.monotonic() - self._began_s):
            await self._record_fingerprint(store=False)

    async def _store_fingerprint(self) -> None:
        """Record the schema after the last run, and store what drift is measured from."""
        self._run.progress("fingerprint", self._done, self._total, UNIT)
        await self._record_fingerprint(store=True)

    async def _record_fingerprint(self, *, store: bool) -> None:
        # Once the locks of the migration are given back: between the two somebody else may change
        # the schema, which then is no drift.
        began_s = time.monotonic()
        ledger, session = self._work.ledger, self._work.session
        try:
            taken = await take_fingerprint(session, ledger_schema=ledger.schema)
        except (LockTimeout, QueryCanceled) as error:
            self.notes.append(f"the schema's fingerprint is not known: {error.message}")
            return
        async with session.transaction():
            await ledger.set_fingerprint(session, await ledger.last_run(session), taken.digest)
            if store:
                await ledger.store_fingerprint(session, taken)
        self.fingerprint = taken.digest
        self._fingerprints.spend(time.monotonic() - began_s)

    async def _new(self, index: int, planned: PlannedRun) -> NewRun:
        work = self._work

        def new() -> NewRun:
            return NewRun.of(
                planned.file,
                planned.direction,
                operation=work.operation,
                who=work.who,
                statements=self.runs[index].statements,
                reason=work.reason,
                backup=work.backup,
            )

        return await off_the_loop(planned.script.text, new)


def not_begun(planned: PlannedRun) -> MigrationRun:
    """A migration of a plan before its turn."""
    file, interrupted = planned.file, planned.interrupted
    return MigrationRun(
        file.set,
        file.version,
        file.name,
        BEFORE[planned.direction] if interrupted is None else State.INTERRUPTED,
        statements_done=interrupted.statements_done if interrupted else 0,
        statements=planned.script.statements,
    )


def _state(planned: PlannedRun, result: Result | None) -> State:
    if result is Result.DONE:
        return AFTER[planned.direction]
    if result in (Result.RUNNING, Result.INTERRUPTED):
        return State.INTERRUPTED
    if result is Result.FAILED and planned.direction is Direction.UP:
        return State.FAILED
    return BEFORE[planned.direction]
