"""Staged rows go into tables that are there, all of them in one transaction."""

from collections.abc import Sequence

from dbopsd.db.identifiers import quoted
from dbopsd.db.session import Session
from dbopsd.db.statement import Statement
from dbopsd.migrate.importer.model.plan import Plan, PlannedTable
from dbopsd.migrate.importer.model.report import RevertedTable
from dbopsd.migrate.importer.model.requests import ImportRequest, Mode
from dbopsd.migrate.importer.model.target_errors import MergeIncomplete, TableInUse
from dbopsd.migrate.importer.plan import existing_tables
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
from dbopsd.migrate.importer.publish import append_upsert, merge_sql
from dbopsd.migrate.importer.records import import_records
from dbopsd.migrate.importer.records.import_records import (
    ROWS,
    ImportRecord,
    PublishedRelation,
    RecordState,
)


async def check(session: Session, request: ImportRequest, plan: Plan) -> None:
    """Raise `TableInUse` where rows cannot give way: others refer to them."""
    if request.mode is Mode.REPLACE:
        names = [table.target for table in plan.tables]
        rows = await import_records.fetch_relations(session, request.schema, names)
        await _refuse_references(session, [oid for oid, *_ in rows])


async def merge(
    session: Session, record: ImportRecord, request: ImportRequest, order: LockOrder
) -> ImportRecord:
    """Append, upsert or replace the rows, and compare what is there then with what was staged.

    Rows that were there and gave way are kept in the import's previous schema. Raises
    `MergeIncomplete`, `TableInUse`, `TablesIncompatible`, and what the tables' own constraints say.
    """
    async with session.transaction():
        await session.execute(LOCK_TIMEOUT)
        await import_records.lock(session, record.import_id)
        current = await import_records.get(session, record.import_id, "")
        if current.state is not RecordState.STAGED:
            return current
        await lock_tables(session, record, order, _lock_mode(request))
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
            if request.mode is Mode.REPLACE:
                merged = await _replace(session, record, tables, oids)
            else:
                merged = await append_upsert.add(session, record, request, tables, oids)
            for table in tables:
                await _compare(session, record, table)
                await _advance(session, record, table)
        await schemas.drop_schema(session, record.staging_schema)
        relations = tuple(merged[table.source] for table in record.plan.tables)
        await import_records.set_published(session, record.import_id, relations)
        return await import_records.get(session, record.import_id, "")


async def revert(session: Session, record: ImportRecord, order: LockOrder) -> list[RevertedTable]:
    """Put back the rows that were replaced, as they were kept. Those that are there go.

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
            restored = {table.target: await _put_back(session, record, table) for table in tables}
        for table in tables:
            kept = quoted(record.previous_schema, table.target)
            await session.execute(Statement(row_sql.drop_table(kept), "DROP TABLE"))
        await schemas.drop_empty_schema(session, record.previous_schema)
    return [
        RevertedTable(table.target, removed[table.target], restored[table.target])
        for table in record.plan.tables
    ]


def _lock_mode(request: ImportRequest) -> str:
    """What lets nobody write; and read, or refer to rows, only where nothing goes."""
    if request.mode is Mode.REPLACE:
        return "ACCESS EXCLUSIVE"
    # Who comes to refer to a row that is about to be deleted would go with it unseen.
    return "EXCLUSIVE" if request.delete_missing else "SHARE ROW EXCLUSIVE"


async def _refuse_references(session: Session, oids: Sequence[int]) -> None:
    located = {"replaced": list(oids)}
    for dependent, table in await session.fetch_all(statement("outside_references"), located):
        raise TableInUse(table, dependent)


async def _replace(
    session: Session, record: ImportRecord, tables: Sequence[PlannedTable], oids: dict[str, int]
) -> dict[str, PublishedRelation]:
    """Keep all rows, and have the staged ones in their place; what became of each table."""
    await _refuse_references(session, list(oids.values()))
    await schemas.create_schema(session, record.previous_schema)
    for table in tables:
        kept = quoted(record.previous_schema, table.target)
        keep = merge_sql.keep_all(qualified_name(record, table), kept)
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


async def _empty(session: Session, record: ImportRecord, tables: Sequence[PlannedTable]) -> None:
    # In one statement: they may refer to each other.
    targets = ", ".join(qualified_name(record, table) for table in tables)
    await session.execute(Statement(f"TRUNCATE {targets}", "TRUNCATE"))


async def _put_back(session: Session, record: ImportRecord, table: PlannedTable) -> int:
    """How many rows were kept."""
    target, kept = qualified_name(record, table), quoted(record.previous_schema, table.target)
    columns = [
        row[0] for row in await session.fetch_all(statement("stored_columns"), {"table": target})
    ]
    put_back = merge_sql.put_back(columns, target, kept)
    return await session.execute(Statement(put_back, f"INSERT {table.target}"))


async def _compare(session: Session, record: ImportRecord, table: PlannedTable) -> None:
    target, staged = qualified_name(record, table), quoted(record.staging_schema, table.target)
    text = merge_sql.count_missing(table, target, staged)
    if missing := await fetch_count(session, text, f"SELECT {table.target} EXCEPT"):
        raise MergeIncomplete(target, missing)


async def _advance(session: Session, record: ImportRecord, table: PlannedTable) -> None:
    """Sequences go on after the largest number that a row has now."""
    target = qualified_name(record, table)
    for column, sequence in await session.fetch_all(statement("sequences"), {"table": target}):
        # Without parameters: names may have what stands for one.
        text = merge_sql.advance(target, column, sequence)
        await session.execute(Statement(text, "SELECT setval"))
