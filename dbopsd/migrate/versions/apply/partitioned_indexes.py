"""Indexes of partitioned tables that a migration creates, and that are invalid when it is done."""

import asyncio
import re
from collections.abc import Iterable
from typing import Final

from dbopsd.migrate.versions.apply.errors import MigrationFailed
from dbopsd.migrate.versions.apply.index_builds import all_builds, may_have_builds
from dbopsd.migrate.versions.apply.large_texts import find_end, off_the_loop
from dbopsd.migrate.versions.apply.session_state import load
from dbopsd.migrate.versions.apply.statement_kinds import IndexBuild, Name, StatementKind
from dbopsd.migrate.versions.apply.work import Work
from dbopsd.migrate.versions.model.migration import MigrationProblem
from dbopsd.migrate.versions.plan.plan import PlannedRun

_LONGEST_WORD: Final = 10
_PARTITION: Final = re.compile(r"\bPARTITION\b", re.IGNORECASE)


async def partitioned_builds(work: Work, planned: PlannedRun) -> tuple[IndexBuild, ...]:
    """What builds indexes in a file, if its tables may be partitioned once it has run.

    It is for before the file holds its locks: a text of many megabytes takes seconds.
    """
    text = planned.script.text
    if not await off_the_loop(text, lambda: may_have_builds(text)):
        return ()
    if not await off_the_loop(text, lambda: _may_partition(text)):
        found = await work.session.fetch_one(load("has_partitioned_tables"))
        if found != (True,):
            return ()
    return await asyncio.to_thread(all_builds, text)


async def refuse_invalid(
    work: Work,
    planned: PlannedRun,
    kinds: Iterable[StatementKind],
    *,
    made_in_transaction: bool = False,
) -> None:
    """Raise `MigrationFailed` where one of these statements, which have run, left one.

    One of ON ONLY has none of its parts yet, and is invalid until they are attached.
    `made_in_transaction`: all of them ran in the transaction that is open.
    """
    for build in kinds:
        if not isinstance(build, IndexBuild) or build.only or build.concurrently:
            continue
        parameters = {
            "table": str(build.table),
            "index": build.index,
            "unique": build.unique,
            "keys": build.keys,
            "made_in_transaction": made_in_transaction,
        }
        found = await work.session.fetch_one(load("invalid_partitioned_index"), parameters)
        if found is not None:
            raise _failed(work, planned, build, found)


def _may_partition(text: str) -> bool:
    """Whether the text may make a partitioned table."""
    return find_end(_PARTITION, text, longest=_LONGEST_WORD) is not None


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
