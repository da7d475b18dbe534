"""Indexes of partitioned tables that a migration creates, and that are invalid when it is done."""

import asyncio
from collections.abc import Iterable

from dbopsd.migrate.versions.apply.errors import MigrationFailed
from dbopsd.migrate.versions.apply.index_builds import all_builds
from dbopsd.migrate.versions.apply.session_state import load
from dbopsd.migrate.versions.apply.statement_kinds import IndexBuild, Name, StatementKind
from dbopsd.migrate.versions.apply.work import Work
from dbopsd.migrate.versions.model.migration import MigrationProblem
from dbopsd.migrate.versions.plan.plan import PlannedRun


async def refuse_invalid_of_file(work: Work, planned: PlannedRun) -> None:
    """Raise `MigrationFailed` where the file, which has just run, left one."""
    if work.working.has_partitions:
        await refuse_invalid(
            work, planned, await asyncio.to_thread(all_builds, planned.script.text)
        )


async def refuse_invalid(work: Work, planned: PlannedRun, kinds: Iterable[StatementKind]) -> None:
    """Raise `MigrationFailed` where one of these statements left one.

    One of ON ONLY has none of its parts yet, and is invalid until they are attached.
    """
    if not work.working.has_partitions:
        return
    for build in kinds:
        if not isinstance(build, IndexBuild) or build.only or build.concurrently:
            continue
        parameters = {"table": str(build.table), "index": build.index}
        found = await work.session.fetch_one(load("invalid_partitioned_index"), parameters)
        if found is not None:
            raise _failed(work, planned, build, found)


def _failed(
    work: Work, planned: PlannedRun, build: IndexBuild, found: tuple[str, ...]
) -> MigrationFailed:
    schema, index, part_schema, part = found
    what_to_do = (
        f"index {Name(part_schema, part)} of a partition, which it takes for its part, is invalid: "
        "drop that with DROP INDEX CONCURRENTLY, and apply again"
        if part
        else "not all partitions have their part: attach them, or drop it"
    )
    problem = MigrationProblem(
        reason=MigrationFailed.reason,
        message=f"index {Name(schema, index)} of {build.table} is invalid, for {what_to_do}",
        set=planned.file.set,
        version=planned.file.version,
        path=planned.script.path,
    )
    return MigrationFailed(work.database, problem, 0, 0)
