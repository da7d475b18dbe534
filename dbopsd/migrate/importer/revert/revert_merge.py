"""Reverts a merge: deletes the added rows and restores the changed and deleted ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from dbopsd.db.identifiers import quoted
from dbopsd.db.session import Session
from dbopsd.db.statement import Statement
from dbopsd.migrate.importer.model.plan import PlannedTable
from dbopsd.migrate.importer.model.report import RevertedTable
from dbopsd.migrate.importer.model.target_errors import (
    ImportNotPublished,
    RevertIncomplete,
    RowsChangedSince,
    RowsReferredTo,
)
from dbopsd.migrate.importer.plan.existing_tables import CHILD
from dbopsd.migrate.importer.postgres import cascade_effects, row_sql, schemas
from dbopsd.migrate.importer.postgres.foreign_keys import fetch_foreign_keys_to
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
from dbopsd.migrate.importer.records import import_records
from dbopsd.migrate.importer.records.import_records import (
    ImportRecord,
    MergeRecord,
    PublishedRelation,
)
from dbopsd.migrate.importer.revert import revert_merge_sql
from dbopsd.migrate.importer.revert.revert_merge_sql import Kept


@dataclass(frozen=True)
class _Undone:
    """The rows of a table that were deleted, changed back and inserted again."""

    removed: int
    changed: int
    restored: int


async def revert(session: Session, record: ImportRecord, order: LockOrder) -> list[RevertedTable]:
    """Restore the tables as far as the import changed them, or change nothing.

    The steps of the merge are undone one by one, the last one first, so that the constraints hold
    at each step as they did then. Raises `ImportNotPublished`, `RowsChangedSince`,
    `RowsReferredTo`, `RevertIncomplete`, and what the tables' own constraints say.
    """
    async with session.transaction():
        await session.execute(LOCK_TIMEOUT)
        current = await import_records.begin_revert(session, record.import_id)
        merges = _merges(current)
        # Others can read, and nobody can come to refer to rows that are about to go.
        await lock_tables(session, record, order, "EXCLUSIVE")
        await session.execute(DEFER)
        tables = await parents_first(session, record)
        kept = {table.target: await _kept(session, record, table, merges) for table in tables}
        for each in kept.values():
            await _refuse_changes(session, each)
        await _refuse_references(session, current.published, kept)
        oids = {relation.name: relation.oid for relation in current.published}
        touched = await cascade_effects.fetch_row_changes(session, oids.values())
        async with without_triggers(session, record, tables):
            undone = await _undo(session, tables, kept)
        own = {oids[name]: (done.changed, done.removed) for name, done in undone.items()}
        loss = await cascade_effects.find_loss(session, touched, own, (), may_follow=True)
        if loss:
            _refuse_loss(record, loss)
        for table in tables:
            await _compare(session, kept[table.target])
            await _drop(session, record, merges[table.target])
        if any(merge.before or merge.after for merge in merges.values()):
            await schemas.drop_empty_schema(session, record.previous_schema)
    return [
        RevertedTable(table.target, done.removed, done.restored + done.changed)
        for table in record.plan.tables
        for done in (undone[table.target],)
    ]


def _merges(record: ImportRecord) -> dict[str, MergeRecord]:
    """The merge record of each table. Raises `ImportNotPublished` if it cannot be reverted."""
    merges = {}
    for relation in record.published:
        if relation.merge is None:
            problem = (
                "cannot be reverted: its rows went in among others, and the version of dbopsd that "
                "put them there kept nothing to take them out by"
            )
            raise ImportNotPublished(record.import_id, problem)
        if relation.merge.irreversible_reason:
            problem = f"cannot be reverted: {relation.merge.irreversible_reason}"
            raise ImportNotPublished(record.import_id, problem)
        merges[relation.name] = relation.merge
    return merges


async def _kept(
    session: Session, record: ImportRecord, table: PlannedTable, merges: Mapping[str, MergeRecord]
) -> Kept:
    """What is kept of a table. Raises `ImportNotPublished` if the table does not fit it."""
    merge, target = merges[table.target], qualified_name(record, table)
    columns = await session.fetch_all(statement("attributes"), {"table": target})
    kept = {
        name: quoted(record.previous_schema, name) if name else ""
        for name in (merge.before, merge.after)
    }
    for name in filter(None, kept.values()):
        found = await session.fetch_all(statement("attributes"), {"table": name})
        if not found:
            problem = f"cannot be reverted: {name}, which it kept for that, is not there any more"
            raise ImportNotPublished(record.import_id, problem)
        if found != columns:
            problem = f"cannot be reverted: {target} has other columns by now than {name}"
            raise ImportNotPublished(record.import_id, problem)
    named = {"schema": record.target_schema, "names": [table.target]}
    for _, kind, name in await session.fetch_all(statement("unsuitable_tables"), named):
        what = "a table that inherits from it" if kind == CHILD else "a rule"
        problem = f"cannot be reverted: {target} has {what} by now, {name}"
        raise ImportNotPublished(record.import_id, problem)
    if merge.before:
        keys = await session.fetch_all(
            statement("unique_keys"), (record.target_schema, [table.target])
        )
        if not any(set(columns) == set(merge.key) for _, columns in keys):
            key = ", ".join(merge.key)
            problem = f"cannot be reverted: nothing says any more that {key} of {target} is unique"
            raise ImportNotPublished(record.import_id, problem)
    stored = await session.fetch_all(statement("stored_columns"), {"table": target})
    return Kept(
        target=target,
        before=kept[merge.before],
        after=kept[merge.after],
        key=merge.key,
        stored=[row[0] for row in stored],
        written=[column.target for column in row_sql.columns_besides(merge.key, table)],
        last_first=(
            row_sql.key_order(merge.key, table, "b", last_first=True) if merge.before else ""
        ),
    )


async def _refuse_changes(session: Session, kept: Kept) -> None:
    """Raise `RowsChangedSince` if rows were changed after the import."""
    changed = missing = taken = 0
    if kept.after:
        count = Statement(revert_merge_sql.count_changed(kept), "SELECT count of changed")
        changed, missing = await session.fetch_one(count) or (0, 0)
    if kept.before:
        taken = await fetch_count(
            session, revert_merge_sql.count_taken(kept), "SELECT count of taken"
        )
    if changed or missing or taken:
        raise RowsChangedSince(
            *(kept.target, int(changed), int(missing), taken),
            *(kept.before, kept.after),
        )


async def _refuse_references(
    session: Session, published: Sequence[PublishedRelation], kept: Mapping[str, Kept]
) -> None:
    """Raise `RowsReferredTo` if rows of others reference rows that will be deleted."""
    by_oid = {relation.oid: kept[relation.name] for relation in published}
    for each in await fetch_foreign_keys_to(session, by_oid):
        parent, child = by_oid[each.parent_oid], by_oid.get(each.child_oid)
        if not parent.after:
            continue
        # All of a table where its own rows are left out: which partition they are in is not kept.
        rows_of, own = (child.target, child.after) if child else (each.child, "")
        counts = [revert_merge_sql.count_referring(parent, each, rows_of, own)]
        if each.unsets_on_update and revert_merge_sql.changes(parent):
            counts.append(revert_merge_sql.count_losing(parent, each, rows_of, own))
        for text in counts:
            if rows := await fetch_count(session, text, "SELECT count of referring"):
                raise RowsReferredTo(parent.target, rows, each.name)


def _refuse_loss(record: ImportRecord, loss: cascade_effects.Loss) -> NoReturn:
    """Raise `ImportNotPublished`: the revert would change or delete rows of others."""
    problem = (
        f"cannot be reverted: with rows that it wrote {loss.rows:,} others would be changed or "
        f"deleted, by {loss.by}; nothing was put back"
    )
    if not loss.by:
        problem = (
            "cannot be reverted while track_counts is off: nobody would know whether foreign keys "
            "change or delete others' rows"
        )
    raise ImportNotPublished(record.import_id, problem)


async def _undo(
    session: Session, tables: Sequence[PlannedTable], kept: Mapping[str, Kept]
) -> dict[str, _Undone]:
    """Insert deleted rows, parents first. Then undo what was written, children first."""
    restored = dict.fromkeys(kept, 0)
    for table in tables:
        if kept[table.target].before:
            put_back = revert_merge_sql.put_back_deleted(kept[table.target])
            summary = f"INSERT {table.target}"
            restored[table.target] = await session.execute(Statement(put_back, summary))
    undone = {}
    for table in reversed(tables):
        mine = kept[table.target]
        removed = changed = 0
        if mine.after:
            added = await fetch_count(
                session, revert_merge_sql.count_added(mine), "SELECT count of added"
            )
            verb = "UPDATE" if revert_merge_sql.changes(mine) else "DELETE"
            take_out = Statement(revert_merge_sql.take_out(mine), f"{verb} {table.target}")
            removed, changed = map(int, await session.fetch_one(take_out) or (0, 0))
            if removed != added:
                raise RevertIncomplete(mine.target, abs(added - removed))
        undone[table.target] = _Undone(removed, changed, restored[table.target])
    return undone


async def _compare(session: Session, kept: Kept) -> None:
    """Raise `RevertIncomplete` if the table is not as it was before the import."""
    wrong = 0
    if kept.before:
        wrong += await fetch_count(
            session, revert_merge_sql.count_not_back(kept), "SELECT count of others"
        )
    if kept.after and kept.key:
        wrong += await fetch_count(
            session, revert_merge_sql.count_not_gone(kept), "SELECT count of added"
        )
    if wrong:
        raise RevertIncomplete(kept.target, wrong)


async def _drop(session: Session, record: ImportRecord, merge: MergeRecord) -> None:
    for name in filter(None, (merge.before, merge.after)):
        kept = quoted(record.previous_schema, name)
        await session.execute(Statement(row_sql.drop_table(kept), "DROP TABLE"))
