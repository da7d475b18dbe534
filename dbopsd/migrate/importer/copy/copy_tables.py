"""Copies all rows into the staged tables, part by part, by several processes."""

from collections import Counter
from dataclasses import dataclass, field

from dbopsd.migrate.importer.conversion.digest import Digest
from dbopsd.migrate.importer.model.plan import Plan, PlannedTable
from dbopsd.migrate.importer.model.report import RejectCount, RejectedValue
from dbopsd.migrate.importer.model.requests import RunImportRequest
from dbopsd.migrate.importer.processes.pool import Processes
from dbopsd.migrate.importer.processes.progress import UNIT_ROWS, count_progress
from dbopsd.migrate.importer.processes.tasks import Copied, CopyPart, SplitTables, TableRanges
from dbopsd.migrate.importer.records.import_records import ImportRecord
from dbopsd.migrate.importer.snapshot.key_ranges import KeyRange
from dbopsd.operations.gather_or_cancel import gather_or_cancel
from dbopsd.operations.kind import Run

Ranges = dict[str, list[KeyRange | None]]
"""Of each table, by its name in the source, the parts in their order."""


@dataclass(frozen=True)
class CopiedTable:
    """The result of copying a table."""

    table: PlannedTable
    ranges: list[KeyRange | None]
    rows: int = 0
    copied_rows: int = 0
    copied_bytes: int = 0
    rejected_rows: int = 0
    changed_values: int = 0
    seconds: float = 0.0
    digest: Digest = field(default_factory=Digest)
    """The digest of the rows as they were sent."""
    counts: list[RejectCount] = field(default_factory=list)
    rejects: list[RejectedValue] = field(default_factory=list)


async def split_tables(
    run: Run, reader: Processes, plan: Plan, snapshot: str, processes: int
) -> Ranges:
    """The parts in which each table is copied. They are the same in every attempt."""

    async def split() -> Ranges:
        return (await reader.run_task(SplitTables(snapshot, plan, processes), TableRanges)).ranges

    return await run.step("parts", split, returns=Ranges)


async def copy_tables(
    run: Run,
    pool: Processes,
    record: ImportRecord,
    ranges: Ranges,
    snapshot: str,
    request: RunImportRequest,
) -> list[CopiedTable]:
    """Copy every table. Parts that an earlier attempt copied are skipped.

    Raises `TaskFailed`, `ProcessDied`.
    """
    total = sum(table.rows for table in record.plan.tables)
    on_progress = count_progress(run, "copy", total, UNIT_ROWS)

    async def copy_part(table: PlannedTable, number: int, key_range: KeyRange | None) -> Copied:
        task = CopyPart(
            snapshot=snapshot,
            table=table,
            key_range=key_range,
            part=number,
            import_id=record.import_id,
            staging=record.staging_schema,
            bad_rows=request.bad_rows,
            max_examples=request.max_examples,
        )
        return await pool.run_task(task, Copied, on_progress)

    on_progress(0)

    async def copy_table(table: PlannedTable) -> CopiedTable:
        key_ranges = ranges[table.source]
        parts = await gather_or_cancel(
            copy_part(table, number, each) for number, each in enumerate(key_ranges)
        )
        return _merged(table, key_ranges, parts, request)

    return await gather_or_cancel(map(copy_table, record.plan.tables))


def _merged(
    table: PlannedTable,
    ranges: list[KeyRange | None],
    parts: list[Copied],
    request: RunImportRequest,
) -> CopiedTable:
    digest = Digest()
    counts: Counter[tuple[str, str, str]] = Counter()
    rejects: list[RejectedValue] = []
    for part in parts:
        digest.merge(Digest.from_json(part.digest))
        for each in part.counts:
            counts[each.table, each.column, each.reason] += each.count
        rejects.extend(part.rejects)
    return CopiedTable(
        table,
        ranges,
        rows=sum(part.rows for part in parts),
        copied_rows=sum(part.copied_rows for part in parts),
        copied_bytes=sum(part.copied_bytes for part in parts),
        rejected_rows=sum(part.rejected_rows for part in parts),
        changed_values=sum(part.changed_values for part in parts),
        seconds=sum(part.seconds for part in parts),
        digest=digest,
        counts=[RejectCount(*key, count) for key, count in sorted(counts.items())],
        rejects=rejects[: request.max_examples],
    )
