"""Prepare an import: snapshot, inspect, profile, plan, check."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dbopsd.db.session import Session
from dbopsd.migrate.importer.build.rehearsal import rehearse
from dbopsd.migrate.importer.model.errors import SnapshotLost
from dbopsd.migrate.importer.model.plan import Plan
from dbopsd.migrate.importer.model.requests import ImportRequest
from dbopsd.migrate.importer.model.source_profile import TableProfile
from dbopsd.migrate.importer.model.source_schema import SourceTable
from dbopsd.migrate.importer.plan.time_units import ambiguous_time_notes
from dbopsd.migrate.importer.processes.pool import Processes, is_small
from dbopsd.migrate.importer.processes.progress import UNIT_BYTES, UNIT_ROWS, count_progress
from dbopsd.migrate.importer.processes.tasks import (
    Inspected,
    InspectFile,
    MakePlan,
    ProfileTable,
    SnapshotTaken,
    TakeSnapshot,
)
from dbopsd.migrate.importer.profile.profile_table import merge_profiles
from dbopsd.migrate.importer.publish import publication
from dbopsd.migrate.importer.records import import_records
from dbopsd.operations.gather_or_cancel import gather_or_cancel
from dbopsd.operations.kind import Run
from dbopsd.security.roots import locate, open_parent


async def ensure_snapshot(
    run: Run, reader: Processes, request: ImportRequest, beside: Processes | None = None
) -> SnapshotTaken:
    """The operation's own copy of the file: the same one in every attempt.

    The processes `beside` are started meanwhile. Raises `PathOutsideRoots`, `SnapshotLost` and what
    `take_snapshot` does, as a `TaskFailed`.
    """
    # As they are from here: a process of the import may work in another directory.
    roots = [root.absolute() for root in run.database.config.import_roots]
    # Said before a process is started for it, which opens the file beneath the roots by itself.
    await asyncio.to_thread(locate, request.source, roots)

    async def take() -> SnapshotTaken:
        size = await asyncio.to_thread(_size, request.source, roots)
        copied = 0

        def on_progress(units: int) -> None:
            nonlocal copied
            copied += units
            run.progress("snapshot", copied, max(size, copied), UNIT_BYTES)

        run.progress("snapshot", 0, size, UNIT_BYTES)
        task = TakeSnapshot(
            request.source, [str(root) for root in roots], str(run.scratch), request.integrity
        )
        starting = asyncio.create_task(beside.prestart(size)) if beside else None
        try:
            return await reader.run_task(task, SnapshotTaken, on_progress)
        finally:
            if starting is not None:
                await starting

    taken = await run.step("snapshot", take, returns=SnapshotTaken)
    if not await asyncio.to_thread(Path(taken.path).exists):
        raise SnapshotLost(request.source)
    if beside is not None:
        beside.shrink_for(taken.size_bytes)
    return taken


async def prepare_plan(
    run: Run,
    reader: Processes,
    pool: Processes,
    request: ImportRequest,
    taken: SnapshotTaken,
    session: Session,
) -> Plan:
    """Inspect, profile, plan, rehearse and check: the plan that can be carried out and published.

    Raises `NameTaken`, `TableInUse`, `TablesIncompatible`, and what a process finds as a
    `TaskFailed`: that of `InvalidMapping`, `SourceTableNotFound`.
    """
    run.progress("inspect")
    # A small file is profiled before a second process is there.
    profilers = reader if is_small(taken.size_bytes) else pool
    inspected = await reader.run_task(InspectFile(taken.path, request, profilers.count), Inspected)
    profiles = await _profile(run, profilers, taken, inspected)
    run.progress("plan")
    staging = import_records.staging_schema(run.operation)
    making = MakePlan(taken.path, inspected.schema, profiles, request, staging)
    plan = await reader.run_task(making, Plan)
    plan = await rehearse(session, staging, plan)
    plan = await publication.check(session, request, plan)
    return replace(plan, notes=(*plan.notes, *ambiguous_time_notes(plan)))


def _size(source: str, roots: Sequence[Path]) -> int:
    """For the progress. Of what cannot be opened the copy says why."""
    try:
        folder, name = open_parent(source, roots)
    except OSError:
        return 0
    with folder:
        found = folder.stat(name)
    return 0 if found is None else found.st_size


async def _profile(
    run: Run, pool: Processes, taken: SnapshotTaken, inspected: Inspected
) -> dict[str, TableProfile]:
    """What is in each of the tables; large ones are looked at by several processes."""
    on_progress = count_progress(run, "profile", 0, UNIT_ROWS)
    on_progress(0)

    async def one(table: SourceTable) -> TableProfile:
        tasks = [ProfileTable(taken.path, table, each) for each in inspected.ranges[table.name]]
        return merge_profiles(
            await gather_or_cancel(pool.run_task(task, TableProfile, on_progress) for task in tasks)
        )

    chosen = [table for table in inspected.schema.tables if table.name in inspected.ranges]
    found = await gather_or_cancel(map(one, chosen))
    return {table.name: profile for table, profile in zip(chosen, found, strict=True)}
