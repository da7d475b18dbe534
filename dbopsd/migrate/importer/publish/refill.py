"""Replace all rows of existing tables, and keep the previous rows."""

from collections.abc import Mapping, Sequence

from dbopsd.db.identifiers import quoted
from dbopsd.db.session import Session
from dbopsd.db.statement import Statement
from dbopsd.migrate.importer.model.plan import Plan, PlannedTable
from dbopsd.migrate.importer.model.report import RevertedTable
from dbopsd.migrate.importer.model.requests import ImportRequest
from dbopsd.migrate.importer.model.target_errors import TableInUse
from dbopsd.migrate.importer.postgres import row_sql, schemas
from dbopsd.migrate.importer.postgres.sql import statement
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
from dbopsd.migrate.importer.publish.row_publication import RowPublication
from dbopsd.migrate.importer.records import import_records
from dbopsd.migrate.importer.records.import_records import ROWS, ImportRecord, PublishedRelation


class Refill(RowPublication):
    """REPLACE in tables that stay: their rows give way, and a revert puts them back."""

    async def check(self, session: Session, request: ImportRequest, plan: Plan) -> Plan:
        """The plan with the types of the tables that are there.

        Raises `TablesIncompatible`, and `TableInUse` where rows cannot give way: others refer to
        them.
        """
        fitted = await super().check(session, request, plan)
        names = [table.target for table in fitted.tables]
        rows = await import_records.fetch_relations(session, request.schema, names)
        await _refuse_references(session, [oid for oid, *_ in rows])
        return fitted

    async def revert(
        self, session: Session, record: ImportRecord, order: LockOrder
    ) -> list[RevertedTable]:
        """Replace all rows by those that were kept.

        Raises `ImportNotPublished`, `TableInUse`.
        """
        async with session.transaction():
            await session.execute(LOCK_TIMEOUT)
            current = await import_records.begin_revert(session, record.import_id)
            await lock_tables(session, record, order, "ACCESS EXCLUSIVE")
            await session.execute(DEFER)
            tables = await parents_first(session, record)
            await _refuse_references(session, [relation.oid for relation in current.published])
            async with without_triggers(session, record, tables):
                removed = {
                    table.target: await fetch_count(
                        session, merge_sql.count_all(qualified_name(record, table)), "SELECT count"
                    )
                    for table in tables
                }
                await _empty(session, record, tables)
                restored = {
                    table.target: await _put_back(session, record, table) for table in tables
                }
            for table in tables:
                kept = quoted(record.previous_schema, table.target)
                await session.execute(Statement(row_sql.drop_table(kept), "DROP TABLE"))
            await schemas.drop_empty_schema(session, record.previous_schema)
        return [
            RevertedTable(table.target, removed[table.target], restored[table.target])
            for table in record.plan.tables
        ]

    def _lock_mode(self, request: ImportRequest) -> str:
        return "ACCESS EXCLUSIVE"

    async def _put_rows(
        self,
        session: Session,
        record: ImportRecord,
        request: ImportRequest,
        tables: Sequence[PlannedTable],
        oids: Mapping[str, int],
    ) -> dict[str, PublishedRelation]:
        """Keep all rows, and put the staged ones in their place."""
        await _refuse_references(session, list(oids.values()))
        await schemas.create_schema(session, record.previous_schema)
        for table in tables:
            kept = quoted(record.previous_schema, table.target)
            keep = merge_sql.copy_table(qualified_name(record, table), kept)
            await session.execute(Statement(keep, "CREATE TABLE AS"))
        await _empty(session, record, tables)
        replaced = {}
        for table in tables:
            staged = quoted(record.staging_schema, table.target)
            text = merge_sql.insert(table, qualified_name(record, table), staged)
            rows = await session.execute(Statement(text, f"INSERT {table.target}"))
            replaced[table.source] = PublishedRelation(
                table.target, ROWS, oids[table.source], replaced=ROWS, merged_rows=rows
            )
        return replaced


async def _refuse_references(session: Session, oids: Sequence[int]) -> None:
    located = {"replaced": list(oids)}
    for dependent, table in await session.fetch_all(statement("outside_references"), located):
        raise TableInUse(table, dependent)


async def _empty(session: Session, record: ImportRecord, tables: Sequence[PlannedTable]) -> None:
    # In one statement: they may refer to each other.
    targets = ", ".join(qualified_name(record, table) for table in tables)
    await session.execute(Statement(f"TRUNCATE {targets}", "TRUNCATE"))


async def _put_back(session: Session, record: ImportRecord, table: PlannedTable) -> int:
    """Insert the kept rows. Returns their number."""
    target, kept = qualified_name(record, table), quoted(record.previous_schema, table.target)
    columns = [
        row[0] for row in await session.fetch_all(statement("stored_columns"), {"table": target})
    ]
    put_back = merge_sql.insert_all(columns, target, kept)
    return await session.execute(Statement(put_back, f"INSERT {table.target}"))
