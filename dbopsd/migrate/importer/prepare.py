"""From a file to a plan: the snapshot, what is in it, and what becomes of that."""

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
from dbopsd.migrate.importer.plan import existing_tables
from dbopsd.migrate.importer.plan.mapping import read_mapping
from dbopsd.migrate.importer.plan.plan_builder import chosen_tables, count_rows, make_plan
from dbopsd.migrate.importer.plan.time_units import ambiguous_time_notes
from dbopsd.migrate.importer.processes.concurrent_work import gather_or_cancel
from dbopsd.migrate.importer.processes.pool import Processes
from dbopsd.migrate.importer.processes.tasks import ProfileTable, SnapshotTaken, TakeSnapshot
from dbopsd.migrate.importer.profile.profile_table import merge_profiles, rowid_ranges
from dbopsd.migrate.importer.publish import merge, publication, swap
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


async def plan_file(
    run: Run, pool: Processes, request: ImportRequest, taken: SnapshotTaken, session: Session
) -> Plan:
    """What becomes of the file, as PostgreSQL agrees to it.

    Raises `InvalidMapping`, `SourceTableNotFound`.
    """
    mapping = read_mapping(request.mapping)
    run.progress("inspect")
    schema = await asyncio.to_thread(_inspect, taken.path)
    chosen, _ = chosen_tables(schema, request, mapping)
    profiles = await _profiles(run, pool, taken, chosen)
    run.progress("plan")
    made = await asyncio.to_thread(_decide, taken.path, schema, profiles, request, request.mapping)
    return await rehearse(session, f"dbops_try_{run.operation.replace('-', '_')[-20:]}", made)


def _size(source: Path) -> int:
    return source.stat().st_size if source.is_file() else 0


def _inspect(path: str) -> SourceSchema:
    with closing(open_immutable(Path(path))) as connection:
        return inspect_schema(connection)


def _decide(
    path: str,
    schema: SourceSchema,
    profiles: dict[str, TableProfile],
    request: ImportRequest,
    mapping: str,
) -> Plan:
    made = make_plan(schema, profiles, request, read_mapping(mapping))
    with closing(open_immutable(Path(path))) as connection:
        return count_rows(connection, made)


async def _profiles(
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


async def prepare_plan(
    run: Run, pool: Processes, request: ImportRequest, taken: SnapshotTaken, session: Session
) -> Plan:
    """The plan, once it is certain that its tables can get to their places.

    Raises what `plan_file` does, `NameTaken`, `TableInUse`, `TablesIncompatible`.
    """
    made = await plan_file(run, pool, request, taken, session)
    if publication.swaps(request):
        views = [each.target for each in made.objects if each.kind == "view" and each.ddl]
        await swap.check(session, request.schema, made, views)
    else:
        made = await existing_tables.fit_plan(session, request, made)
        await merge.check(session, request, made)
    return replace(made, notes=(*made.notes, *ambiguous_time_notes(made)))
