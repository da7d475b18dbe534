"""From a file to a plan: the snapshot, what is in it, and what becomes of that."""

import asyncio
from contextlib import closing
from pathlib import Path

from dbopsd.db.session import Session
from dbopsd.migrate.importer.errors import SnapshotLost
from dbopsd.migrate.importer.planning.decide import chosen_tables, count_rows, make_plan
from dbopsd.migrate.importer.planning.mapping import read_mapping
from dbopsd.migrate.importer.planning.plan import Plan
from dbopsd.migrate.importer.processes.pool import Processes
from dbopsd.migrate.importer.processes.tasks import ProfileTable, SnapshotTaken, TakeSnapshot
from dbopsd.migrate.importer.requests import ImportRequest
from dbopsd.migrate.importer.source.contents import TableProfile
from dbopsd.migrate.importer.source.inspect import inspect
from dbopsd.migrate.importer.source.profile import merge, rowid_ranges
from dbopsd.migrate.importer.source.schema import SourceSchema, SourceTable
from dbopsd.migrate.importer.source.snapshot_check import open_immutable
from dbopsd.migrate.importer.target.rehearsal import rehearse
from dbopsd.migrate.importer.together import together
from dbopsd.operations.kind import Run
from dbopsd.security.roots import resolve_inside

UNIT_BYTES = "By"
UNIT_ROWS = "{row}"


def source_path(run: Run, request: ImportRequest) -> Path:
    """The file, if the configuration allows it. Raises `PathOutsideRoots`."""
    return resolve_inside(request.source, run.database.config.import_roots)


async def snapshot(run: Run, pool: Processes, request: ImportRequest) -> SnapshotTaken:
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
        warming = asyncio.create_task(pool.warm(size))
        try:
            return await pool.do(task, SnapshotTaken, on_progress)
        finally:
            await warming

    taken = await run.step("snapshot", take, returns=SnapshotTaken)
    if not await asyncio.to_thread(Path(taken.path).exists):
        raise SnapshotLost(request.source)
    pool.suit(taken.size_bytes)
    return taken


async def plan(
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
        return inspect(connection)


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
        return merge(await together(pool.do(task, TableProfile, on_progress) for task in tasks))

    found = await together(map(one, tables))
    return {table.name: profile for table, profile in zip(tables, found, strict=True)}


def _ranges(path: str, table: SourceTable, processes: int) -> list[tuple[int, int] | None]:
    with closing(open_immutable(Path(path))) as connection:
        return rowid_ranges(connection, table, processes)
