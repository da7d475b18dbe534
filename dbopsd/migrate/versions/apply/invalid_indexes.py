"""Invalid indexes that a failed CONCURRENTLY leaves: they are written to, and serve nobody.

The next CREATE INDEX of that name fails for them, and IF NOT EXISTS takes them for the index.
"""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from dbopsd.db.session import Session
from dbopsd.migrate.versions.apply.attempts import LockNotAcquired
from dbopsd.migrate.versions.apply.errors import MigrationFailed
from dbopsd.migrate.versions.apply.index_builds import may_have_skipping_builds, skipping_builds
from dbopsd.migrate.versions.apply.large_texts import off_the_loop
from dbopsd.migrate.versions.apply.lock_watch import LockWatch
from dbopsd.migrate.versions.apply.session_state import load
from dbopsd.migrate.versions.apply.statement_kinds import (
    IndexBuild,
    IndexRebuild,
    Name,
    StatementKind,
)
from dbopsd.migrate.versions.apply.work import Work, attempts_at, limits_of
from dbopsd.migrate.versions.model.migration import MigrationProblem
from dbopsd.migrate.versions.model.reports import Blocker
from dbopsd.migrate.versions.plan.plan import PlannedRun

_POLL_S: Final = 0.2
_BUILDS_IN_MODE: Final = "ShareUpdateExclusiveLock"


@dataclass(frozen=True, slots=True)
class TableIndex:
    """An index of a table, and a session that is building it; `pid` None: there is none."""

    schema: str
    name: str
    valid: bool
    unique: bool
    keys: int
    pid: int | None
    application: str
    role: str
    state: str
    age_s: float | None

    def may_be(self, build: IndexBuild) -> bool:
        """Whether the statement may have made it, where the server chose its name."""
        shape = (build.unique, build.keys)
        return not build.chooses_name or (self.unique, self.keys) == shape

    def builder(self, build: IndexBuild) -> Blocker | None:
        if self.pid is None:
            return None
        return Blocker(
            self.pid,
            self.application,
            self.role,
            self.state,
            self.age_s,
            relation=str(build.table),
            mode=_BUILDS_IN_MODE,
        )


async def drop_skipped(work: Work, planned: PlannedRun) -> tuple[IndexBuild, ...]:
    """Drop invalid indexes that a file in a transaction would take for those that it creates.

    Returns what creates them, for `refuse_invalid_of` once the file has run.
    """
    text = planned.script.text
    if not await off_the_loop(text, lambda: may_have_skipping_builds(text)):
        return ()
    builds = await asyncio.to_thread(skipping_builds, text)
    async with work.working.looking_up():
        for build in builds:
            await drop_invalid(work, planned, build)
    return builds


async def refuse_invalid_of(
    work: Work, planned: PlannedRun, kinds: Iterable[StatementKind]
) -> None:
    """Raise `MigrationFailed` where one of these statements left an invalid index."""
    for kind in kinds:
        invalid = await _invalid(work.session, kind)
        if invalid:
            file = planned.file
            names = ", ".join(map(str, invalid))
            problem = MigrationProblem(
                reason=MigrationFailed.reason,
                message=f"index {names} is invalid: drop it with DROP INDEX CONCURRENTLY",
                set=file.set,
                version=file.version,
                path=planned.script.path,
            )
            raise MigrationFailed(work.database, problem, 0, 0)


async def drop_invalid(work: Work, planned: PlannedRun, kind: StatementKind) -> None:
    """Drop, without stopping anybody, what an earlier run of the statement left.

    Raises `LockNotAcquired`, and `ScriptFailed`.
    """
    if isinstance(kind, IndexBuild):
        await _wait_for_builders(work, planned, kind)
    for name in await _invalid(work.session, kind):
        await _drop(work, planned, name)


async def find_indexes(session: Session, build: IndexBuild) -> list[TableIndex]:
    """The index, a row for each session that is building it.

    Where the server chooses the name: all that were made since, and may be it.
    """
    if build.chooses_name and build.known is None:
        return []
    parameters = {
        "table": str(build.table),
        "index": build.index,
        "known": list(build.known or ()),
    }
    found = await session.fetch_all_as(TableIndex, load("index_of_table"), parameters)
    return [each for each in found if each.may_be(build)]


async def _invalid(session: Session, kind: StatementKind) -> list[Name]:
    if isinstance(kind, IndexRebuild):
        parameters = {"kind": kind.kind, "name": str(kind.name) if kind.name else None}
        rows = await session.fetch_all(load("rebuild_leftovers"), parameters)
        return [Name(schema, name) for schema, name in rows]
    if isinstance(kind, IndexBuild):
        found = await find_indexes(session, kind)
        names = (Name(each.schema, each.name) for each in found if not each.valid)
        return list(dict.fromkeys(names))
    return []


async def _wait_for_builders(work: Work, planned: PlannedRun, build: IndexBuild) -> None:
    """Wait until nobody else is building the index, which is invalid until it is done."""
    wait_s = limits_of(work, planned).wait_s
    began_s = time.monotonic()
    while builders := await _builders(work.session, build):
        waited_s = time.monotonic() - began_s
        if waited_s >= wait_s:
            cause = f"index {build.index or 'of ' + str(build.table)} is being built"
            raise LockNotAcquired(work.database, planned.script.path, 1, waited_s, cause, builders)
        if work.on_wait is not None:
            work.on_wait(1, waited_s, builders)
        await asyncio.sleep(min(_POLL_S, wait_s))


async def _builders(session: Session, build: IndexBuild) -> tuple[Blocker, ...]:
    found = [each.builder(build) for each in await find_indexes(session, build) if not each.valid]
    return tuple(each for each in found if each is not None)


async def _drop(work: Work, planned: PlannedRun, name: Name) -> None:
    statement = load("drop_index").with_identifiers(index=name.parts)

    async def attempt(watch: LockWatch) -> None:
        async with work.working.without_lock_timeout(), watch:
            await work.session.execute_script(statement)

    await attempts_at(work, planned, limits_of(work, planned).concurrently).run(attempt)
