"""Publishes an import, and reverts it, in the way that its request asks for."""

from collections.abc import AsyncIterator
from typing import Final

import stamina

from dbopsd.db.errors import DeadlockDetected, LockTimeout
from dbopsd.db.session import Session
from dbopsd.migrate.importer.model.plan import Plan
from dbopsd.migrate.importer.model.report import RevertedTable
from dbopsd.migrate.importer.model.requests import ImportRequest, Mode, Target
from dbopsd.migrate.importer.postgres.table_guards import LockOrder
from dbopsd.migrate.importer.publish.base import Publication
from dbopsd.migrate.importer.publish.merge import Merge
from dbopsd.migrate.importer.publish.refill import Refill
from dbopsd.migrate.importer.publish.swap import Swap
from dbopsd.migrate.importer.records.import_records import (
    ROWS,
    ImportRecord,
    PublishedTable,
    published_tables,
)

# For as long, all in all, a lock on the target's tables is tried for, half a second at a time.
_LOCK_PATIENCE_S: Final = 120.0


async def check(session: Session, request: ImportRequest, plan: Plan) -> Plan:
    """The plan as it can be published.

    Raises `NameTaken`, `TableInUse`, `TablesIncompatible`.
    """
    return await _requested(request).check(session, request, plan)


async def publish(
    session: Session, record: ImportRecord, request: ImportRequest
) -> list[PublishedTable]:
    """Put the staged rows where they are wanted, in one transaction, once.

    Raises `NameTaken`, `TableInUse`, `TablesIncompatible`, `UnexpectedDependency`, `LockTimeout`,
    and what the target's own constraints say.
    """
    order = LockOrder()
    way = _requested(request)
    async for attempt in _patiently():
        with attempt:
            published = await way.apply(session, record, request, order)
    return published_tables(published)


async def revert(session: Session, record: ImportRecord) -> list[RevertedTable]:
    """Undo a publication. Returns what happened to the rows of tables that stay.

    Raises `ImportNotPublished`, `TableInUse`, `RowsChangedSince`, `RowsReferredTo`,
    `RevertIncomplete`, `LockTimeout`, and what the target's own constraints say.
    """
    order = LockOrder()
    way = _recorded(record)
    reverted: list[RevertedTable] = []
    async for attempt in _patiently():
        with attempt:
            reverted = await way.revert(session, record, order)
    return reverted


def _requested(request: ImportRequest) -> Publication:
    if request.mode is not Mode.REPLACE:
        return Merge()
    return Swap() if request.target is Target.CREATE else Refill()


def _recorded(record: ImportRecord) -> Publication:
    """The way in which it was published."""
    if not any(relation.kind == ROWS for relation in record.published):
        return Swap()
    replaced = all(relation.replaced for relation in record.published)
    return Refill() if replaced else Merge()


def _patiently() -> AsyncIterator[stamina.Attempt]:
    return stamina.retry_context(
        on=(LockTimeout, DeadlockDetected), attempts=None, timeout=_LOCK_PATIENCE_S, wait_max=5.0
    )
