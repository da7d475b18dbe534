"""How imported rows get to where they are wanted: whole tables swapped in, or rows merged."""

from collections.abc import Sequence
from typing import Final

import stamina

from dbopsd.db.errors import DeadlockDetected, LockTimeout
from dbopsd.db.session import Session
from dbopsd.migrate.importer import looking
from dbopsd.migrate.importer.planning.plan import Plan
from dbopsd.migrate.importer.processes.pool import Processes
from dbopsd.migrate.importer.processes.tasks import SnapshotTaken
from dbopsd.migrate.importer.requests import ImportRequest, Mode, Target
from dbopsd.migrate.importer.target import existing, merging, publishing
from dbopsd.migrate.importer.target.placed import Placed
from dbopsd.migrate.importer.target.records import ImportRecord
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
    if not swaps(request):
        return await existing.fit(session, request, made)
    views = [each.target for each in made.objects if each.kind == "view" and each.ddl]
    await publishing.check(session, request.schema, made, views)
    return made


async def place(
    session: Session, record: ImportRecord, request: ImportRequest, views: Sequence[str]
) -> list[Placed]:
    """Put the staged rows where they are wanted, in one transaction, once.

    Raises `NameTaken`, `TableInUse`, `LockTimeout`, and what the target's own constraints say.
    """
    async for attempt in stamina.retry_context(
        on=(LockTimeout, DeadlockDetected), attempts=None, timeout=_LOCK_PATIENCE_S, wait_max=5.0
    ):
        with attempt:
            if not swaps(request):
                return await merging.merge(session, record, request)
            published = await publishing.publish(session, record, views)
    replaced = {each.name for each in published.published if each.replaced}
    return [Placed(table.source, table.target in replaced) for table in record.plan.tables]


async def take_back(session: Session, record: ImportRecord) -> None:
    """Undo a publication."""
    async for attempt in stamina.retry_context(
        on=(LockTimeout, DeadlockDetected), attempts=None, timeout=_LOCK_PATIENCE_S, wait_max=5.0
    ):
        with attempt:
            await publishing.revert(session, record)
