"""Restore a backup into a scratch server and check it: the work of the kind `drill-backup`."""

import asyncio
import random
import shutil
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter

from dbopsd.backup.catalog.notes import NoteKind, write_note
from dbopsd.backup.drill.drill import Drill
from dbopsd.backup.drill.moment import find_backup, random_moment, recovery_point_s
from dbopsd.backup.drill.statements import split_statements
from dbopsd.backup.leases import end_leases, hold_lease, utc_now
from dbopsd.backup.model.reports import DrillCheck, DrillReport
from dbopsd.backup.model.requests import DrillBackupRequest, RecoveryTarget
from dbopsd.backup.repository import Repository, repository_of
from dbopsd.backup.restore.cluster import own_directory
from dbopsd.backup.restore.directory import RestoreDirectory
from dbopsd.backup.restore.plan import Plan, plan_restore
from dbopsd.backup.restore.windows import list_windows
from dbopsd.backup.scratch_room import require_room
from dbopsd.db.server.leftovers import end_leftovers
from dbopsd.operations.kind import Run

FOLDER: Final = "drills"
"""The folder in a worker's state directory that is this kind's."""

_ORDER: Final = ("start", "reached", "checksums", "amcheck", "rows")
_REPORTS: Final = TypeAdapter(DrillReport)
# What a chain takes beside itself while it is combined, and room for what recovery writes.
_COMBINED_FACTOR: Final = 2.0
_SPARE_BYTES: Final = 256 * 2**20


async def drill_backup(run: Run, request: DrillBackupRequest) -> DrillReport:
    """Restore to a moment, check the restored server, and say what was found.

    A check that fails is no error: the report says so, and is kept beside the backup. What keeps a
    drill from being made is one: what `plan_restore` raises, `ScratchTooSmall`, `InvalidField` for
    SQL that is none, and what the store does.
    """
    statements = await asyncio.to_thread(split_statements, "check_sql", request.check_sql)
    directory = Path(await own_directory(run, FOLDER))
    await _remove(directory)  # what an earlier attempt left
    async with repository_of(run) as repository:
        windows = await list_windows(repository)
        lost_s = recovery_point_s(windows, utc_now())
        target = request.target
        if request.random:
            chosen = await find_backup(repository, request.backup_id)
            # Which moment it is matters to nobody who would guess it.
            target = random_moment(windows, chosen, random.Random())  # noqa: S311
        plan = await plan_restore(run, repository, target, backup_id=request.backup_id)
        await _require_room(directory.parent, plan)
        drill = Drill(run, repository, plan, directory, statements)
        async with hold_lease(
            repository.store,
            plan.layout,
            _holder(run),
            backups=[record.id for record in plan.chain],
            wal_from=plan.backup.start_lsn,
        ):
            await drill.make()
            report = _report(drill, target, lost_s, keep=request.keep)
            await _keep(repository, plan, report)
    run.progress("clean up")
    if request.keep:
        await asyncio.to_thread(RestoreDirectory(directory, run.operation).release)
    else:
        await _remove(directory)
    return report


async def clean_up(run: Run, _request: DrillBackupRequest) -> None:
    """End the server of a drill that failed or was cancelled, and remove what was restored."""
    await _remove(Path(await own_directory(run, FOLDER)))
    await end_leases(run, _holder(run))


def _holder(run: Run) -> str:
    """Who holds the drill's lease."""
    return f"drill-{run.operation}"


def _report(drill: Drill, target: RecoveryTarget, lost_s: float, *, keep: bool) -> DrillReport:
    checks = sorted(drill.checks, key=_place)
    return DrillReport(
        ok=bool(checks) and all(each.ok for each in checks),
        backup=drill.plan.name(drill.plan.backup.id),
        target=target,
        recovery_seconds=round(drill.recovery_s, 3),
        recovery_point_seconds=round(lost_s, 3),
        checks=tuple(checks),
        reached=drill.reached,
        directory=str(drill.directory) if keep else "",
    )


def _place(check: DrillCheck) -> int:
    """Where a check stands in the report: rows are counted first or last, as it comes."""
    return _ORDER.index(check.name) if check.name in _ORDER else len(_ORDER)


async def _keep(repository: Repository, plan: Plan, report: DrillReport) -> None:
    """Write the report beside the backup."""
    fields = {"ok": report.ok, "report": _REPORTS.dump_python(report, mode="json")}
    await write_note(repository.store, plan.layout, plan.backup.id, NoteKind.DRILLED, fields)


async def _require_room(directory: Path, plan: Plan) -> None:
    """Raise `ScratchTooSmall` unless what is restored fits on the disk."""
    size = sum(record.size_bytes for record in plan.chain)
    factor = _COMBINED_FACTOR if len(plan.chain) > 1 else 1.0
    needed = int(size * factor) + plan.wal_bytes + _SPARE_BYTES
    await require_room(directory, plan.backup.id, needed)


async def _remove(directory: Path) -> None:
    """End what works in the drill's directories, and remove them: its own begin with its id."""
    for path in await asyncio.to_thread(_own, directory):
        await end_leftovers(path)
        await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)


def _own(directory: Path) -> list[Path]:
    others = (f"{directory.name}-rows", f"{directory.name}.")
    return [
        each
        for each in directory.parent.glob(f"{directory.name}*")
        if each == directory or each.name.startswith(others)
    ]
