"""The steps of every publication that puts rows into tables that stay."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence

from dbopsd.db.identifiers import quoted
from dbopsd.db.session import Session
from dbopsd.migrate.importer.model.plan import Plan, PlannedTable
from dbopsd.migrate.importer.model.requests import ImportRequest
from dbopsd.migrate.importer.model.target_errors import MergeIncomplete
from dbopsd.migrate.importer.plan import existing_tables
from dbopsd.migrate.importer.postgres import schemas
from dbopsd.migrate.importer.postgres.sequences import advance_sequences
from dbopsd.migrate.importer.postgres.table_guards import (
    DEFER,
    LOCK_TIMEOUT,
    LockOrder,
    fetch_count,
    lock_tables,
    parents_first,
    qualified_name,
    without_triggers,
)
from dbopsd.migrate.importer.publish import merge_sql
from dbopsd.migrate.importer.publish.base import Publication
from dbopsd.migrate.importer.records import import_records
from dbopsd.migrate.importer.records.import_records import (
    ImportRecord,
    PublishedRelation,
    RecordState,
)


class RowPublication(Publication):
    """Staged rows go into tables that are there, all of them in one transaction."""

    async def check(self, session: Session, request: ImportRequest, plan: Plan) -> Plan:
        """The plan with the types of the tables that are there. Raises `TablesIncompatible`."""
        return await existing_tables.fit_plan(session, request, plan)

    async def apply(
        self, session: Session, record: ImportRecord, request: ImportRequest, order: LockOrder
    ) -> ImportRecord:
        """Put the rows in, and compare what is there then with what was staged.

        Rows that were there and gave way are kept in the import's previous schema. Raises
        `MergeIncomplete`, `TableInUse`, `TablesIncompatible`, and what the tables' own constraints
        say.
        """
        async with session.transaction():
            await session.execute(LOCK_TIMEOUT)
            current = await import_records.lock_record(session, record.import_id)
            if current.state is not RecordState.STAGED:
                return current
            await lock_tables(session, record, order, self._lock_mode(request))
            await existing_tables.check_tables(session, request, record.plan)
            await session.execute(DEFER)
            tables = await parents_first(session, record)
            oids = {
                table.source: await import_records.relation_oid(
                    session, record.target_schema, table.target
                )
                for table in tables
            }
            async with without_triggers(session, record, tables):
                merged = await self._put_rows(session, record, request, tables, oids)
                for table in tables:
                    await _compare(session, record, table)
                    await advance_sequences(session, record.target_schema, table)
            await schemas.drop_schema(session, record.staging_schema)
            relations = tuple(merged[table.source] for table in record.plan.tables)
            await import_records.set_published(session, record.import_id, relations)
            return await import_records.get_record(session, record.import_id, "")

    @abstractmethod
    def _lock_mode(self, request: ImportRequest) -> str:
        """The mode of LOCK TABLE that keeps others from what the publication depends on."""

    @abstractmethod
    async def _put_rows(
        self,
        session: Session,
        record: ImportRecord,
        request: ImportRequest,
        tables: Sequence[PlannedTable],
        oids: Mapping[str, int],
    ) -> dict[str, PublishedRelation]:
        """Put the staged rows into the locked tables; what was done to each, by its source."""


async def _compare(session: Session, record: ImportRecord, table: PlannedTable) -> None:
    """Raise `MergeIncomplete` if a staged row is not in the table with all its values."""
    target, staged = qualified_name(record, table), quoted(record.staging_schema, table.target)
    text = merge_sql.count_missing(table, target, staged)
    if missing := await fetch_count(session, text, f"SELECT {table.target} EXCEPT"):
        raise MergeIncomplete(target, missing)
