"""The work of `ApplyMigrations`."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from dbopsd.db.database import Database
from dbopsd.db.session import Session
from dbopsd.migrate.versions.adopt.applied_elsewhere import refuse_applied_elsewhere
from dbopsd.migrate.versions.apply.execution import Admission, Execution, Planner
from dbopsd.migrate.versions.check.check_files import blocking, check_files, refuse
from dbopsd.migrate.versions.check.contract_phase import refuse_old_sessions
from dbopsd.migrate.versions.folder.large_folders import read_any_folder
from dbopsd.migrate.versions.folder.layout import LEFT_OUT
from dbopsd.migrate.versions.folder.sets import chosen_sets
from dbopsd.migrate.versions.ledger.ledger import Ledger
from dbopsd.migrate.versions.model.ledger_run import Direction, LedgerRun
from dbopsd.migrate.versions.model.migration import Phase
from dbopsd.migrate.versions.model.migration_file import Folder, MigrationFile
from dbopsd.migrate.versions.model.reports import MigrationReport
from dbopsd.migrate.versions.model.requests import ApplyMigrationsRequest
from dbopsd.migrate.versions.plan.plan import PlannedRun, plan_apply
from dbopsd.migrate.versions.plan.states import APPLIED_STATES, read_set
from dbopsd.migrate.versions.plan.unconfigured_sets import refuse_to_run_again
from dbopsd.operations.kind import Run

# The list has all of them.
_MOST_LEFT_OUT: Final = 5


async def apply_migrations(run: Run, request: ApplyMigrationsRequest) -> MigrationReport:
    """Apply what is pending. Raises `FailedWithResult` with the report once there is a plan.

    What stops it before anything is changed is its own error: files, the ledger, findings.
    """
    database, config = run.database, run.database.config.migrations
    folders = [
        await read_any_folder(run, each, config)
        for each in chosen_sets(database.name, database.config, request.set)
    ]

    async def admit(planned: Sequence[PlannedRun], session: Session) -> Admission:
        checked = await check_files(run, planned, session)
        refuse(database.name, checked, request.override_findings)
        if not request.override_findings:
            await _refuse_to_run_again(database, folders, planned, session)
        if any(each.file.phase is Phase.CONTRACT for each in planned):
            await refuse_old_sessions(session, database.name, config.old_applications)
        overridden = request.override_findings if blocking(checked.findings) else ""
        return Admission(reason=overridden, notes=checked.notes)

    planned_for = plan_of(database, folders, request)
    waiting: list[MigrationFile] = []

    def plan(runs: list[LedgerRun], live: frozenset[int], done: int) -> tuple[PlannedRun, ...]:
        waiting[:] = _waiting_contracts(folders, runs, live, request)
        return planned_for(runs, live, done)

    execution = Execution(run, Direction.UP, plan, admit, request.lock_wait_s)
    report = await (execution.try_out() if request.validate_only else execution.execute())
    return replace(report, notes=(*report.notes, *_left_out(folders), *_said_of(waiting)))


async def _refuse_to_run_again(
    database: Database,
    folders: Sequence[Folder],
    planned: Sequence[PlannedRun],
    session: Session,
) -> None:
    """Raise for what another tool has applied, or this one under another name of the set."""
    files = [each.file for each in planned]
    if runs := await Ledger.of(database).read(session):
        configured = [each.set for each in database.config.migrations_dir]
        refuse_to_run_again(database.name, files, runs, configured)
    else:
        await refuse_applied_elsewhere(session, database.name, folders, files)


def plan_of(
    database: Database, folders: Sequence[Folder], request: ApplyMigrationsRequest
) -> Planner:
    """Plans what a request leaves to do."""

    def plan(runs: list[LedgerRun], live: frozenset[int], done: int) -> tuple[PlannedRun, ...]:
        if request.count and done >= request.count:
            return ()
        left = replace(request, count=request.count - done) if request.count else request
        return plan_apply(database.name, folders, runs, live, left, database.config.migrations)

    return plan


def _waiting_contracts(
    folders: Sequence[Folder],
    runs: list[LedgerRun],
    live: frozenset[int],
    request: ApplyMigrationsRequest,
) -> list[MigrationFile]:
    """The migrations of the phase contract that an apply of everything else leaves."""
    if request.phase is Phase.CONTRACT or request.to or request.count:
        return []
    return [
        each.file
        for folder in folders
        for each in read_set(folder, runs, live).migrations
        if each.file is not None
        and each.file.phase is Phase.CONTRACT
        and each.state not in APPLIED_STATES
    ]


def _left_out(folders: Sequence[Folder]) -> list[str]:
    """What somebody may have meant to be applied, and no layout's tool would run."""
    found = [
        f"{each.path}: {each.message}"
        for folder in folders
        for each in folder.problems
        if each.reason == LEFT_OUT
    ]
    more = len(found) - _MOST_LEFT_OUT
    return [*found[:_MOST_LEFT_OUT], *([f"{more} more files are left out"] if more > 0 else [])]


def _said_of(waiting: Sequence[MigrationFile]) -> list[str]:
    if not waiting:
        return []
    more = f", and {len(waiting) - 1} more of that phase" if len(waiting) > 1 else ""
    return [f"{waiting[0].up.path} waits until contract is the phase that is asked for{more}"]
