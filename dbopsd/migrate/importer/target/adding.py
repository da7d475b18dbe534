"""Staged rows go in among others. What gives way to them is kept, and so is what was written."""

from collections.abc import Sequence
from dataclasses import replace

from dbopsd.db.identifiers import quoted
from dbopsd.db.session import Session
from dbopsd.db.statement import Statement
from dbopsd.migrate.importer.planning.names import Namespace
from dbopsd.migrate.importer.planning.plan import PlannedTable
from dbopsd.migrate.importer.requests import ImportRequest, Mode, Names
from dbopsd.migrate.importer.target import merge_sql, staging
from dbopsd.migrate.importer.target.existing import key_of
from dbopsd.migrate.importer.target.records import (
    ROWS,
    ImportRecord,
    Merge,
    PublishedRelation,
    statement,
)
from dbopsd.migrate.importer.target.referring import ForeignKey, referring_to
from dbopsd.migrate.importer.target.touching import number, target_of


async def add(
    session: Session,
    record: ImportRecord,
    request: ImportRequest,
    tables: Sequence[PlannedTable],
    oids: dict[str, int],
) -> dict[str, PublishedRelation]:
    """Append or upsert the rows of tables, parents first; what became of each, by its source.

    The rows that were written, and those that were changed or deleted as they were before, are
    kept in the import's previous schema, and no others.
    """
    await staging.create_schema(session, record.previous_schema)
    merges = {
        table.source: await _begin(session, record, request, table, after)
        for table, after in zip(tables, _names_of_after(tables), strict=True)
    }
    merged = {
        table.source: await _put(session, record, request, table, merges[table.source])
        for table in tables
    }
    deleted = dict.fromkeys(merged, 0)
    if request.mode is Mode.UPSERT:
        references = await referring_to(session, oids.values())
        for table in reversed(tables):
            source = table.source
            mine = [each for each in references if each.parent_oid == oids[source]]
            beyond = await _moving(session, record, merges[source], mine)
            if request.delete_missing:
                beyond = beyond or await _cascading(session, record, table, mine)
                deleted[source] = await _delete(session, record, table)
            merges[source] = replace(merges[source], beyond=beyond)
    merges = {
        source: await _without_empty(session, record, merge) for source, merge in merges.items()
    }
    if not any(merge.before or merge.after for merge in merges.values()):
        await staging.drop_empty_schema(session, record.previous_schema)
    return {
        table.source: PublishedRelation(
            table.target,
            ROWS,
            oids[table.source],
            merged_rows=merged[table.source],
            deleted_rows=deleted[table.source],
            merge=merges[table.source],
        )
        for table in tables
    }


def _names_of_after(tables: Sequence[PlannedTable]) -> list[str]:
    """What the tables are called that keep what was written: beside those that keep what was."""
    names = Namespace(Names.PRESERVE)
    for table in tables:
        names.take(table.target)
    return [names.take(f"{table.target}_written")[0] for table in tables]


async def _begin(
    session: Session, record: ImportRecord, request: ImportRequest, table: PlannedTable, after: str
) -> Merge:
    target = target_of(record, table)
    if request.mode is Mode.UPSERT:
        key = key_of(table)
    else:
        rows = await session.fetch_all(statement("primary_key"), {"table": target})
        key = [row[0] for row in rows]
    for name in (table.target, after):
        keep = merge_sql.keep_none(target, quoted(record.previous_schema, name))
        await session.execute(Statement(keep, "CREATE TABLE AS"))
    return Merge(
        whole=request.mode is Mode.UPSERT and request.delete_missing,
        key=tuple(key),
        before=table.target,
        after=after,
    )


async def _put(
    session: Session,
    record: ImportRecord,
    request: ImportRequest,
    table: PlannedTable,
    merge: Merge,
) -> int:
    """How many rows were added or changed."""
    target, staged = target_of(record, table), quoted(record.staging_schema, table.target)
    before, after = (quoted(record.previous_schema, name) for name in (merge.before, merge.after))
    put = merge_sql.append(table, target, staged)
    if request.mode is Mode.UPSERT:
        put = merge_sql.upsert(table, merge.key, target, staged)
        if merge_sql.others_than(merge.key, table):
            keep = merge_sql.keep_to_change(table, merge.key, target, staged, before)
            await session.execute(Statement(keep, f"INSERT {table.target}"))
    text = merge_sql.keeping(after, put)
    return await session.execute(Statement(text, f"INSERT {table.target}"))


async def _moving(
    session: Session, record: ImportRecord, merge: Merge, references: Sequence[ForeignKey]
) -> str:
    """The foreign key by which rows that are not kept have lost changed ones, if any may have."""
    before, after = (quoted(record.previous_schema, name) for name in (merge.before, merge.after))
    for each in references:
        if each.on_update:
            text = merge_sql.count_moved(each.parent_columns, merge.key, before, after)
            if await number(session, text, "SELECT count"):
                return each.name
    return ""


async def _cascading(
    session: Session, record: ImportRecord, table: PlannedTable, references: Sequence[ForeignKey]
) -> str:
    """The foreign key by which rows that are not kept go or change with missing ones, if any does.

    Of a table of the import those that are missing themselves have gone before.
    """
    parent = (target_of(record, table), quoted(record.staging_schema, table.target), key_of(table))
    for each in references:
        if each.on_delete:
            columns = (each.columns, each.parent_columns)
            itself = each.child_oid == each.parent_oid
            text = merge_sql.count_cascading(columns, each.child, parent, itself=itself)
            if await number(session, text, "SELECT count"):
                return each.name
    return ""


async def _delete(session: Session, record: ImportRecord, table: PlannedTable) -> int:
    """How many rows were missing."""
    target, staged = target_of(record, table), quoted(record.staging_schema, table.target)
    before = quoted(record.previous_schema, table.target)
    text = merge_sql.keeping(before, merge_sql.delete_missing(key_of(table), target, staged))
    return await session.execute(Statement(text, f"DELETE {table.target}"))


async def _without_empty(session: Session, record: ImportRecord, merge: Merge) -> Merge:
    """Leave no table that keeps nothing."""
    for name in (merge.before, merge.after):
        kept = quoted(record.previous_schema, name)
        if await number(session, merge_sql.has_rows(kept), "SELECT EXISTS"):
            continue
        await session.execute(Statement(merge_sql.drop(kept), "DROP TABLE"))
        merge = replace(merge, before="") if name == merge.before else replace(merge, after="")
    return merge
