"""Merge staged rows into existing tables, and keep the rows that they replace."""

from collections.abc import Mapping, Sequence

from dbopsd.db.session import Session
from dbopsd.migrate.importer.model.plan import PlannedTable
from dbopsd.migrate.importer.model.report import RevertedTable
from dbopsd.migrate.importer.model.requests import ImportRequest
from dbopsd.migrate.importer.postgres.table_guards import LockOrder
from dbopsd.migrate.importer.publish import append_upsert
from dbopsd.migrate.importer.publish.row_publication import RowPublication
from dbopsd.migrate.importer.records.import_records import ImportRecord, PublishedRelation
from dbopsd.migrate.importer.revert import revert_merge


class Merge(RowPublication):
    """APPEND and UPSERT: a revert takes the rows out again and puts back those that gave way."""

    async def revert(
        self, session: Session, record: ImportRecord, order: LockOrder
    ) -> list[RevertedTable]:
        """Put the tables back as they were, as far as the import changed them, or change nothing.

        Raises what `revert_merge.revert` does.
        """
        return await revert_merge.revert(session, record, order)

    def _lock_mode(self, request: ImportRequest) -> str:
        # Nobody else writes. A new reference to a row that is about to be deleted would be deleted
        # with it unseen.
        return "EXCLUSIVE" if request.delete_missing else "SHARE ROW EXCLUSIVE"

    async def _put_rows(
        self,
        session: Session,
        record: ImportRecord,
        request: ImportRequest,
        tables: Sequence[PlannedTable],
        oids: Mapping[str, int],
    ) -> dict[str, PublishedRelation]:
        return await append_upsert.put_rows(session, record, request, tables, oids)
