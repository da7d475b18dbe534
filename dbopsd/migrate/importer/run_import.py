"""`RunImport`: an import from a file to published tables, stage by stage."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dbopsd.errors import DbopsError
from dbopsd.migrate.importer import prepare
from dbopsd.migrate.importer.build import staging_tables
from dbopsd.migrate.importer.build.build_objects import analyse_tables, build_objects
from dbopsd.migrate.importer.copy import rejects_file
from dbopsd.migrate.importer.copy.copy_tables import CopiedTable, Ranges, copy_tables, split_tables
from dbopsd.migrate.importer.import_report import final_report, partial_report
from dbopsd.migrate.importer.model.errors import RowsDiffer, ValuesRejected
from dbopsd.migrate.importer.model.plan import Plan, PlannedObject
from dbopsd.migrate.importer.model.report import ImportReport
from dbopsd.migrate.importer.model.requests import BadRows, RunImportRequest
from dbopsd.migrate.importer.postgres import schemas
from dbopsd.migrate.importer.processes.outage import retry_through_outage
from dbopsd.migrate.importer.processes.pool import Processes
from dbopsd.migrate.importer.processes.progress import UNIT_ROWS, UNIT_VALUES, count_progress
from dbopsd.migrate.importer.processes.resources import (
    import_processes,
    import_session,
    reading_process,
)
from dbopsd.migrate.importer.processes.tasks import RejectsWritten, SnapshotTaken, WriteRejects
from dbopsd.migrate.importer.publish import publication
from dbopsd.migrate.importer.records import import_records
from dbopsd.migrate.importer.records.import_records import (
    ImportRecord,
    PublishedTable,
    RecordState,
    published_tables,
)
from dbopsd.migrate.importer.verify.compare_tables import Expected, VerifiedTable, compare_table
from dbopsd.operations.errors import FailedWithResult
from dbopsd.operations.kind import Run

# How long it may take to find out whether a publication that was cut off took effect.
_ASK_S: Final = 2.0


async def run_import(run: Run, request: RunImportRequest) -> ImportReport:
    """Copy, verify and publish the file. Raises `FailedWithResult` with the report.

    Once it is published it has succeeded: a later failure or a cancel does not undo it.
    """
    this = _Import(run, request)
    try:
        return await this.run_stages()
    except asyncio.CancelledError:
        if not await this.is_published():
            raise
        if (task := asyncio.current_task()) is not None:
            task.uncancel()
        return this.report()
    except DbopsError as error:
        if await this.is_published():
            return this.report()
        raise FailedWithResult(error, this.report(problem=error.message)) from error


async def clean_up(run: Run, _request: RunImportRequest) -> None:
    """Remove everything of an import that failed or was cancelled.

    An import that was published is reverted: its worker died before it recorded the success. Raises
    what `publication.revert` does, for example if others have changed its rows since.
    """
    async with import_session(run.database) as session:
        record = await import_records.find_record(session, run.operation)
        if record is not None:
            if record.state is RecordState.PUBLISHED:
                await publication.revert(session, record)
            async with session.transaction():
                await schemas.drop_schema(session, record.staging_schema)
                await import_records.delete_record(session, run.operation)
    # Last: what could not be taken back keeps it.
    await asyncio.to_thread(rejects_file.remove_rejects_file, _rejects_path(run))


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
    loaded: ImportReport | None = None
    """The report once the tables are as they are to be published."""
    rejects_file: str = ""
    may_be_published: bool = False
    """Whether this or an earlier attempt may have published it."""
    published: dict[str, PublishedTable] | None = None

    async def run_stages(self) -> ImportReport:
        run = self.run
        async with import_processes(run, self.request.processes) as pool:
            async with reading_process(run) as reader:
                with self._stage("snapshot"):
                    taken = await prepare.ensure_snapshot(run, reader, self.request, pool)
                with self._stage("plan"):
                    self.plan = await run.step(
                        "plan",
                        lambda: retry_through_outage(lambda: self._prepare(reader, pool, taken)),
                        returns=Plan,
                    )
                    self.objects = list(self.plan.objects)
                    ranges = await split_tables(run, reader, self.plan, taken.path, pool.count)
            with self._stage("stage"):
                record = self.record = await self._create_staging()
                self.may_be_published = record.state is RecordState.PUBLISHED
            self.loaded = await run.step(
                "fill", lambda: self._load(pool, record, ranges, taken), returns=ImportReport
            )
            self._refuse(self.loaded)
            if self.loaded.rejected_rows:
                with self._stage("rejects"):
                    self.rejects_file = await self._write_rejects(pool, record, self.loaded)
            with self._stage("publish"):
                run.progress("publish")
                self.may_be_published = True
                published = await retry_through_outage(lambda: self._publish(record))
                self.published = {each.source: each for each in published}
        return self.report()

    async def is_published(self) -> bool:
        """Whether it is published, as far as the target database answers."""
        if self.published is None and self.may_be_published:
            try:
                async with (
                    asyncio.timeout(_ASK_S),
                    import_session(self.run.database) as session,
                ):
                    record = await import_records.get_record(
                        session, self.run.operation, self.run.database.name
                    )
            except (DbopsError, TimeoutError):
                return False  # cleaning up finds out, and takes back what is there
            if record.state is RecordState.PUBLISHED:
                self.published = {each.source: each for each in published_tables(record)}
        return self.published is not None

    # A session for each: one that waits for the rows to be copied may not live.

    async def _prepare(self, reader: Processes, pool: Processes, taken: SnapshotTaken) -> Plan:
        async with import_session(self.run.database) as session:
            return await prepare.prepare_plan(self.run, reader, pool, self.request, taken, session)

    async def _publish(self, record: ImportRecord) -> list[PublishedTable]:
        async with import_session(self.run.database) as session:
            return await publication.publish(session, record, self.request)

    async def _create_staging(self) -> ImportRecord:
        """The import's record, after its tables were created. A later attempt finds both."""
        run = self.run

        async def stage() -> bool:
            record = ImportRecord(
                import_id=run.operation,
                source=self.request.source,
                target_schema=self.request.schema,
                staging_schema=import_records.staging_schema(run.operation),
                previous_schema=import_records.previous_schema(run.operation),
                state=RecordState.STAGED,
                plan=self.plan,
            )
            async with import_session(run.database) as session:
                await staging_tables.create_staging(session, record)
            return True

        async def find() -> ImportRecord:
            async with import_session(run.database) as session:
                return await import_records.get_record(session, run.operation, run.database.name)

        run.progress("stage")
        await run.step("stage", lambda: retry_through_outage(stage), returns=bool)
        return await retry_through_outage(find)

    async def _load(
        self,
        pool: Processes,
        record: ImportRecord,
        ranges: Ranges,
        taken: SnapshotTaken,
    ) -> ImportReport:
        """Fill and finish the staged tables. Stops early if rows are rejected or differ."""
        with self._stage("copy"):
            copied = await copy_tables(self.run, pool, record, ranges, taken.path, self.request)
        self.copied = {each.table.source: each for each in copied}
        rejected = any(each.rejected_rows for each in copied)
        if rejected and self.request.bad_rows is BadRows.FAIL:
            return self._partial_report()
        if not self.request.skip_verification:
            with self._stage("verify"):
                await retry_through_outage(lambda: self._verify(pool, record, taken))
            if any(each.differing_rows for each in self.verified.values()):
                return self._partial_report()
        with self._stage("keys and indexes"):
            self.objects = await retry_through_outage(
                lambda: build_objects(self.run, record, pool.count)
            )
        with self._stage("statistics"):
            await retry_through_outage(lambda: analyse_tables(self.run, record, pool.count))
        return self._partial_report()

    def _refuse(self, loaded: ImportReport) -> None:
        """Raise `ValuesRejected` or `RowsDiffer` if the rows must not be published."""
        if loaded.rejected_rows and self.request.bad_rows is BadRows.FAIL:
            most = max(loaded.reject_counts, key=lambda each: each.count)
            where = f"{most.table}.{most.column} ({most.reason})"
            raise ValuesRejected(loaded.rejected_rows, where)
        differing = [table for table in loaded.tables if table.differing_rows]
        if differing:
            rows = sum(table.differing_rows for table in differing)
            raise RowsDiffer(rows, ", ".join(table.source for table in differing))

    async def _write_rejects(
        self, pool: Processes, record: ImportRecord, loaded: ImportReport
    ) -> str:
        """Write the file of the rejected values. Returns its path."""
        path = _rejects_path(self.run)
        if record.state is RecordState.PUBLISHED:
            # By an earlier attempt, which had written it: nothing of that can fail any more.
            return str(path) if await asyncio.to_thread(path.exists) else ""
        total = sum(each.count for each in loaded.reject_counts)
        on_progress = count_progress(self.run, "rejects", total, UNIT_VALUES)
        on_progress(0)
        await pool.run_task(
            WriteRejects(self.run.operation, str(path)), RejectsWritten, on_progress
        )
        return str(path)

    async def _verify(self, pool: Processes, record: ImportRecord, taken: SnapshotTaken) -> None:
        total = sum(each.copied_rows for each in self.copied.values())
        on_progress = count_progress(self.run, "verify", total, UNIT_ROWS)
        on_progress(0)
        async with import_session(self.run.database) as session:
            for each in self.copied.values():
                # What PostgreSQL computes was not sent: the file is read again for it.
                table = each.table.comparable
                sent = each.digest if table.copied == table.columns else None
                self.verified[each.table.source] = await compare_table(
                    pool,
                    session,
                    taken.path,
                    record.staging_schema,
                    Expected(table, each.ranges, sent),
                    self.request.max_examples,
                    on_progress,
                )

    def report(self, problem: str = "") -> ImportReport:
        """The report of an import that was published or has a problem."""
        return final_report(
            self.loaded or self._partial_report(),
            self.published or {},
            seconds=self.seconds,
            rejects_file=self.rejects_file,
            previous_schema=self.record.previous_schema if self.record else "",
            problem=problem,
        )

    def _partial_report(self) -> ImportReport:
        return partial_report(
            self.run.operation,
            self.request,
            self.plan,
            objects=self.objects,
            copied=self.copied,
            verified=self.verified,
            seconds=self.seconds,
        )

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
