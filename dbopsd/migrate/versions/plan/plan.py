"""What an apply or a rollback runs, in its order; or why it runs nothing."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from dbopsd.config.migrations import DatabaseMigrationsConfig
from dbopsd.migrate.versions.model.errors import (
    MigrationFilesInvalid,
    SetRequired,
    VersionNotFound,
)
from dbopsd.migrate.versions.model.ledger_run import Direction, LedgerRun
from dbopsd.migrate.versions.model.migration import (
    ROLLBACK_WITHOUT_MIGRATION,
    MigrationProblem,
    Phase,
    State,
)
from dbopsd.migrate.versions.model.migration_file import Folder, MigrationFile, Script
from dbopsd.migrate.versions.model.requests import (
    ApplyMigrationsRequest,
    RollbackMigrationsRequest,
)
from dbopsd.migrate.versions.plan.description import shown_checksum
from dbopsd.migrate.versions.plan.errors import (
    MigrationChanged,
    MigrationInterrupted,
    MigrationMissing,
    MigrationOutOfOrder,
    MigrationRunning,
    RollbackBeyondBaseline,
    RollbackMissing,
)
from dbopsd.migrate.versions.plan.states import (
    APPLIED_STATES,
    WAITING_STATES,
    MigrationState,
    SetState,
    read_set,
)
from dbopsd.migrate.versions.plan.versions import find_version

_ROLL_BACK_ALL: Final = "to roll back all of them, give --count a number that is large enough"


@dataclass(frozen=True)
class PlannedRun:
    """A direction of a migration that is to be run."""

    file: MigrationFile
    script: Script
    direction: Direction
    interrupted: LedgerRun | None = None
    """The run in the same direction that was interrupted; None: it begins anew."""


def plan_apply(
    database: str,
    folders: Sequence[Folder],
    runs: Iterable[LedgerRun],
    live: Collection[int],
    request: ApplyMigrationsRequest,
    config: DatabaseMigrationsConfig,
) -> tuple[PlannedRun, ...]:
    """The migrations to apply, set after set; an interrupted one of a set first.

    Raises `MigrationFilesInvalid`, `MigrationChanged`, `MigrationMissing`, `MigrationInterrupted`,
    `MigrationRunning`, `MigrationOutOfOrder`, `VersionNotFound` and `SetRequired`.
    """
    if request.to and len(folders) > 1:
        raise SetRequired(database, ", ".join(folder.set for folder in folders))
    history = tuple(runs)
    out_of_order = request.out_of_order or config.out_of_order
    planned: list[PlannedRun] = []
    for folder in folders:
        state = read_set(folder, history, live)
        _refuse_rollback_alone(database, state)
        refuse_problems(database, folder.problems)
        _refuse_history(database, state)
        interrupted = _interrupted(database, state, Direction.UP)
        if not out_of_order:
            _refuse_out_of_order(database, state)
        planned += _apply_set(database, state, request, interrupted)
    return tuple(planned[: request.count] if request.count else planned)


def plan_rollback(
    database: str,
    folder: Folder,
    runs: Iterable[LedgerRun],
    live: Collection[int],
    request: RollbackMigrationsRequest,
) -> tuple[PlannedRun, ...]:
    """The migrations to roll back, the one that was applied last first; none: there are none.

    A migration whose file was changed since is rolled back with the rollback of now. Repeatable
    ones stay. Raises `VersionNotFound`, `RollbackMissing`, `RollbackBeyondBaseline`,
    `MigrationFilesInvalid`, `MigrationInterrupted` and `MigrationRunning`.
    """
    state = read_set(folder, runs, live)
    interrupted = _interrupted(database, state, Direction.DOWN)
    chosen = _chosen_rollbacks(database, state, request, interrupted)
    if interrupted is not None and interrupted not in chosen:
        raise _interruption(database, folder.set, interrupted)
    versions = {each.key for each in chosen}
    refuse_problems(
        database,
        [each for each in folder.problems if not each.version or each.version in versions],
    )
    for each in chosen:
        if each.brought is not None and each.brought.direction is Direction.BASELINE:
            raise RollbackBeyondBaseline(database, folder.set, each.version)
    return tuple(_down_runs(database, folder.set, chosen))


def refuse_problems(database: str, problems: Sequence[MigrationProblem]) -> None:
    """Raise `MigrationFilesInvalid` for the first that is blocking."""
    blocking = [each for each in problems if each.blocking]
    if blocking:
        raise MigrationFilesInvalid(database, blocking[0], len(blocking))


def count_pending(state: SetState, *, out_of_order: bool) -> int:
    """How many migrations of a set an apply would run, if nothing were in its way."""
    chosen = _of_phase([each for each in state.migrations if _is_waiting(each)], None)
    return sum(out_of_order or each.state is not State.OUT_OF_ORDER for each in chosen)


def _apply_set(
    database: str,
    state: SetState,
    request: ApplyMigrationsRequest,
    interrupted: MigrationState | None,
) -> Iterator[PlannedRun]:
    waiting = _up_to(database, state, request.to)
    chosen = _of_phase(waiting, request.phase)
    if interrupted is not None:
        if interrupted not in chosen:
            raise _interruption(database, state.folder.set, interrupted)
        chosen = [interrupted, *(each for each in chosen if each is not interrupted)]
    for each in chosen:
        if each.file is not None:
            yield PlannedRun(
                each.file,
                each.file.up,
                Direction.UP,
                each.last if each is interrupted else None,
            )


def _up_to(database: str, state: SetState, to: str) -> list[MigrationState]:
    """What waits to be applied up to a version. Repeatable ones wait for everything else."""
    waiting = [each for each in state.migrations if _is_waiting(each)]
    if not to:
        return waiting
    last = find_version(state.folder, to)
    if last is None:
        raise VersionNotFound(database, state.folder.set, to)
    order = {file.key: index for index, file in enumerate(state.folder.migrations)}
    return [each for each in waiting if order[each.key] <= order[last.key]]


def _of_phase(waiting: list[MigrationState], phase: Phase | None) -> list[MigrationState]:
    """Of what waits, what may run in a phase: nothing runs before a CONTRACT that precedes it."""
    contracts = [index for index, each in enumerate(waiting) if _is_contract(each)]
    if phase is Phase.CONTRACT:
        return waiting[: contracts[-1] + 1] if contracts else []
    if not contracts:
        return waiting
    first = contracts[0]
    versioned = [each for each in waiting[first:] if not each.repeatable]
    if all(_is_contract(each) for each in versioned):
        # Repeatable ones describe what the versions make, of which only the removals are left.
        repeatable = [
            each for each in waiting[first:] if each.repeatable and not _is_contract(each)
        ]
        return waiting[:first] + repeatable
    return waiting[:first]


def _is_waiting(state: MigrationState) -> bool:
    return state.state in WAITING_STATES or state.can_go_on(Direction.UP)


def _is_contract(state: MigrationState) -> bool:
    return state.file is not None and state.file.phase is Phase.CONTRACT


def _chosen_rollbacks(
    database: str,
    state: SetState,
    request: RollbackMigrationsRequest,
    interrupted: MigrationState | None,
) -> list[MigrationState]:
    """What is to be rolled back, the last one first; one that was interrupted in its place."""
    versioned = [each for each in state.migrations if not each.repeatable]
    first = 0
    if request.to:
        stays = find_version(state.folder, request.to)
        key = request.to if stays is None else stays.key
        keys = [each.key for each in versioned]
        if key not in keys:
            raise VersionNotFound(database, state.folder.set, request.to, _ROLL_BACK_ALL)
        first = keys.index(key) + 1
    applied = [
        each for each in versioned[first:] if each.state in APPLIED_STATES or each is interrupted
    ]
    newest_first = sorted(applied, key=lambda each: each.brought.id if each.brought else 0)[::-1]
    return newest_first if request.to else newest_first[: request.count or 1]


def _down_runs(database: str, set_: str, chosen: Sequence[MigrationState]) -> Iterator[PlannedRun]:
    lacking = [each.title for each in chosen if each.file is None or each.file.down is None]
    if lacking:
        raise RollbackMissing(database, set_, ", ".join(lacking))
    for each in chosen:
        if each.file is not None and each.file.down is not None:
            interrupted = each.last if each.state is State.INTERRUPTED else None
            yield PlannedRun(each.file, each.file.down, Direction.DOWN, interrupted)


def _refuse_rollback_alone(database: str, state: SetState) -> None:
    """Name the migration that is missing, where its rollback alone would be refused."""
    alone = {
        each.version: each.path
        for each in state.folder.problems
        if each.reason == ROLLBACK_WITHOUT_MIGRATION
    }
    for each in state.migrations:
        if each.state is State.MISSING and each.version in alone:
            rollback = alone[each.version]
            raise MigrationMissing(database, state.folder.set, each.version, each.title, rollback)


def _refuse_history(database: str, state: SetState) -> None:
    set_ = state.folder.set
    for each in state.migrations:
        if each.state is State.CHANGED and each.file and each.applied:
            raise MigrationChanged(
                database,
                set_,
                each.version,
                each.title,
                each.file.checksum,
                shown_checksum(each.applied),
            )
        if each.state is State.MISSING and not each.repeatable:
            raise MigrationMissing(database, set_, each.version, each.title)


def _refuse_out_of_order(database: str, state: SetState) -> None:
    late = state.too_late
    if late is not None:
        raise MigrationOutOfOrder(
            database, state.folder.set, late.version, late.title, state.newest_begun
        )


def _interrupted(database: str, state: SetState, direction: Direction) -> MigrationState | None:
    """The migration that was interrupted in a direction, and can be gone on with."""
    found = None
    for each in state.migrations:
        if each.state is State.RUNNING and each.last:
            raise MigrationRunning(
                database, state.folder.set, each.version, each.title, each.last.backend_pid
            )
        if each.state is not State.INTERRUPTED:
            continue
        if found is not None or not each.can_go_on(direction):
            raise _interruption(database, state.folder.set, each)
        found = each
    return found


def _interruption(database: str, set_: str, state: MigrationState) -> MigrationInterrupted:
    last, file = state.last, state.file
    done, statements = (last.statements_done, last.statements) if last else (0, 0)
    changed = (
        last is not None
        and file is not None
        and last.direction is Direction.UP
        and last.checksum != file.checksum
    )
    return MigrationInterrupted(
        database, set_, state.version, state.title, done, statements, changed
    )
