"""`VerifyImport`: compares a published import with a file, value by value."""

from dbopsd.migrate.importer import prepare
from dbopsd.migrate.importer.model.report import TableReport, VerifyReport
from dbopsd.migrate.importer.model.requests import ImportRequest, VerifyImportRequest
from dbopsd.migrate.importer.model.target_errors import ImportNotPublished
from dbopsd.migrate.importer.processes.progress import UNIT_ROWS, count_progress
from dbopsd.migrate.importer.processes.resources import (
    import_processes,
    import_session,
    reading_process,
)
from dbopsd.migrate.importer.processes.tasks import Measured, MeasureTables
from dbopsd.migrate.importer.records import import_records
from dbopsd.migrate.importer.records.import_records import ImportRecord, RecordState
from dbopsd.migrate.importer.verify.compare_tables import (
    Expected,
    VerifiedTable,
    compare_among_others,
    compare_table,
)
from dbopsd.operations.kind import Run


async def verify_import(run: Run, request: VerifyImportRequest) -> VerifyReport:
    """Compare what is published with the file as it is now. Raises `ImportNotPublished`.

    In tables that also have rows of others, only the rows of the file count.
    """
    async with (
        reading_process(run) as reader,
        import_processes(run) as pool,
        import_session(run.database) as session,
    ):
        record = await import_records.get_record(session, request.import_id, run.database.name)
        if record.state is not RecordState.PUBLISHED:
            problem = f"is {record.state.value}: there is nothing published to compare"
            raise ImportNotPublished(request.import_id, problem)
        file = ImportRequest(source=request.source or record.source)
        taken = await prepare.ensure_snapshot(run, reader, file, pool)
        task = MeasureTables(taken.path, file.source, record.plan, pool.count)
        measured = await reader.run_task(task, Measured)
        tables = measured.plan.tables
        total = sum(table.rows for table in tables)
        on_progress = count_progress(run, "verify", total, UNIT_ROWS)
        verified: list[VerifiedTable] = []
        among_others = _among_others(record)
        for table in tables:
            if table.target in among_others:
                verified.append(
                    await compare_among_others(
                        pool,
                        taken.path,
                        record.target_schema,
                        table,
                        request.max_examples,
                        on_progress,
                    )
                )
                continue
            verified.append(
                await compare_table(
                    pool,
                    session,
                    taken.path,
                    record.target_schema,
                    Expected(table.comparable, measured.ranges[table.source]),
                    request.max_examples,
                    on_progress,
                )
            )
    return _report(request, file.source, record.target_schema, verified)


def _among_others(record: ImportRecord) -> frozenset[str]:
    """The tables that also have rows of others, by their names in PostgreSQL.

    This is unknown for tables that an older version merged: there every other row counts.
    """
    return frozenset(
        each.name for each in record.published if each.merge is not None and not each.merge.whole
    )


def _report(
    request: VerifyImportRequest, source: str, schema: str, verified: list[VerifiedTable]
) -> VerifyReport:
    differing = sum(each.differing_rows for each in verified)
    return VerifyReport(
        import_id=request.import_id,
        source=source,
        schema=schema,
        equal=not differing,
        tables=[
            TableReport(
                source=each.table.source,
                target=each.table.target,
                rows=each.table.rows,
                verified_rows=each.rows,
                differing_rows=each.differing_rows,
            )
            for each in verified
        ],
        differences=[difference for each in verified for difference in each.examples],
        verified_rows=sum(each.rows for each in verified),
        differing_rows=differing,
    )
