"""Staged rows go into tables that are there, all of them in one transaction."""

from collections.abc import Sequence

from dbopsd.db.identifiers import quoted
from dbopsd.db.session import Session
from dbopsd.db.statement import Statement
from dbopsd.migrate.importer.planning.plan import Plan, PlannedTable
from dbopsd.migrate.importer.report import RevertedTable
from dbopsd.migrate.importer.requests import ImportRequest, Mode
from dbopsd.migrate.importer.target import adding, existing, merge_sql, records, staging
from dbopsd.migrate.importer.target.errors import MergeIncomplete, TableInUse
from dbopsd.migrate.importer.target.locks import LOCK_TIMEOUT, LockOrder
from dbopsd.migrate.importer.target.records import (
    ROWS,
    ImportRecord,
    PublishedRelation,
    RecordState,
    statement,
)
from dbopsd.migrate.importer.target.touching import (
    DEFER,
    lock,
    number,
    parents_first,
    target_of,
    without_triggers,
)


async def check(session: Session, request: ImportRequest, plan: Plan) -> None:
    """Raise `TableInUse` where rows cannot give way: others refer to them."""
    if request.mode is Mode.REPLACE:
        names = [table.target for table in plan.tables]
        rows = await session.fetch_all(statement("relations"), (request.schema, names))
        await _refuse_references(session, [int(oid) for oid, *_ in rows])


async def merge(
    session: Session, record: ImportRecord, request: ImportRequest, order: LockOrder
) -> ImportRecord:
    """Append, upsert or replace the rows, and compare what is there then with what was staged.

    Rows that were there and gave way are kept in the import's previous schema. Raises
    `MergeIncomplete`, `TableInUse`, `TablesIncompatible`, and what the tables' own constraints say.
    """
    async with session.transaction():
        await session.execute(LOCK_TIMEOUT)
        await records.lock(session, record.import_id)
        current = await records.get(session, record.import_id, "")
        if current.state is not RecordState.STAGED:
            return current
        await lock(session, record, order, _lock_mode(request))
        await existing.check(session, request, record.plan)
        await session.execute(DEFER)
        tables = await parents_first(session, record)
        oids = {
            table.source: await records.relation_oid(session, record.target_schema, table.target)
            for table in tables
        }
        async with without_triggers(session, record, tables):
            if request.mode is Mode.REPLACE:
                merged = await _replace(session, record, tables, oids)
            else:
                merged = await adding.add(session, record, request, tables, oids)
            for table in tables:
                await _compare(session, record, table)
                await _advance(session, record, table)
        await staging.drop_schema(session, record.staging_schema)
        relations = tuple(merged[table.source] for table in record.plan.tables)
        await records.set_published(session, record.import_id, relations)
        return await records.get(session, record.import_id, "")


async def revert(session: Session, record: ImportRecord, order: LockOrder) -> list[RevertedTable]:
    """Put back the rows that were replaced, as they were kept. Those that are there go.

    Raises `ImportNotPublished`, `TableInUse`.
    """
    async with session.transaction():
        await session.execute(LOCK_TIMEOUT)
        current = await records.begin_revert(session, record.import_id)
        await lock(session, record, order, "ACCESS EXCLUSIVE")
        await session.execute(DEFER)
        tables = await parents_first(session, record)
        await _refuse_references(session, [relation.oid for relation in current.published])
        async with without_triggers(session, record, tables):
            removed = {
                table.target: await number(
                    session, merge_sql.count_all(target_of(record, table)), "SELECT count"
                )
                for table in tables
            }
            await _empty(session, record, tables)
            restored = {table.target: await _put_back(session, record, table) for table in tables}
        for table in tables:
            kept = quoted(record.previous_schema, table.target)
            await session.execute(Statement(merge_sql.drop(kept), "DROP TABLE"))
        await staging.drop_empty_schema(session, record.previous_schema)
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
    await staging.create_schema(session, record.previous_schema)
    for table in tables:
        kept = quoted(record.previous_schema, table.target)
        keep = merge_sql.keep_all(target_of(record, table), kept)
        await session.execute(Statement(keep, "CREATE TABLE AS"))
    await _empty(session, record, tables)
    replaced = {}
    for table in tables:
        staged = quoted(record.staging_schema, table.target)
        text = merge_sql.insert(table, target_of(record, table), staged)
        rows = await session.execute(Statement(text, f"INSERT {table.target}"))
        replaced[table.source] = PublishedRelation(
            table.target, ROWS, oids[table.source], replaced=ROWS, merged_rows=rows
        )
    return replaced


async def _empty(session: Session, record: ImportRecord, tables: Sequence[PlannedTable]) -> None:
    # In one statement: they may refer to each other.
    targets = ", ".join(target_of(record, table) for table in tables)
    await session.execute(Statement(f"TRUNCATE {targets}", "TRUNCATE"))


async def _put_back(session: Session, record: ImportRecord, table: PlannedTable) -> int:
    """How many rows were kept."""
    target, kept = target_of(record, table), quoted(record.previous_schema, table.target)
    columns = [row[0] for row in await session.fetch_all(statement("stored"), {"table": target})]
    put_back = merge_sql.put_back(columns, target, kept)
    return await session.execute(Statement(put_back, f"INSERT {table.target}"))


async def _compare(session: Session, record: ImportRecord, table: PlannedTable) -> None:
    target, staged = target_of(record, table), quoted(record.staging_schema, table.target)
    text = merge_sql.count_missing(table, target, staged)
    if missing := await number(session, text, f"SELECT {table.target} EXCEPT"):
        raise MergeIncomplete(target, missing)


async def _advance(session: Session, record: ImportRecord, table: PlannedTable) -> None:
    """Sequences go on after the largest number that a row has now."""
    target = target_of(record, table)
    for column, sequence in await session.fetch_all(statement("sequences"), {"table": target}):
        # Without parameters: names may have what stands for one.
        text = merge_sql.advance(target, column, sequence)
        await session.execute(Statement(text, "SELECT setval"))
