"""From a file to a plan that can be carried out: snapshot, inspect, profile, plan, check."""

import asyncio
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from dbopsd.db.session import Session
from dbopsd.migrate.importer.build.rehearsal import rehearse
from dbopsd.migrate.importer.inspect.inspect_schema import inspect_schema
from dbopsd.migrate.importer.model.errors import SnapshotLost
from dbopsd.migrate.importer.model.plan import Plan
from dbopsd.migrate.importer.model.requests import ImportRequest
from dbopsd.migrate.importer.model.source_profile import TableProfile
from dbopsd.migrate.importer.model.source_schema import SourceSchema, SourceTable
from dbopsd.migrate.importer.plan.mapping import Mapping, read_mapping
from dbopsd.migrate.importer.plan.plan_builder import build_plan, chosen_tables, count_rows
from dbopsd.migrate.importer.plan.time_units import ambiguous_time_notes
from dbopsd.migrate.importer.processes.concurrent_work import gather_or_cancel
from dbopsd.migrate.importer.processes.pool import Processes
from dbopsd.migrate.importer.processes.tasks import ProfileTable, SnapshotTaken, TakeSnapshot
from dbopsd.migrate.importer.profile.profile_table import merge_profiles, rowid_ranges
from dbopsd.migrate.importer.publish import publication
from dbopsd.migrate.importer.records import import_records
from dbopsd.migrate.importer.snapshot.sqlite_copy import open_immutable
from dbopsd.operations.kind import Run
from dbopsd.security.roots import resolve_inside

UNIT_BYTES = "By"
UNIT_ROWS = "{row}"


def source_path(run: Run, request: ImportRequest) -> Path:
    """The file, if the configuration allows it. Raises `PathOutsideRoots`."""
    return resolve_inside(request.source, run.database.config.import_roots)


async def ensure_snapshot(run: Run, pool: Processes, request: ImportRequest) -> SnapshotTaken:
    """The operation's own copy of the file: the same one in every attempt.

    Raises `PathOutsideRoots`, `SnapshotLost` and what `take_snapshot` does, as a `TaskFailed`.
    """
    source = await asyncio.to_thread(source_path, run, request)

    async def take() -> SnapshotTaken:
        size = await asyncio.to_thread(_size, source)
        copied = 0

        def on_progress(units: int) -> None:
            nonlocal copied
            copied += units
            run.progress("snapshot", copied, max(size, copied), UNIT_BYTES)

        run.progress("snapshot", 0, size, UNIT_BYTES)
        task = TakeSnapshot(str(source), str(run.scratch), request.integrity)
        starting = asyncio.create_task(pool.prestart(size))
        try:
            return await pool.run_task(task, SnapshotTaken, on_progress)
        finally:
            await starting

    taken = await run.step("snapshot", take, returns=SnapshotTaken)
    if not await asyncio.to_thread(Path(taken.path).exists):
        raise SnapshotLost(request.source)
    pool.shrink_for(taken.size_bytes)
    return taken


async def prepare_plan(
    run: Run, pool: Processes, request: ImportRequest, taken: SnapshotTaken, session: Session
) -> Plan:
    """Inspect, profile, plan, rehearse and check: the plan that can be carried out and published.

    Raises `InvalidMapping`, `SourceTableNotFound`, `NameTaken`, `TableInUse`, `TablesIncompatible`.
    """
    run.progress("inspect")
    mapping = read_mapping(request.mapping)
    schema = await asyncio.to_thread(_inspect, taken.path)
    chosen, _ = chosen_tables(schema, request, mapping)
    profiles = await _profile(run, pool, taken, chosen)
    run.progress("plan")
    plan = await asyncio.to_thread(_plan, taken.path, schema, profiles, request, mapping)
    plan = await rehearse(session, import_records.rehearsal_schema(run.operation), plan)
    plan = await publication.check(session, request, plan)
    return replace(plan, notes=(*plan.notes, *ambiguous_time_notes(plan)))


def _size(source: Path) -> int:
    return source.stat().st_size if source.is_file() else 0


def _inspect(path: str) -> SourceSchema:
    with closing(open_immutable(Path(path))) as connection:
        return inspect_schema(connection)


def _plan(
    path: str,
    schema: SourceSchema,
    profiles: dict[str, TableProfile],
    request: ImportRequest,
    mapping: Mapping,
) -> Plan:
    made = build_plan(schema, profiles, request, mapping)
    with closing(open_immutable(Path(path))) as connection:
        return count_rows(connection, made)


async def _profile(
    run: Run, pool: Processes, taken: SnapshotTaken, tables: list[SourceTable]
) -> dict[str, TableProfile]:
    """What is in each of the tables; large ones are looked at by several processes."""
    done = 0

    def on_progress(rows: int) -> None:
        nonlocal done
        done += rows
        run.progress("profile", done, 0, UNIT_ROWS)

    run.progress("profile", 0, 0, UNIT_ROWS)

    async def one(table: SourceTable) -> TableProfile:
        ranges = await asyncio.to_thread(_ranges, taken.path, table, pool.count)
        tasks = [ProfileTable(taken.path, table, each) for each in ranges]
        return merge_profiles(
            await gather_or_cancel(pool.run_task(task, TableProfile, on_progress) for task in tasks)
        )

    found = await gather_or_cancel(map(one, tables))
    return {table.name: profile for table, profile in zip(tables, found, strict=True)}


def _ranges(path: str, table: SourceTable, processes: int) -> list[tuple[int, int] | None]:
    with closing(open_immutable(Path(path))) as connection:
        return rowid_ranges(connection, table, processes)
