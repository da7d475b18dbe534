"""What is recorded when somebody says what is so of a migration."""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar, Final

from dbopsd.errors import DbopsError, StatusCode
from dbopsd.migrate.versions.ledger.new_run import NewRun
from dbopsd.migrate.versions.model.errors import VersionNotFound
from dbopsd.migrate.versions.model.ledger_run import Direction
from dbopsd.migrate.versions.model.migration import State
from dbopsd.migrate.versions.model.requests import Resolution
from dbopsd.migrate.versions.plan.states import MigrationState, SetState
from dbopsd.migrate.versions.plan.versions import find_version

_DIRECTIONS: Final = {
    Resolution.APPLIED: Direction.RESOLVE_APPLIED,
    Resolution.NOT_APPLIED: Direction.RESOLVE_NOT_APPLIED,
}
_ALLOWED: Final = {
    State.INTERRUPTED: frozenset(Resolution),
    State.FAILED: frozenset(Resolution),
    # The database has what the file says now.
    State.CHANGED: frozenset({Resolution.APPLIED}),
    # Somebody applied it by hand.
    State.PENDING: frozenset({Resolution.APPLIED}),
    State.OUT_OF_ORDER: frozenset({Resolution.APPLIED}),
    # It was recorded by mistake, or is to be forgotten: nothing is run.
    State.BASELINED: frozenset({Resolution.NOT_APPLIED}),
    State.ADOPTED: frozenset({Resolution.NOT_APPLIED}),
    State.MISSING: frozenset({Resolution.NOT_APPLIED}),
}
_INSTEAD: Final = {
    State.CHANGED: "--applied is for one whose change the database has already",
    State.PENDING: "it is not applied",
    State.OUT_OF_ORDER: "it is not applied",
    State.RUNNING: "wait for its end",
    State.APPLIED: "to take it back, roll it back, or undo it by a new migration",
}


@dataclass(eq=False)
class NotResolvable(DbopsError):
    """What is so of the migration is known."""

    reason: ClassVar[str] = "NOT_RESOLVABLE"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    database: str
    set: str
    version: str
    state: str

    @property
    def message(self) -> str:
        instead = _INSTEAD.get(State(self.state), "--not-applied is for one that is not there")
        return (
            f"migration {self.version} of database '{self.database}' is {self.state}, which "
            f"cannot be resolved so: {instead}"
        )


def direction_of(resolution: Resolution) -> Direction:
    """As what the ledger has it."""
    return _DIRECTIONS[resolution]


def find_migration(database: str, state: SetState, version: str) -> MigrationState:
    """The migration of a version, also one without a file; a repeatable one by its name.

    Raises `VersionNotFound`.
    """
    file = find_version(state.folder, version)
    keys = (version if file is None else file.key, f"R:{version}")
    known = (*state.migrations, *state.forgotten)
    found = next((each for key in keys for each in known if each.key == key), None)
    if found is None:
        raise VersionNotFound(database, state.folder.set, version)
    return found


def resolve(
    database: str,
    set_: str,
    migration: MigrationState,
    resolution: Resolution,
    *,
    reason: str,
    who: str,
) -> NewRun | None:
    """What is to be recorded; None: the last run says the same already.

    Raises `NotResolvable` and `VersionNotFound`.
    """
    last, direction = migration.last, direction_of(resolution)
    if resolution not in _ALLOWED.get(migration.state, ()):
        if last is not None and last.direction is direction:
            return None
        raise NotResolvable(database, set_, migration.version, migration.state.value)
    known = migration.applied or last
    if migration.file is not None:
        run = NewRun.of(migration.file, direction)
    elif known is not None and migration.state is not State.PENDING:
        run = NewRun.like(known, direction)
    else:
        # Neither a file nor the database has it.
        raise VersionNotFound(database, set_, migration.version)
    return dataclasses.replace(
        run,
        statements=last.statements if last else 0,
        statements_done=last.statements_done if last else 0,
        reason=reason,
        who=who,
    )
