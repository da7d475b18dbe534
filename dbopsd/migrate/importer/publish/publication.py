"""How imported rows get to where they are wanted: whole tables swapped in, or rows merged."""

from collections.abc import AsyncIterator, Sequence
from typing import Final

import stamina

from dbopsd.db.errors import DeadlockDetected, LockTimeout
from dbopsd.db.session import Session
from dbopsd.migrate.importer.model.report import RevertedTable
from dbopsd.migrate.importer.model.requests import ImportRequest, Mode, Target
from dbopsd.migrate.importer.postgres.table_guards import LockOrder
from dbopsd.migrate.importer.publish import merge, swap
from dbopsd.migrate.importer.records.import_records import (
    ROWS,
    ImportRecord,
    PublishedTable,
    published_tables,
)
from dbopsd.migrate.importer.revert import revert_merge

# For as long, all in all, a lock on the target's tables is tried for, half a second at a time.
_LOCK_PATIENCE_S: Final = 120.0


def swaps(request: ImportRequest) -> bool:
    """Whether whole tables take the place of others; otherwise rows go into tables that stay."""
    return request.target is Target.CREATE and request.mode is Mode.REPLACE


async def publish(
    session: Session, record: ImportRecord, request: ImportRequest, views: Sequence[str]
) -> list[PublishedTable]:
    """Put the staged rows where they are wanted, in one transaction, once.

    Raises `NameTaken`, `TableInUse`, `TablesIncompatible`, `LockTimeout`, and what the target's own
    constraints say.
    """
    order = LockOrder()
    async for attempt in _patiently():
        with attempt:
            if swaps(request):
                published = await swap.publish(session, record, views, order)
            else:
                published = await merge.merge(session, record, request, order)
    return published_tables(published)


async def revert(session: Session, record: ImportRecord) -> list[RevertedTable]:
    """Undo a publication; what became of the rows of tables that stay.

    Raises `ImportNotPublished`, `TableInUse`, `RowsChangedSince`, `RowsReferredTo`,
    `RevertIncomplete`, `LockTimeout`, and what the target's own constraints say.
    """
    order = LockOrder()
    reverted: list[RevertedTable] = []
    async for attempt in _patiently():
        with attempt:
            if not any(relation.kind == ROWS for relation in record.published):
                await swap.revert(session, record, order)
            elif all(relation.replaced for relation in record.published):
                reverted = await merge.revert(session, record, order)
            else:
                reverted = await revert_merge.revert(session, record, order)
    return reverted


def _patiently() -> AsyncIterator[stamina.Attempt]:
    return stamina.retry_context(
        on=(LockTimeout, DeadlockDetected), attempts=None, timeout=_LOCK_PATIENCE_S, wait_max=5.0
    )
