"""`RevertImport`: what an import replaced stands there again."""

from dbopsd.migrate.importer.finishing import import_session
from dbopsd.migrate.importer.report import RevertReport
from dbopsd.migrate.importer.requests import RevertImportRequest
from dbopsd.migrate.importer.target import placing, records
from dbopsd.operations.kind import Run


async def revert_import(run: Run, request: RevertImportRequest) -> RevertReport:
    """Swap back. Raises `ImportNotFound`, `ImportNotPublished`, `TableInUse`."""
    run.progress("revert")
    async with import_session(run.database) as session:
        record = await records.get(session, request.import_id, run.database.name)
        await placing.take_back(session, record)
    return RevertReport(
        import_id=request.import_id,
        schema=record.target_schema,
        restored_tables=[each.name for each in record.published if each.replaced],
        removed_tables=[each.name for each in record.published if not each.replaced],
    )
