"""The state of each migration of a set: what its folder has, joined with what the ledger has."""

from bisect import bisect
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from dbopsd.migrate.versions.folder.read_folder import version_order
from dbopsd.migrate.versions.ledger.new_run import checksum_of, normalised_checksum
from dbopsd.migrate.versions.model.ledger_run import Direction, LedgerRun, Result
from dbopsd.migrate.versions.model.migration import State
from dbopsd.migrate.versions.model.migration_file import Folder, MigrationFile

APPLIED_STATES: Final = frozenset(
    {State.APPLIED, State.CHANGED, State.MISSING, State.BASELINED, State.ADOPTED}
)
"""The states of migrations that the database has."""

WAITING_STATES: Final = frozenset({State.PENDING, State.FAILED, State.OUT_OF_ORDER})
"""The states of migrations that the database does not have, and can get."""

_NOT_APPLIED: Final = frozenset({Result.FAILED, Result.INTERRUPTED, Result.RUNNING})


@dataclass(frozen=True)
class MigrationState:
    """A migration with all that is known of it."""

    key: str
    state: State
    file: MigrationFile | None
    """None: the folder does not have it."""
    brought: LedgerRun | None
    """The run since which the database has it, and by which rollbacks go; None: it does not."""
    applied: LedgerRun | None
    """The run that says with which file it is applied: `brought`, or a later resolution."""
    last: LedgerRun | None
    """Its last run that left something or ended in failure; None: there is none."""
    line_endings: bool = False
    """Whether the file differs from the applied one in line ends or a byte order mark alone."""

    @property
    def title(self) -> str:
        """What people know it by: its file, or else its version."""
        if self.file is not None:
            return self.file.up.path
        run = self.last
        return self.key if run is None else f"{run.version or run.key} ({run.name})"

    @property
    def version(self) -> str:
        """Its version; the name of one that is repeatable."""
        return self.key.removeprefix("R:")

    @property
    def repeatable(self) -> bool:
        """Whether it runs again whenever its file changes."""
        return self.file.repeatable if self.file else self.key.startswith("R:")

    def can_go_on(self, direction: Direction) -> bool:
        """Whether it was interrupted in that direction, and what ran may be what the file has now.

        Of a file that was changed, whoever goes on compares the statements that are done.
        """
        if self.state is not State.INTERRUPTED or self.file is None or self.last is None:
            return False
        if direction is Direction.DOWN and self.file.down is None:
            return False
        if self.last.direction is not direction:
            return False
        same = self.last.checksum == checksum_of(self.file, direction)
        return same or (bool(self.last.done_digest) and not self.last.in_doubt)


@dataclass(frozen=True)
class SetState:
    """The migrations of a set in the order in which they apply.

    Those without a file stand where their version belongs.
    """

    folder: Folder
    migrations: tuple[MigrationState, ...]
    forgotten: tuple[MigrationState, ...] = ()
    """Those that are neither applied nor have a file any more."""

    @property
    def current_version(self) -> str:
        """The highest version that is applied, not the one that was applied last; empty: none."""
        applied = [each for each in self.migrations if _counts(each)]
        return applied[-1].version if applied else ""

    @property
    def too_late(self) -> MigrationState | None:
        """The first that is not applied although a higher version is, or is begun; None: none."""
        begun = [each for each in self.migrations if _counts(each) or _is_begun(each)]
        before = self.migrations[: self.migrations.index(begun[-1])] if begun else ()
        return next((each for each in before if each.state in WAITING_STATES), None)

    @property
    def newest_begun(self) -> str:
        """The highest version that is applied or begun; empty: none."""
        begun = [each for each in self.migrations if _counts(each) or _is_begun(each)]
        return begun[-1].version if begun else ""


def read_set(
    folder: Folder, runs: Iterable[LedgerRun], live: Collection[int] = frozenset()
) -> SetState:
    """The states of a folder's migrations.

    `runs`: those of the ledger, also of other sets, in the order of their ids. `live`: the ids of
    those that still run.
    """
    files = {file.key: file for file in folder.migrations}
    histories = _histories(folder, files, runs)
    states = [_state_of(key, file, histories.get(key, ()), live) for key, file in files.items()]
    lost = [
        _state_of(key, None, history, live)
        for key, history in histories.items()
        if key not in files
    ]
    forgotten = tuple(each for each in lost if each.state in WAITING_STATES)
    missing = [each for each in lost if each.state not in WAITING_STATES]
    migrations = _mark_out_of_order(_in_order(states, missing, folder))
    return SetState(folder, tuple(migrations), forgotten)


def _histories(
    folder: Folder, files: Mapping[str, MigrationFile], runs: Iterable[LedgerRun]
) -> dict[str, list[LedgerRun]]:
    """The runs of a folder's set by the keys of its files.

    Those of an equal version go together: a file may have been renamed from `1` to `001`.
    """
    keys_by_order = {file.order: file.key for file in folder.migrations}
    keys: dict[str, str] = {}
    histories: dict[str, list[LedgerRun]] = {}
    for run in runs:
        if run.set != folder.set:
            continue
        if run.key not in keys:
            keys[run.key] = run.key
            if run.key not in files and run.version:
                order = version_order(folder.layout, run.version)
                keys[run.key] = run.key if order is None else keys_by_order.get(order, run.key)
        histories.setdefault(keys[run.key], []).append(run)
    return histories


def _state_of(
    key: str, file: MigrationFile | None, history: Sequence[LedgerRun], live: Collection[int]
) -> MigrationState:
    brought, applied = _effect(history)
    last = history[-1] if history else None
    if last is not None and last.result in (Result.RUNNING, Result.INTERRUPTED):
        state = State.RUNNING if last.id in live else State.INTERRUPTED
        return MigrationState(key, state, file, brought, applied, last)
    is_gone = file is None and applied is not None
    if last is not None and _failed(last) and not is_gone:
        return MigrationState(key, State.FAILED, file, brought, applied, last)
    if brought is None or applied is None:
        return MigrationState(key, State.PENDING, file, None, None, last)
    if file is None:
        return MigrationState(key, State.MISSING, None, brought, applied, last)
    same, line_endings = _compare(file, applied)
    if not same:
        state = State.PENDING if file.repeatable else State.CHANGED
        return MigrationState(key, state, file, brought, applied, last)
    return MigrationState(
        key, _STATES[brought.direction], file, brought, applied, last, line_endings
    )


_STATES: Final = {
    Direction.UP: State.APPLIED,
    Direction.RESOLVE_APPLIED: State.APPLIED,
    Direction.BASELINE: State.BASELINED,
    Direction.ADOPT: State.ADOPTED,
}


def _effect(history: Sequence[LedgerRun]) -> tuple[LedgerRun | None, LedgerRun | None]:
    """The run since which the database has a migration, and the one that says with which file."""
    brought: LedgerRun | None = None
    applied: LedgerRun | None = None
    for run in history:
        if run.result in _NOT_APPLIED:
            continue
        applied = run if run.direction.brings else None
        if applied is None or brought is None or run.direction is Direction.UP:
            brought = applied
    return brought, applied


def _failed(run: LedgerRun) -> bool:
    """Whether a run left the migration not applied. A rollback that fails leaves what was there."""
    return run.result is Result.FAILED and run.direction is not Direction.DOWN


def _compare(file: MigrationFile, applied: LedgerRun) -> tuple[bool, bool]:
    """Whether a file is the applied one, and whether it only is but for its line ends."""
    if not applied.checksum_algorithm or applied.checksum == file.checksum:
        return True, False
    # Other tools' checksums are of something else, and have none of this kind.
    same = applied.normalised_checksum == normalised_checksum(file.content)
    return same, same


def _in_order(
    states: list[MigrationState], missing: list[MigrationState], folder: Folder
) -> list[MigrationState]:
    """All of them, those without a file before the file of the next version."""
    orders = [file.order for file in folder.migrations]
    first_repeatable = sum(not file.repeatable for file in folder.migrations)
    before: dict[int, list[MigrationState]] = {}
    for each in missing:
        order = None if each.repeatable else version_order(folder.layout, each.version)
        place = len(orders) if each.repeatable else first_repeatable
        place = place if order is None else bisect(orders, order)
        before.setdefault(place, []).append(each)
    ordered: list[MigrationState] = []
    for index, state in enumerate(states):
        ordered += [*before.get(index, ()), state]
    return ordered + before.get(len(states), [])


def _mark_out_of_order(states: list[MigrationState]) -> list[MigrationState]:
    newest = max((index for index, each in enumerate(states) if _counts(each)), default=-1)
    return [
        replace(each, state=State.OUT_OF_ORDER)
        if index < newest and each.state is State.PENDING
        else each
        for index, each in enumerate(states)
    ]


def _is_begun(state: MigrationState) -> bool:
    """Whether some of it may be there."""
    return state.state in (State.INTERRUPTED, State.RUNNING) and not state.repeatable


def _counts(state: MigrationState) -> bool:
    """Whether it counts for which version the database has."""
    return state.state in APPLIED_STATES and not state.repeatable
