"""How imported rows get to where they are wanted: whole tables swapped in, or rows merged."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Final

import stamina

from dbopsd.db.errors import DeadlockDetected, LockTimeout
from dbopsd.db.session import Session
from dbopsd.migrate.importer import looking
from dbopsd.migrate.importer.planning.plan import Plan
from dbopsd.migrate.importer.planning.units import doubts
from dbopsd.migrate.importer.processes.pool import Processes
from dbopsd.migrate.importer.processes.tasks import SnapshotTaken
from dbopsd.migrate.importer.report import RevertedTable
from dbopsd.migrate.importer.requests import ImportRequest, Mode, Target
from dbopsd.migrate.importer.target import existing, merging, publishing, unmerging
from dbopsd.migrate.importer.target.locks import LockOrder
from dbopsd.migrate.importer.target.placed import Placed, placed_by
from dbopsd.migrate.importer.target.records import ROWS, ImportRecord
from dbopsd.operations.kind import Run

# For as long, all in all, a lock on the target's tables is tried for, half a second at a time.
_LOCK_PATIENCE_S: Final = 120.0


def swaps(request: ImportRequest) -> bool:
    """Whether whole tables take the place of others; otherwise rows go into tables that stay."""
    return request.target is Target.CREATE and request.mode is Mode.REPLACE


async def plan(
    run: Run, pool: Processes, request: ImportRequest, taken: SnapshotTaken, session: Session
) -> Plan:
    """The plan, once it is certain that its tables can get to their places.

    Raises what `looking.plan` does, `NameTaken`, `TableInUse`, `TablesIncompatible`.
    """
    made = await looking.plan(run, pool, request, taken, session)
    if swaps(request):
        views = [each.target for each in made.objects if each.kind == "view" and each.ddl]
        await publishing.check(session, request.schema, made, views)
    else:
        made = await existing.fit(session, request, made)
        await merging.check(session, request, made)
    return replace(made, notes=(*made.notes, *doubts(made)))


async def place(
    session: Session, record: ImportRecord, request: ImportRequest, views: Sequence[str]
) -> list[Placed]:
    """Put the staged rows where they are wanted, in one transaction, once.

    Raises `NameTaken`, `TableInUse`, `TablesIncompatible`, `LockTimeout`, and what the target's own
    constraints say.
    """
    order = LockOrder()
    async for attempt in _patiently():
        with attempt:
            if swaps(request):
                placed = await publishing.publish(session, record, views, order)
            else:
                placed = await merging.merge(session, record, request, order)
    return placed_by(placed)


async def take_back(session: Session, record: ImportRecord) -> list[RevertedTable]:
    """Undo a publication; what became of the rows of tables that stay.

    Raises `ImportNotPublished`, `TableInUse`, `RowsChangedSince`, `RowsReferredTo`,
    `RevertIncomplete`, `LockTimeout`, and what the target's own constraints say.
    """
    order = LockOrder()
    reverted: list[RevertedTable] = []
    async for attempt in _patiently():
        with attempt:
            if not any(relation.kind == ROWS for relation in record.published):
                await publishing.revert(session, record, order)
            elif all(relation.replaced for relation in record.published):
                reverted = await merging.revert(session, record, order)
            else:
                reverted = await unmerging.revert(session, record, order)
    return reverted


def _patiently() -> AsyncIterator[stamina.Attempt]:
    return stamina.retry_context(
        on=(LockTimeout, DeadlockDetected), attempts=None, timeout=_LOCK_PATIENCE_S, wait_max=5.0
    )
