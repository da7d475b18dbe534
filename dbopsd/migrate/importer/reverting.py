"""`RevertImport`: what an import replaced stands there again."""

from dbopsd.migrate.importer.finishing import import_session
from dbopsd.migrate.importer.report import RevertReport
from dbopsd.migrate.importer.requests import RevertImportRequest
from dbopsd.migrate.importer.target import placing, records
from dbopsd.migrate.importer.target.records import ROWS, PublishedRelation
from dbopsd.operations.kind import Run


async def revert_import(run: Run, request: RevertImportRequest) -> RevertReport:
    """Swap back, or take rows out and put others back.

    Raises `ImportNotFound`, and what `placing.take_back` does.
    """
    run.progress("revert")
    async with import_session(run.database) as session:
        record = await records.get(session, request.import_id, run.database.name)
        tables = await placing.take_back(session, record)
    return RevertReport(
        import_id=request.import_id,
        schema=record.target_schema,
        restored_tables=[each.name for each in record.published if _stood_there(each)],
        removed_tables=[each.name for each in record.published if not _stood_there(each)],
        tables=tables,
    )


def _stood_there(relation: PublishedRelation) -> bool:
    return bool(relation.replaced) or relation.kind == ROWS
