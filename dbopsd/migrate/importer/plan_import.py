"""`PlanImport`: make a plan, with an estimate of time and space."""

from dataclasses import replace
from typing import Final

from dbopsd.db.identifiers import quoted
from dbopsd.migrate.importer import prepare
from dbopsd.migrate.importer.model.mapping import write_mapping
from dbopsd.migrate.importer.model.plan import Plan, PlannedObject, PlannedTable
from dbopsd.migrate.importer.model.report import ImportPlan, PlannedColumnReport, PlannedTableReport
from dbopsd.migrate.importer.model.requests import ImportRequest
from dbopsd.migrate.importer.processes.resources import (
    import_processes,
    import_session,
    reading_process,
)
from dbopsd.migrate.importer.records import import_records
from dbopsd.operations.kind import Run

# As measured by `make bench` with two processes on two cores, verification and keys included; other
# machines are faster or slower by a factor, which is what an estimate may be off by.
_ROWS_PER_S: Final = 200_000
_BYTES_PER_S: Final = 25_000_000
_LEAST_S: Final = 2.0
# Tuple headers, alignment and the indexes over what SQLite's records take.
_GROWTH: Final = 1.4


async def plan_import(run: Run, request: ImportRequest) -> ImportPlan:
    """What an import with this request would do. Raises what makes it impossible."""
    async with (
        reading_process(run) as reader,
        import_processes(run) as pool,
        import_session(run.database) as session,
    ):
        taken = await prepare.ensure_snapshot(run, reader, request)
        plan = await prepare.prepare_plan(run, reader, pool, request, taken, session)
    rows = sum(table.rows for table in plan.tables)
    staging = import_records.staging_schema(run.operation)
    return ImportPlan(
        source=request.source,
        schema=request.schema,
        mapping=write_mapping(plan),
        tables=[_table(table) for table in plan.tables],
        objects=[_object(each, staging, request.schema) for each in plan.objects],
        notes=list(plan.notes),
        rows=rows,
        source_size_bytes=taken.size_bytes,
        estimated_duration_s=_estimate_s(plan, taken.size_bytes),
        estimated_bytes=round(taken.size_bytes * _GROWTH),
    )


def _estimate_s(plan: Plan, size_bytes: int) -> float:
    rows = sum(table.rows for table in plan.tables)
    return round(_LEAST_S + max(rows / _ROWS_PER_S, size_bytes / _BYTES_PER_S), 1)


def _object(planned: PlannedObject, staging: str, schema: str) -> PlannedObject:
    """The object with its statement as it would be where it is published."""
    ddl = planned.ddl.replace(f"{quoted(staging)}.", f"{quoted(schema)}.")
    return replace(planned, ddl=ddl)


def _table(table: PlannedTable) -> PlannedTableReport:
    return PlannedTableReport(
        source=table.source,
        target=table.target,
        rows=table.rows,
        columns=[
            PlannedColumnReport(each.source, each.target, each.type, each.conversion, each.evidence)
            for each in table.columns
        ],
    )
