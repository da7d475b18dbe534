"""The work of `RollbackMigrations`."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final

from dbopsd.db.database import Database
from dbopsd.db.session import Session
from dbopsd.errors import DbopsError
from dbopsd.migrate.versions.apply.execution import Admission, Execution, Planner
from dbopsd.migrate.versions.check.check_files import check_files, refuse
from dbopsd.migrate.versions.folder.large_folders import read_any_folder
from dbopsd.migrate.versions.folder.sets import single_set
from dbopsd.migrate.versions.model.errors import BackupBeforeFailed
from dbopsd.migrate.versions.model.ledger_run import Direction, LedgerRun
from dbopsd.migrate.versions.model.migration_file import Folder
from dbopsd.migrate.versions.model.reports import MigrationReport
from dbopsd.migrate.versions.model.requests import RollbackMigrationsRequest
from dbopsd.migrate.versions.plan.plan import PlannedRun, plan_rollback
from dbopsd.operations.kind import Run

TakeBackup = Callable[[Run, str, float], Awaitable[str]]
"""Takes a backup of a kind of `backup_before`, and returns its name. Waits for so many seconds for
others that exclude it."""

_NOTES: Final = {"schema": ("the backup before it is of the schema alone: it has no rows",)}


async def rollback_migrations(
    run: Run, request: RollbackMigrationsRequest, take_backup: TakeBackup
) -> MigrationReport:
    """Roll back the newest migrations, or those after a version.

    Every rollback is checked before the first one begins, and before the backup is taken that the
    configuration asks for. Raises `FailedWithResult` with the report once there is a plan.
    """
    database, config = run.database, run.database.config.migrations
    chosen = single_set(database.name, database.config, request.set)
    folder = await read_any_folder(run, chosen, config)

    async def admit(planned: Sequence[PlannedRun], session: Session) -> Admission:
        checked = await check_files(run, planned, session)
        refuse(database.name, checked)
        backup, notes = "", checked.notes
        if config.backup_before != "none" and not request.validate_only:
            wait_s = config.lock_wait_s if request.lock_wait_s is None else request.lock_wait_s
            backup = await _backup_once(run, take_backup, wait_s)
            notes = (*notes, *_NOTES.get(config.backup_before, ()))
        return Admission(backup=backup, notes=notes)

    execution = Execution(
        run, Direction.DOWN, plan_of(database, folder, request), admit, request.lock_wait_s
    )
    return await (execution.try_out() if request.validate_only else execution.execute())


async def _backup_once(run: Run, take_backup: TakeBackup, wait_s: float) -> str:
    """The name of the backup that this operation takes. Raises `BackupBeforeFailed`.

    Once: an attempt that comes after this one would take the backup of half a rollback.
    """
    kind = run.database.config.migrations.backup_before
    run.progress(f"backup before the rollback ({kind})")

    async def take() -> str:
        try:
            return await take_backup(run, kind, wait_s)
        except DbopsError as error:
            raise BackupBeforeFailed(error) from error

    return await run.step("backup", take, returns=str)


def plan_of(database: Database, folder: Folder, request: RollbackMigrationsRequest) -> Planner:
    """Plans what a request leaves to do."""

    def plan(runs: list[LedgerRun], live: frozenset[int], done: int) -> tuple[PlannedRun, ...]:
        left = request
        if not request.to:
            count = (request.count or 1) - done
            if count <= 0:
                return ()
            left = replace(request, count=count)
        return plan_rollback(database.name, folder, runs, live, left)

    return plan
