"""APPEND and UPSERT: puts staged rows into tables, and keeps what a revert needs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from dbopsd.db.identifiers import quoted
from dbopsd.db.session import Session
from dbopsd.db.statement import Statement
from dbopsd.migrate.importer.model.plan import PlannedTable
from dbopsd.migrate.importer.model.requests import IdentifierCase, ImportRequest, Mode
from dbopsd.migrate.importer.plan.existing_tables import key_of
from dbopsd.migrate.importer.plan.names import Namespace
from dbopsd.migrate.importer.postgres import cascade_effects, row_sql, schemas
from dbopsd.migrate.importer.postgres.foreign_keys import ForeignKey, fetch_foreign_keys_to
from dbopsd.migrate.importer.postgres.sql import statement
from dbopsd.migrate.importer.postgres.table_guards import fetch_count, qualified_name
from dbopsd.migrate.importer.publish import merge_sql
from dbopsd.migrate.importer.records.import_records import (
    ROWS,
    ImportRecord,
    MergeRecord,
    PublishedRelation,
)


async def put_rows(
    session: Session,
    record: ImportRecord,
    request: ImportRequest,
    tables: Sequence[PlannedTable],
    oids: Mapping[str, int],
) -> dict[str, PublishedRelation]:
    """Append or upsert the rows of tables, parents first. Returns the tables by their source.

    The previous schema keeps the rows as they were written, and changed and deleted rows as they
    were before. It keeps no other rows.
    """
    await schemas.create_schema(session, record.previous_schema)
    merges = {
        table.source: await _create_kept_tables(session, record, request, table, after)
        for table, after in zip(tables, _kept_table_names(tables), strict=True)
    }
    if request.mode is Mode.UPSERT:
        merged, deleted, reason = await _upsert(session, record, request, tables, oids, merges)
        merges = {
            source: replace(merge, irreversible_reason=reason) for source, merge in merges.items()
        }
    else:
        merged = {
            table.source: await _write_rows(session, record, request, table, merges[table.source])
            for table in tables
        }
        deleted = dict.fromkeys(merged, 0)
    merges = {source: await _drop_empty(session, record, merge) for source, merge in merges.items()}
    if not any(merge.before or merge.after for merge in merges.values()):
        await schemas.drop_empty_schema(session, record.previous_schema)
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


async def _upsert(
    session: Session,
    record: ImportRecord,
    request: ImportRequest,
    tables: Sequence[PlannedTable],
    oids: Mapping[str, int],
    merges: Mapping[str, MergeRecord],
) -> tuple[dict[str, int], dict[str, int], str]:
    """The rows written and deleted in each table, and why it cannot be reverted, if so."""
    references = await fetch_foreign_keys_to(session, oids.values())
    referring = {
        table.source: [each for each in references if each.parent_oid == oids[table.source]]
        for table in tables
    }
    before = await cascade_effects.fetch_row_changes(session, oids.values())
    suspects: set[str] = set()
    # Of all tables, before what is done to one can change rows of another.
    for table in tables:
        await _keep_rows_to_change(session, record, table, merges[table.source])
        suspects |= await _find_unsetting(session, record, table, merges[table.source], referring)
    merged = {
        table.source: await _write_rows(session, record, request, table, merges[table.source])
        for table in tables
    }
    changed = {
        table.source: await _count_changed(session, record, merges[table.source])
        for table in tables
    }
    deleted = dict.fromkeys(merged, 0)
    if request.delete_missing:
        for table in reversed(tables):
            suspects |= await _find_cascading(session, record, table, referring)
            deleted[table.source] = await _delete_missing(session, record, table)
    own = {oid: (changed[source], deleted[source]) for source, oid in oids.items()}
    loss = await cascade_effects.find_loss(session, before, own, suspects, may_follow=False)
    return merged, deleted, _irreversible_reason(loss) if loss else ""


def _irreversible_reason(loss: cascade_effects.Loss) -> str:
    """Why the import cannot be reverted."""
    if not loss.by:
        return (
            "it changed or deleted rows while track_counts was off, so that nobody knows whether "
            "foreign keys changed or deleted others with them"
        )
    return f"with its rows others were changed or deleted, by {loss.by}, and these are not kept"


def _kept_table_names(tables: Sequence[PlannedTable]) -> list[str]:
    """The names of the tables that keep written rows. They differ from all target tables."""
    names = Namespace(IdentifierCase.PRESERVE)
    for table in tables:
        names.take(table.target)
    return [names.take(f"{table.target}_written")[0] for table in tables]


async def _create_kept_tables(
    session: Session, record: ImportRecord, request: ImportRequest, table: PlannedTable, after: str
) -> MergeRecord:
    target = qualified_name(record, table)
    if request.mode is Mode.UPSERT:
        key = key_of(table)
    else:
        rows = await session.fetch_all(statement("primary_key"), {"table": target})
        key = [row[0] for row in rows]
    for name in (table.target, after):
        keep = merge_sql.create_kept_table(target, quoted(record.previous_schema, name))
        await session.execute(Statement(keep, "CREATE TABLE AS"))
    return MergeRecord(
        whole=request.mode is Mode.UPSERT and request.delete_missing,
        key=tuple(key),
        before=table.target,
        after=after,
    )


async def _keep_rows_to_change(
    session: Session, record: ImportRecord, table: PlannedTable, merge: MergeRecord
) -> None:
    """Keep the rows that the upsert will change."""
    if row_sql.columns_besides(merge.key, table):
        target, staged = qualified_name(record, table), quoted(record.staging_schema, table.target)
        before = quoted(record.previous_schema, merge.before)
        keep = merge_sql.keep_to_change(table, merge.key, target, staged, before)
        await session.execute(Statement(keep, f"INSERT {table.target}"))


async def _write_rows(
    session: Session,
    record: ImportRecord,
    request: ImportRequest,
    table: PlannedTable,
    merge: MergeRecord,
) -> int:
    """Write the staged rows. Returns how many were added or changed."""
    target, staged = qualified_name(record, table), quoted(record.staging_schema, table.target)
    after = quoted(record.previous_schema, merge.after)
    put = merge_sql.append(table, target, staged)
    if request.mode is Mode.UPSERT:
        put = merge_sql.upsert(table, merge.key, target, staged)
    text = merge_sql.write_and_keep(after, put)
    return await session.execute(Statement(text, f"INSERT {table.target}"))


async def _find_unsetting(
    session: Session,
    record: ImportRecord,
    table: PlannedTable,
    merge: MergeRecord,
    referring: Mapping[str, Sequence[ForeignKey]],
) -> set[str]:
    """The foreign keys by which rows will lose their reference when a parent changes."""
    before = quoted(record.previous_schema, merge.before)
    staged = quoted(record.staging_schema, table.target)
    moving = set()
    for each in referring[table.source]:
        if each.unsets_on_update:
            text = merge_sql.count_moving(each, table, merge.key, before, staged)
            if await fetch_count(session, text, "SELECT count"):
                moving.add(each.name)
    return moving


async def _count_changed(session: Session, record: ImportRecord, merge: MergeRecord) -> int:
    """How many of the written rows existed before."""
    before, after = (quoted(record.previous_schema, name) for name in (merge.before, merge.after))
    text = merge_sql.count_changed(merge.key, before, after)
    return await fetch_count(session, text, "SELECT count")


async def _find_cascading(
    session: Session,
    record: ImportRecord,
    table: PlannedTable,
    referring: Mapping[str, Sequence[ForeignKey]],
) -> set[str]:
    """The foreign keys by which rows will be deleted or changed with missing rows.

    Missing rows of other tables of the import are deleted before.
    """
    target, staged = qualified_name(record, table), quoted(record.staging_schema, table.target)
    cascading = set()
    for each in referring[table.source]:
        if each.cascades_delete:
            text = merge_sql.count_cascading(each, key_of(table), target, staged)
            if await fetch_count(session, text, "SELECT count"):
                cascading.add(each.name)
    return cascading


async def _delete_missing(session: Session, record: ImportRecord, table: PlannedTable) -> int:
    """Delete and keep the rows that the file does not have. Returns how many."""
    target, staged = qualified_name(record, table), quoted(record.staging_schema, table.target)
    before = quoted(record.previous_schema, table.target)
    text = merge_sql.write_and_keep(before, merge_sql.delete_missing(key_of(table), target, staged))
    return await session.execute(Statement(text, f"DELETE {table.target}"))


async def _drop_empty(session: Session, record: ImportRecord, merge: MergeRecord) -> MergeRecord:
    """Drop the tables that keep no rows."""
    for name in (merge.before, merge.after):
        kept = quoted(record.previous_schema, name)
        if await fetch_count(session, merge_sql.has_rows(kept), "SELECT EXISTS"):
            continue
        await session.execute(Statement(row_sql.drop_table(kept), "DROP TABLE"))
        merge = replace(merge, before="") if name == merge.before else replace(merge, after="")
    return merge
