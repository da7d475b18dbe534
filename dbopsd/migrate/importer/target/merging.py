"""Staged rows go into tables that are there, all of them in one transaction."""

from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Final

from dbopsd.db.identifiers import quoted
from dbopsd.db.session import Session
from dbopsd.db.statement import Statement
from dbopsd.migrate.importer.planning.plan import Plan, PlannedTable
from dbopsd.migrate.importer.requests import ImportRequest, Mode
from dbopsd.migrate.importer.target import merge_sql, records, staging
from dbopsd.migrate.importer.target.errors import ImportNotPublished, MergeIncomplete, TableInUse
from dbopsd.migrate.importer.target.existing import key_of
from dbopsd.migrate.importer.target.locks import LOCK_TIMEOUT, LockOrder
from dbopsd.migrate.importer.target.records import (
    ROWS,
    ImportRecord,
    PublishedRelation,
    RecordState,
    statement,
)

_DEFER: Final = Statement("SET CONSTRAINTS ALL DEFERRED", "SET CONSTRAINTS")
_CHECK_NOW: Final = Statement("SET CONSTRAINTS ALL IMMEDIATE", "SET CONSTRAINTS")


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

    With REPLACE the rows that were there are kept in the import's previous schema. Raises
    `MergeIncomplete`, `TableInUse`, and what the tables' own constraints say.
    """
    async with session.transaction():
        await session.execute(LOCK_TIMEOUT)
        await records.lock(session, record.import_id)
        current = await records.get(session, record.import_id, "")
        if current.state is not RecordState.STAGED:
            return current
        replaces = request.mode is Mode.REPLACE
        await _lock(session, record, order, "ACCESS" if replaces else "SHARE ROW")
        await session.execute(_DEFER)
        tables = await _parents_first(session, record)
        oids = {
            table.source: await records.relation_oid(session, record.target_schema, table.target)
            for table in tables
        }
        await _without_triggers(session, record, tables)
        if replaces:
            await _refuse_references(session, list(oids.values()))
            await _keep_and_empty(session, record, tables)
        merged = {table.source: await _put(session, record, table, request) for table in tables}
        deleted = dict.fromkeys(merged, 0)
        if request.mode is Mode.UPSERT and request.delete_missing:
            for table in reversed(tables):
                deleted[table.source] = await _delete(session, record, table)
        for table in tables:
            await _compare(session, record, table)
            await _advance(session, record, table)
        await _with_triggers(session, record, tables)
        await staging.drop_schema(session, record.staging_schema)
        relations = [
            PublishedRelation(
                table.target,
                ROWS,
                oids[table.source],
                replaced=ROWS if replaces else "",
                merged_rows=merged[table.source],
                deleted_rows=deleted[table.source],
            )
            for table in record.plan.tables
        ]
        await records.set_published(session, record.import_id, tuple(relations))
        return await records.get(session, record.import_id, "")


async def revert(session: Session, record: ImportRecord, order: LockOrder) -> None:
    """Put back the rows that were replaced, as they were kept. Those that were merged stay.

    Raises `ImportNotPublished`, `TableInUse`.
    """
    if not all(relation.replaced for relation in record.published):
        problem = "cannot be reverted: its rows went in among others, and are not taken out again"
        raise ImportNotPublished(record.import_id, problem)
    async with session.transaction():
        await session.execute(LOCK_TIMEOUT)
        current = await records.begin_revert(session, record.import_id)
        await _lock(session, record, order, "ACCESS")
        await session.execute(_DEFER)
        tables = await _parents_first(session, record)
        await _refuse_references(session, [relation.oid for relation in current.published])
        await _without_triggers(session, record, tables)
        await _empty(session, record, tables)
        for table in tables:
            target, kept = _target(record, table), quoted(record.previous_schema, table.target)
            located = {"table": target}
            columns = [row[0] for row in await session.fetch_all(statement("stored"), located)]
            put_back = merge_sql.put_back(columns, target, kept)
            await session.execute(Statement(put_back, f"INSERT {table.target}"))
        await _with_triggers(session, record, tables)
        for table in tables:
            kept = quoted(record.previous_schema, table.target)
            await session.execute(Statement(f"DROP TABLE {kept}", "DROP TABLE"))
        await staging.drop_empty_schema(session, record.previous_schema)


async def _lock(session: Session, record: ImportRecord, order: LockOrder, mode: str) -> None:
    """Lock the tables: ACCESS EXCLUSIVE, or SHARE ROW EXCLUSIVE, beside which they can be read."""
    for name in order.sorted(table.target for table in record.plan.tables):
        text = f"LOCK TABLE {quoted(record.target_schema, name)} IN {mode} EXCLUSIVE MODE"
        with order.taking(name):
            await session.execute(Statement(text, "LOCK TABLE"))


async def _refuse_references(session: Session, oids: Sequence[int]) -> None:
    located = {"replaced": list(oids)}
    for dependent, table in await session.fetch_all(statement("outside_references"), located):
        raise TableInUse(table, dependent)


async def _without_triggers(
    session: Session, record: ImportRecord, tables: Sequence[PlannedTable]
) -> None:
    for table in tables:
        disable = merge_sql.disable_triggers(_target(record, table))
        await session.execute(Statement(disable, "ALTER TABLE DISABLE TRIGGER"))


async def _with_triggers(
    session: Session, record: ImportRecord, tables: Sequence[PlannedTable]
) -> None:
    # Or PostgreSQL refuses to alter a table whose constraints have yet to be looked at.
    await session.execute(_CHECK_NOW)
    for table in tables:
        enable = merge_sql.enable_triggers(_target(record, table))
        await session.execute(Statement(enable, "ALTER TABLE ENABLE TRIGGER"))


async def _keep_and_empty(
    session: Session, record: ImportRecord, tables: Sequence[PlannedTable]
) -> None:
    await staging.create_schema(session, record.previous_schema)
    for table in tables:
        kept = quoted(record.previous_schema, table.target)
        keep = merge_sql.keep_all(_target(record, table), kept)
        await session.execute(Statement(keep, "CREATE TABLE AS"))
    await _empty(session, record, tables)


async def _empty(session: Session, record: ImportRecord, tables: Sequence[PlannedTable]) -> None:
    # In one statement: they may refer to each other.
    targets = ", ".join(_target(record, table) for table in tables)
    await session.execute(Statement(f"TRUNCATE {targets}", "TRUNCATE"))


async def _put(
    session: Session, record: ImportRecord, table: PlannedTable, request: ImportRequest
) -> int:
    target, staged = _target(record, table), quoted(record.staging_schema, table.target)
    if request.mode is Mode.UPSERT:
        text = merge_sql.upsert(table, key_of(table), target, staged)
    else:
        text = merge_sql.insert(table, target, staged)
    return await session.execute(Statement(text, f"INSERT {table.target}"))


async def _delete(session: Session, record: ImportRecord, table: PlannedTable) -> int:
    staged = quoted(record.staging_schema, table.target)
    text = merge_sql.delete_missing(key_of(table), _target(record, table), staged)
    return await session.execute(Statement(text, f"DELETE {table.target}"))


async def _compare(session: Session, record: ImportRecord, table: PlannedTable) -> None:
    target, staged = _target(record, table), quoted(record.staging_schema, table.target)
    text = merge_sql.count_missing(table, target, staged)
    row = await session.fetch_one(Statement(text, f"SELECT {table.target} EXCEPT"))
    if row is not None and row[0]:
        raise MergeIncomplete(target, int(row[0]))


async def _advance(session: Session, record: ImportRecord, table: PlannedTable) -> None:
    """Sequences go on after the largest number that a row has now."""
    target = _target(record, table)
    for column, sequence in await session.fetch_all(statement("sequences"), {"table": target}):
        # Without parameters: names may have what stands for one.
        text = merge_sql.advance(target, column, sequence)
        await session.execute(Statement(text, "SELECT setval"))


async def _parents_first(session: Session, record: ImportRecord) -> list[PlannedTable]:
    """The tables, each after those that it refers to, where they do not refer to each other."""
    names = [table.target for table in record.plan.tables]
    rows = await session.fetch_all(statement("relations"), (record.target_schema, names))
    by_oid = {int(oid): name for oid, name, _ in rows}
    by_name = {table.target: table for table in record.plan.tables}
    order: TopologicalSorter[str] = TopologicalSorter({name: set() for name in by_name})
    tables = {"tables": list(by_oid)}
    for child, parent in await session.fetch_all(statement("references"), tables):
        order.add(by_oid[child], by_oid[parent])
    try:
        return [by_name[name] for name in order.static_order()]
    except CycleError:
        # Only constraints that can be deferred can hold then.
        return list(record.plan.tables)


def _target(record: ImportRecord, table: PlannedTable) -> str:
    return quoted(record.target_schema, table.target)
