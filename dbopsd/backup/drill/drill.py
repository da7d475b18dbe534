"""One drill: restore, count the rows on the way, let the server go on, check it, and end it.

PostgreSQL stops at one moment in a recovery. So it first pauses where the rows were counted, is
shut down, and goes on from there to the drill's own moment. Where that is the earlier one of the
two, the rows are counted in a restore of their own.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from dbopsd.backup.catalog.commit import RowCounts
from dbopsd.backup.codec.errors import BackupDamaged
from dbopsd.backup.drill.row_check import compare_rows
from dbopsd.backup.drill.scratch_server import shut_down
from dbopsd.backup.drill.server_checks import (
    Outcome,
    check_checksums,
    check_indexes,
    check_statement,
    create_checker,
)
from dbopsd.backup.model.reports import DrillCheck, ReachedMoment
from dbopsd.backup.model.requests import RecoveryTarget, TargetAction
from dbopsd.backup.repository import Repository
from dbopsd.backup.restore.cluster import RestoredCluster, restore_cluster, set_target
from dbopsd.backup.restore.errors import RecoveryFailed, RestoreFailed, TargetUnreachable
from dbopsd.backup.restore.plan import Plan, plan_restore
from dbopsd.backup.restore.start import RestoredServer, confirm, started
from dbopsd.db.errors import DatabaseError
from dbopsd.operations.kind import Run

ROWS: Final = "rows"
_FAILURES: Final = (RecoveryFailed, RestoreFailed, BackupDamaged, DatabaseError)
"""What speaks against the backup. Any other error says that no drill could be made."""


@dataclass
class Drill:
    """The drill of one plan, in `directory`, which nobody else has. Its results are in order."""

    run: Run
    repository: Repository
    plan: Plan
    directory: Path
    statements: Sequence[str]
    checks: list[DrillCheck] = field(default_factory=list)
    reached: ReachedMoment | None = None
    recovery_s: float = 0.0

    async def make(self) -> None:
        """Make it. Whatever the checks say, the server has ended by the time this returns."""
        began = time.monotonic()
        counts = self.plan.backup.row_counts
        if counts is None or not counts.tables:
            why = counts.left_out[0] if counts and counts.left_out else "it has no row counts"
            self._note(ROWS, True, f"not compared with the backup: {why}", began)
            counts = None
        try:
            counted_at = None if counts is None else await self._plan_of(counts)
            restored = await self._restore(self.plan, self.directory)
        except _FAILURES as error:
            self._note("start", False, error.message, began)
            return
        before_s = 0.0
        if counts is not None and counted_at is not None and self._is_first(counted_at):
            counting = time.monotonic()
            restored = await self._count_on_the_way(restored, counted_at, counts)
            before_s = time.monotonic() - counting
        if await self._check_server(restored, began + before_s, counted_at, counts):
            await self._check("checksums", lambda: check_checksums(self.run, restored))
        if counts is not None and counted_at is not None and not self._has(ROWS):
            await self._count_apart(counted_at, counts)

    async def _plan_of(self, counts: RowCounts) -> Plan | None:
        """The plan of a recovery to where rows were counted; None, noted, where that is not."""
        target = RecoveryTarget(
            lsn=str(counts.lsn), exclusive=True, timeline=str(self.plan.backup.timeline)
        )
        try:
            return await plan_restore(
                self.run, self.repository, target, backup_id=self.plan.backup.id
            )
        except TargetUnreachable as error:
            self._note(ROWS, False, error.message, time.monotonic())
            return None

    def _is_first(self, counted_at: Plan) -> bool:
        """Whether recovery comes to where rows were counted before it comes to its own end."""
        here, there = self.plan.stop, counted_at.stop.record
        if here.immediate or there is None:
            return False
        return here.record is None or there.lsn <= here.record.lsn

    def _ends_where(self, counted_at: Plan | None) -> bool:
        """Whether nothing follows where rows were counted, and recovery ends there itself."""
        stop = self.plan.stop
        is_last = counted_at is not None and counted_at.stop.record is None
        return is_last and stop.record is None and not stop.immediate

    async def _restore(self, plan: Plan, directory: Path) -> RestoredCluster:
        return await restore_cluster(
            self.run,
            self.repository,
            plan,
            str(directory),
            roots=[self.run.state_dir],
            mappings={each.location: f"{directory}.{each.oid}" for each in plan.backup.tablespaces},
            action=TargetAction.PROMOTE,
        )

    async def _count_on_the_way(
        self, restored: RestoredCluster, counted_at: Plan, counts: RowCounts
    ) -> RestoredCluster:
        """Recover to where rows were counted, count, and set the server to go on from there."""
        plan = restored.plan
        paused = replace(plan, stop=counted_at.stop)
        there = await asyncio.to_thread(set_target, restored, paused, TargetAction.PAUSE)
        await self._check(ROWS, lambda: self._count(there, counts))
        return await asyncio.to_thread(set_target, there, plan, TargetAction.PROMOTE)

    async def _count_apart(self, counted_at: Plan, counts: RowCounts) -> None:
        """Count in a restore to where rows were counted, which is later than the drill's end."""

        async def count() -> Outcome:
            restored = await self._restore(counted_at, Path(f"{self.directory}-rows"))
            if counted_at.stop.record is not None:
                restored = await asyncio.to_thread(
                    set_target, restored, restored.plan, TargetAction.PAUSE
                )
            return await self._count(restored, counts)

        await self._check(ROWS, count)

    async def _count(self, restored: RestoredCluster, counts: RowCounts) -> Outcome:
        async with started(self.run, restored) as server:
            await confirm(server)
            outcome = await compare_rows(self.run, server, counts)
            await shut_down(self.run, restored)
        return outcome

    async def _check_server(
        self,
        restored: RestoredCluster,
        began: float,
        counted_at: Plan | None,
        counts: RowCounts | None,
    ) -> bool:
        """Start the server and check it; whether it was shut down in order."""
        starting = time.monotonic()
        try:
            async with started(self.run, restored) as server:
                self.recovery_s = time.monotonic() - began
                self._note("start", True, "the server takes writes", starting)
                await self._check("reached", lambda: self._confirm(server))
                if counts is not None and self._ends_where(counted_at):
                    await self._check(ROWS, lambda: compare_rows(self.run, server, counts))
                await self._check("amcheck", lambda: check_indexes(self.run, server))
                await self._run_statements(server)
                await shut_down(self.run, restored)
        except RecoveryFailed as error:
            if self._has("start"):
                self._note("stop", False, error.message, starting)
            else:
                self._note("start", False, error.message, starting)
            return False
        return True

    async def _confirm(self, server: RestoredServer) -> Outcome:
        self.reached = await confirm(server)
        time_ = self.reached.time
        newest = "no commit" if time_ is None else f"the last commit is of {time_.isoformat()}"
        return True, f"recovery ended at {self.reached.lsn}; {newest}"

    async def _run_statements(self, server: RestoredServer) -> None:
        if not self.statements:
            return
        dbname = self.run.database.dsn.postgres_database
        role = await create_checker(self.run, server, dbname)
        for number, statement in enumerate(self.statements, 1):

            async def check(statement: str = statement) -> Outcome:
                return await check_statement(self.run, server, dbname, role, statement)

            await self._check(f"sql-{number}", check)

    async def _check(self, name: str, work: Callable[[], Awaitable[Outcome]]) -> None:
        self.run.progress(f"check {name}")
        began = time.monotonic()
        try:
            ok, detail = await work()
        except _FAILURES as error:
            ok, detail = False, error.message
        self._note(name, ok, detail, began)

    def _note(self, name: str, ok: bool, detail: str, began: float) -> None:
        seconds = round(time.monotonic() - began, 3)
        self.checks.append(DrillCheck(name, ok, detail, seconds))

    def _has(self, name: str) -> bool:
        return any(each.name == name for each in self.checks)
