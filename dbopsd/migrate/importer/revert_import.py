"""`RevertImport`: restores what an import replaced."""

from dbopsd.db.errors import ConnectionLost
from dbopsd.migrate.importer.model.report import RevertedTable, RevertReport
from dbopsd.migrate.importer.model.requests import RevertImportRequest
from dbopsd.migrate.importer.processes.resources import import_session
from dbopsd.migrate.importer.publish import publication
from dbopsd.migrate.importer.records import import_records
from dbopsd.migrate.importer.records.import_records import (
    ROWS,
    ImportRecord,
    PublishedRelation,
    RecordState,
)
from dbopsd.operations.kind import Run


async def revert_import(run: Run, request: RevertImportRequest) -> RevertReport:
    """Swap back, or take rows out and put others back.

    Raises `ImportNotFound`, and what `publication.revert` does.
    """
    run.progress("revert")

    async def look() -> str:
        async with import_session(run.database) as session:
            record = await import_records.get_record(session, request.import_id, run.database.name)
        return record.state.value

    # As it was for the first attempt: what is reverted after that, this operation has reverted.
    was_published = await run.step("look", look, returns=str) == RecordState.PUBLISHED.value
    try:
        record, tables = await _revert(run, request, was_published=was_published)
    except ConnectionLost:
        # Its COMMIT may have come through all the same.
        record, tables = await _revert(run, request, was_published=was_published)
    return RevertReport(
        import_id=request.import_id,
        schema=record.target_schema,
        restored_tables=[each.name for each in record.published if _was_replaced(each)],
        removed_tables=[each.name for each in record.published if not _was_replaced(each)],
        tables=tables,
    )


async def _revert(
    run: Run, request: RevertImportRequest, *, was_published: bool
) -> tuple[ImportRecord, list[RevertedTable]]:
    async with import_session(run.database) as session:
        record = await import_records.get_record(session, request.import_id, run.database.name)
        if was_published and record.state is RecordState.REVERTED:
            return record, []
        return record, await publication.revert(session, record)


def _was_replaced(relation: PublishedRelation) -> bool:
    return bool(relation.replaced) or relation.kind == ROWS
