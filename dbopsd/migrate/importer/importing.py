"""An import, from a file to published tables, and what there is to tell of it."""

import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Final

from dbopsd.db.session import Session
from dbopsd.errors import DbopsError
from dbopsd.migrate.importer import looking
from dbopsd.migrate.importer.copying import CopiedTable, copy_all
from dbopsd.migrate.importer.errors import RowsDiffer, ValuesRejected
from dbopsd.migrate.importer.finishing import SETTINGS, import_session, make_objects, settle
from dbopsd.migrate.importer.planning.plan import Fate, Plan, PlannedObject
from dbopsd.migrate.importer.processes.messages import Setup
from dbopsd.migrate.importer.processes.pool import Processes, processes
from dbopsd.migrate.importer.processes.tasks import SnapshotTaken
from dbopsd.migrate.importer.report import ImportReport, Outcome, TableReport
from dbopsd.migrate.importer.requests import BadRows, RunImportRequest
from dbopsd.migrate.importer.target import placing, records, staging
from dbopsd.migrate.importer.target.placed import Placed
from dbopsd.migrate.importer.target.records import ImportRecord, RecordState
from dbopsd.migrate.importer.verifying import Expected, VerifiedTable, verify_table
from dbopsd.operations.errors import FailedWithResult
from dbopsd.operations.kind import Run

_LEAST_PROCESSES: Final = 2
# So that a report is a message that every client takes: gRPC's default limit is 4 MiB.
_MOST_EXAMPLES: Final = 2000
_MOST_PROCESSES: Final = 8


@asynccontextmanager
async def import_processes(run: Run, wanted: int = 0) -> AsyncIterator[Processes]:
    """The operation's processes; as many as processors where `wanted` is 0."""
    count = wanted or min(max(os.cpu_count() or 1, _LEAST_PROCESSES), _MOST_PROCESSES)
    login = run.database.login(application_name="dbopsd import process", settings=SETTINGS)
    async with processes(run, Setup(run.database.name, login), count, tracer=run.tracer) as pool:
        yield pool


async def run_import(run: Run, request: RunImportRequest) -> ImportReport:
    """Carry the file over, verify and publish it. Raises `FailedWithResult`, with the report."""
    this = _Import(run, request)
    try:
        return await this.to_its_end()
    except DbopsError as error:
        raise FailedWithResult(error, this.report(problem=error.message)) from error


async def clean_up(run: Run, _request: RunImportRequest) -> None:
    """Leave nothing of an import that failed or was cancelled."""
    async with import_session(run.database) as session:
        record = await records.find(session, run.operation)
        if record is None:
            return
        if record.state is RecordState.PUBLISHED:
            await placing.take_back(session, record)
        async with session.transaction():
            await staging.drop_schema(session, record.staging_schema)
            await records.forget(session, run.operation)


@dataclass
class _Import:
    run: Run
    request: RunImportRequest
    plan: Plan = field(default_factory=lambda: Plan(()))
    record: ImportRecord | None = None
    copied: dict[str, CopiedTable] = field(default_factory=dict)
    verified: dict[str, VerifiedTable] = field(default_factory=dict)
    placed: dict[str, Placed] = field(default_factory=dict)
    objects: list[PlannedObject] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    async def to_its_end(self) -> ImportReport:
        run = self.run
        async with (
            import_processes(run, self.request.processes) as pool,
            import_session(run.database) as session,
        ):
            with self._stage("snapshot"):
                taken = await looking.snapshot(run, pool, self.request)
            with self._stage("plan"):
                self.plan = await run.step(
                    "plan",
                    lambda: placing.plan(run, pool, self.request, taken, session),
                    returns=Plan,
                )
                self.objects = list(self.plan.objects)
            with self._stage("stage"):
                self.record = await self._staged(session)
            if self.record.state is RecordState.STAGED:
                await self._fill(pool, session, self.record, taken)
                with self._stage("publish"):
                    run.progress("publish")
                    placed = await placing.place(session, self.record, self.request, self.views)
                    self.placed = {each.source: each for each in placed}
        return self.report()

    async def _staged(self, session: Session) -> ImportRecord:
        """The import's record, and its tables, empty if this is the first attempt."""
        run = self.run

        async def stage() -> bool:
            record = ImportRecord(
                import_id=run.operation,
                source=self.request.source,
                target_schema=self.request.schema,
                staging_schema=records.staging_schema(run.operation),
                previous_schema=records.previous_schema(run.operation),
                state=RecordState.STAGED,
                plan=self.plan,
            )
            await staging.begin(session, record)
            return True

        run.progress("stage")
        await run.step("stage", stage, returns=bool)
        return await records.get(session, run.operation, run.database.name)

    async def _fill(
        self, pool: Processes, session: Session, record: ImportRecord, taken: SnapshotTaken
    ) -> None:
        with self._stage("copy"):
            copied = await copy_all(self.run, pool, record, taken.path, self.request)
        self.copied = {each.table.source: each for each in copied}
        self._refuse_rejects()
        if self.request.verify:
            with self._stage("verify"):
                await self._verify(pool, session, record, taken)
        with self._stage("keys and indexes"):
            self.objects = await make_objects(self.run, record, pool.count)
        with self._stage("statistics"):
            await settle(self.run, record, pool.count)

    def _refuse_rejects(self) -> None:
        rows = sum(each.rejected_rows for each in self.copied.values())
        if rows and self.request.bad_rows is BadRows.FAIL:
            counts = [count for each in self.copied.values() for count in each.counts]
            most = max(counts, key=lambda each: each.count)
            raise ValuesRejected(rows, f"{most.table}.{most.column} ({most.reason})")

    async def _verify(
        self, pool: Processes, session: Session, record: ImportRecord, taken: SnapshotTaken
    ) -> None:
        total = sum(each.copied_rows for each in self.copied.values())
        done = 0

        def on_progress(rows: int) -> None:
            nonlocal done
            done += rows
            self.run.progress("verify", done, total, looking.UNIT_ROWS)

        self.run.progress("verify", 0, total, looking.UNIT_ROWS)
        for each in self.copied.values():
            # What PostgreSQL computes was not sent: the file is read again for it.
            sent = each.digest if each.table.copied == each.table.columns else None
            self.verified[each.table.source] = await verify_table(
                pool,
                session,
                taken.path,
                record.staging_schema,
                Expected(each.table, each.ranges, sent),
                self.request.max_examples,
                on_progress,
            )
        differing = [each for each in self.verified.values() if each.differing_rows]
        if differing:
            rows = sum(each.differing_rows for each in differing)
            raise RowsDiffer(rows, ", ".join(each.table.source for each in differing))

    @property
    def views(self) -> list[str]:
        """The views that were made, by their names in PostgreSQL."""
        return [
            each.target
            for each in self.objects
            if each.kind == "view" and each.ddl and each.fate is not Fate.NOT_CARRIED
        ]

    def report(self, problem: str = "") -> ImportReport:
        """What there is to tell, so far."""
        tables = [self._table(table.source) for table in self.plan.tables]
        copied = list(self.copied.values())
        rejected = sum(each.rejected_rows for each in copied)
        outcome = Outcome.SUCCEEDED_WITH_REJECTS if rejected else Outcome.SUCCEEDED
        published = self.record is not None and not problem
        return ImportReport(
            import_id=self.run.operation,
            outcome=Outcome.FAILED if problem else outcome,
            source=self.request.source,
            schema=self.request.schema,
            tables=tables,
            objects=[replace(each, ddl="") for each in self.objects],
            reject_counts=[count for each in copied for count in each.counts],
            rejects=[reject for each in copied for reject in each.rejects][:_MOST_EXAMPLES],
            differences=[
                difference for each in self.verified.values() for difference in each.examples
            ][:_MOST_EXAMPLES],
            notes=list(self.plan.notes),
            problem=problem,
            rows=sum(table.rows for table in tables),
            copied_rows=sum(table.copied_rows for table in tables),
            rejected_rows=rejected,
            verified_rows=sum(table.verified_rows for table in tables),
            stage_seconds={name: round(seconds, 3) for name, seconds in self.seconds.items()},
            rejects_table="dbops.import_rejects" if rejected and published else "",
            previous_schema=(
                self.record.previous_schema
                if self.record is not None and any(each.kept for each in self.placed.values())
                else ""
            ),
        )

    def _table(self, source: str) -> TableReport:
        table = self.plan.table(source)
        report = TableReport(source=source, target=table.target, rows=table.rows)
        if (copied := self.copied.get(source)) is not None:
            report = replace(
                report,
                rows=copied.rows,
                copied_rows=copied.copied_rows,
                copied_bytes=copied.copied_bytes,
                rejected_rows=copied.rejected_rows,
                changed_values=copied.changed_values,
                copy_seconds=round(copied.seconds, 3),
            )
        if (verified := self.verified.get(source)) is not None:
            report = replace(
                report,
                verified_rows=verified.rows,
                differing_rows=verified.differing_rows,
            )
        if (placed := self.placed.get(source)) is not None:
            report = replace(
                report, merged_rows=placed.merged_rows, deleted_rows=placed.deleted_rows
            )
        return report

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        started = time.monotonic()
        with self.run.tracer.start_as_current_span(f"import {name}"):
            try:
                yield
            finally:
                self.seconds[name] = time.monotonic() - started
