"""An import, from a file to published tables, and what there is to tell of it."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from dbopsd.errors import DbopsError
from dbopsd.migrate.importer import looking, rejects_file
from dbopsd.migrate.importer.copying import CopiedTable, Ranges, copy_all, parts_of
from dbopsd.migrate.importer.errors import RowsDiffer, ValuesRejected
from dbopsd.migrate.importer.finishing import SETTINGS, import_session, make_objects, settle
from dbopsd.migrate.importer.outages import waited_out
from dbopsd.migrate.importer.planning.plan import Fate, Plan, PlannedObject, PlannedTable
from dbopsd.migrate.importer.processes.messages import Setup
from dbopsd.migrate.importer.processes.pool import Processes, processes
from dbopsd.migrate.importer.processes.tasks import RejectsWritten, SnapshotTaken, WriteRejects
from dbopsd.migrate.importer.report import ImportReport, Outcome, TableReport
from dbopsd.migrate.importer.requests import BadRows, RunImportRequest
from dbopsd.migrate.importer.target import placing, records, staging
from dbopsd.migrate.importer.target.placed import Placed, placed_by
from dbopsd.migrate.importer.target.records import ImportRecord, RecordState
from dbopsd.migrate.importer.verifying import Expected, VerifiedTable, verify_table
from dbopsd.operations.errors import FailedWithResult
from dbopsd.operations.kind import Run

_LEAST_PROCESSES: Final = 2
# So that a report is a message that every client takes: gRPC's default limit is 4 MiB.
_MOST_EXAMPLES: Final = 2000
_MOST_PROCESSES: Final = 8
# How long it may take to find out whether a publication that was cut off took effect.
_ASK_S: Final = 2.0


@asynccontextmanager
async def import_processes(run: Run, wanted: int = 0) -> AsyncIterator[Processes]:
    """The operation's processes; as many as processors where `wanted` is 0."""
    count = wanted or min(max(os.cpu_count() or 1, _LEAST_PROCESSES), _MOST_PROCESSES)
    login = run.database.login(application_name="dbopsd import process", settings=SETTINGS)
    async with processes(run, Setup(run.database.name, login), count, tracer=run.tracer) as pool:
        yield pool


async def run_import(run: Run, request: RunImportRequest) -> ImportReport:
    """Carry the file over, verify and publish it. Raises `FailedWithResult`, with the report.

    Once it is published there is no way back but `RevertImport`: what fails or is cancelled then
    comes too late, and it has succeeded.
    """
    this = _Import(run, request)
    try:
        return await this.to_its_end()
    except asyncio.CancelledError:
        if not await this.is_placed():
            raise
        if (task := asyncio.current_task()) is not None:
            task.uncancel()
        return this.report()
    except DbopsError as error:
        if await this.is_placed():
            return this.report()
        raise FailedWithResult(error, this.report(problem=error.message)) from error


async def clean_up(run: Run, _request: RunImportRequest) -> None:
    """Leave nothing of an import that failed or was cancelled.

    One that was published is taken back: its worker died before it could tell. Raises what
    `placing.take_back` does where that cannot be, because others have written to its rows since.
    """
    async with import_session(run.database) as session:
        record = await records.find(session, run.operation)
        if record is not None:
            if record.state is RecordState.PUBLISHED:
                await placing.take_back(session, record)
            async with session.transaction():
                await staging.drop_schema(session, record.staging_schema)
                await records.forget(session, run.operation)
    # Last: what could not be taken back keeps it.
    await asyncio.to_thread(rejects_file.remove, _rejects_path(run))


@dataclass
class _Import:
    run: Run
    request: RunImportRequest
    plan: Plan = field(default_factory=lambda: Plan(()))
    record: ImportRecord | None = None
    copied: dict[str, CopiedTable] = field(default_factory=dict)
    verified: dict[str, VerifiedTable] = field(default_factory=dict)
    objects: list[PlannedObject] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    filled: ImportReport | None = None
    """What there is to tell once the tables are as they are to be published."""
    rejects_file: str = ""
    placing: bool = False
    """Whether it may have been published: an earlier attempt may have died right after that."""
    placed: dict[str, Placed] | None = None

    async def to_its_end(self) -> ImportReport:
        run = self.run
        async with import_processes(run, self.request.processes) as pool:
            with self._stage("snapshot"):
                taken = await looking.snapshot(run, pool, self.request)
            with self._stage("plan"):
                self.plan = await run.step(
                    "plan", lambda: waited_out(lambda: self._planned(pool, taken)), returns=Plan
                )
                self.objects = list(self.plan.objects)
                ranges = await parts_of(run, self.plan, taken.path, pool.count)
            with self._stage("stage"):
                record = self.record = await self._staged()
                self.placing = record.state is RecordState.PUBLISHED
            self.filled = await run.step(
                "fill", lambda: self._filled(pool, record, ranges, taken), returns=ImportReport
            )
            self._refuse(self.filled)
            if self.filled.rejected_rows:
                with self._stage("rejects"):
                    self.rejects_file = await self._rejects_written(pool, record, self.filled)
            with self._stage("publish"):
                run.progress("publish")
                views = _views(self.filled.objects)
                self.placing = True
                placed = await waited_out(lambda: self._place(record, views))
                self.placed = {each.source: each for each in placed}
        return self.report()

    async def is_placed(self) -> bool:
        """Whether the rows are where they were wanted, as far as can be found out now."""
        if self.placed is None and self.placing:
            try:
                async with (
                    asyncio.timeout(_ASK_S),
                    import_session(self.run.database) as session,
                ):
                    record = await records.get(session, self.run.operation, self.run.database.name)
            except (DbopsError, TimeoutError):
                return False  # cleaning up finds out, and takes back what is there
            if record.state is RecordState.PUBLISHED:
                self.placed = {each.source: each for each in placed_by(record)}
        return self.placed is not None

    # A session for each: one that waits for the rows to be copied may not live.

    async def _planned(self, pool: Processes, taken: SnapshotTaken) -> Plan:
        async with import_session(self.run.database) as session:
            return await placing.plan(self.run, pool, self.request, taken, session)

    async def _place(self, record: ImportRecord, views: Sequence[str]) -> list[Placed]:
        async with import_session(self.run.database) as session:
            return await placing.place(session, record, self.request, views)

    async def _staged(self) -> ImportRecord:
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
            async with import_session(run.database) as session:
                await staging.begin(session, record)
            return True

        async def find() -> ImportRecord:
            async with import_session(run.database) as session:
                return await records.get(session, run.operation, run.database.name)

        run.progress("stage")
        await run.step("stage", lambda: waited_out(stage), returns=bool)
        return await waited_out(find)

    async def _filled(
        self,
        pool: Processes,
        record: ImportRecord,
        ranges: Ranges,
        taken: SnapshotTaken,
    ) -> ImportReport:
        """Rows, keys and all else in the staged tables, unless something is wrong with the rows."""
        with self._stage("copy"):
            copied = await copy_all(self.run, pool, record, ranges, taken.path, self.request)
        self.copied = {each.table.source: each for each in copied}
        rejected = any(each.rejected_rows for each in copied)
        if rejected and self.request.bad_rows is BadRows.FAIL:
            return self._so_far()
        if self.request.verify:
            with self._stage("verify"):
                await waited_out(lambda: self._verify(pool, record, taken))
            if any(each.differing_rows for each in self.verified.values()):
                return self._so_far()
        with self._stage("keys and indexes"):
            self.objects = await waited_out(lambda: make_objects(self.run, record, pool.count))
        with self._stage("statistics"):
            await waited_out(lambda: settle(self.run, record, pool.count))
        return self._so_far()

    def _refuse(self, filled: ImportReport) -> None:
        """Raise if something is wrong with the rows."""
        if filled.rejected_rows and self.request.bad_rows is BadRows.FAIL:
            most = max(filled.reject_counts, key=lambda each: each.count)
            where = f"{most.table}.{most.column} ({most.reason})"
            raise ValuesRejected(filled.rejected_rows, where)
        differing = [table for table in filled.tables if table.differing_rows]
        if differing:
            rows = sum(table.differing_rows for table in differing)
            raise RowsDiffer(rows, ", ".join(table.source for table in differing))

    async def _rejects_written(
        self, pool: Processes, record: ImportRecord, filled: ImportReport
    ) -> str:
        """The path of the file with the values that did not arrive, written anew."""
        path = _rejects_path(self.run)
        if record.state is RecordState.PUBLISHED:
            # By an earlier attempt, which had written it: nothing of that can fail any more.
            return str(path) if await asyncio.to_thread(path.exists) else ""
        total = sum(each.count for each in filled.reject_counts)
        done = 0

        def on_progress(values: int) -> None:
            nonlocal done
            done += values
            self.run.progress("rejects", done, total, "{value}")

        self.run.progress("rejects", 0, total, "{value}")
        await pool.do(WriteRejects(self.run.operation, str(path)), RejectsWritten, on_progress)
        return str(path)

    async def _verify(self, pool: Processes, record: ImportRecord, taken: SnapshotTaken) -> None:
        total = sum(each.copied_rows for each in self.copied.values())
        done = 0

        def on_progress(rows: int) -> None:
            nonlocal done
            done += rows
            self.run.progress("verify", done, total, looking.UNIT_ROWS)

        self.run.progress("verify", 0, total, looking.UNIT_ROWS)
        async with import_session(self.run.database) as session:
            for each in self.copied.values():
                # What PostgreSQL computes was not sent: the file is read again for it.
                table = each.table.comparable
                sent = each.digest if table.copied == table.columns else None
                self.verified[each.table.source] = await verify_table(
                    pool,
                    session,
                    taken.path,
                    record.staging_schema,
                    Expected(table, each.ranges, sent),
                    self.request.max_examples,
                    on_progress,
                )

    def report(self, problem: str = "") -> ImportReport:
        """What there is to tell, of an import that was published or has a problem."""
        report = self.filled or self._so_far()
        placed = self.placed or {}
        rejected = Outcome.SUCCEEDED_WITH_REJECTS if report.rejected_rows else Outcome.SUCCEEDED
        kept = any(each.kept for each in placed.values())
        return replace(
            report,
            outcome=Outcome.FAILED if problem else rejected,
            problem=problem,
            tables=[
                replace(
                    table,
                    merged_rows=placed[table.source].merged_rows,
                    deleted_rows=placed[table.source].deleted_rows,
                )
                if table.source in placed
                else table
                for table in report.tables
            ],
            stage_seconds={
                **report.stage_seconds,
                **{name: round(seconds, 3) for name, seconds in self.seconds.items()},
            },
            notes=[*report.notes, *_losses(placed)],
            rejects_table="dbops.import_rejects" if placed and report.rejected_rows else "",
            rejects_file=self.rejects_file if placed else "",
            previous_schema=self.record.previous_schema if self.record and kept else "",
        )

    def _so_far(self) -> ImportReport:
        tables = [self._table(table) for table in self.plan.tables]
        copied = list(self.copied.values())
        return ImportReport(
            import_id=self.run.operation,
            outcome=Outcome.SUCCEEDED,
            source=self.request.source,
            schema=self.request.schema,
            tables=tables,
            objects=[replace(each, ddl="") for each in self.objects],
            reject_counts=[count for each in copied for count in each.counts],
            rejects=[reject for each in copied for reject in each.rejects],
            differences=[
                difference for each in self.verified.values() for difference in each.examples
            ],
            notes=list(self.plan.notes),
            rows=sum(table.rows for table in tables),
            copied_rows=sum(table.copied_rows for table in tables),
            rejected_rows=sum(each.rejected_rows for each in copied),
            verified_rows=sum(table.verified_rows for table in tables),
            stage_seconds={name: round(seconds, 3) for name, seconds in self.seconds.items()},
        )

    def _table(self, table: PlannedTable) -> TableReport:
        report = TableReport(source=table.source, target=table.target, rows=table.rows)
        if (copied := self.copied.get(table.source)) is not None:
            report = replace(
                report,
                rows=copied.rows,
                copied_rows=copied.copied_rows,
                copied_bytes=copied.copied_bytes,
                rejected_rows=copied.rejected_rows,
                changed_values=copied.changed_values,
                copy_seconds=round(copied.seconds, 3),
            )
        if (verified := self.verified.get(table.source)) is not None:
            report = replace(
                report,
                verified_rows=verified.rows,
                differing_rows=verified.differing_rows,
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


def _rejects_path(run: Run) -> Path:
    return rejects_file.rejects_path(run.state_dir, run.operation)


def _losses(placed: Mapping[str, Placed]) -> Iterator[str]:
    """What went with rows that gave way, and is not kept."""
    for each in placed.values():
        if each.beyond:
            yield (
                f"{each.source}: with its rows others were changed or deleted, by {each.beyond}; "
                "these are not kept, and the import cannot be reverted"
            )


def _views(objects: Sequence[PlannedObject]) -> list[str]:
    """The views that were made, by their names in PostgreSQL."""
    return [
        each.target
        for each in objects
        if each.kind == "view" and each.target and each.fate is not Fate.NOT_CARRIED
    ]
