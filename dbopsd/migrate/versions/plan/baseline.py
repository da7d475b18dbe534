"""What is recorded where a database has the schema of migrations without a history."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from dbopsd.errors import DbopsError, StatusCode
from dbopsd.migrate.versions.ledger.new_run import NewRun
from dbopsd.migrate.versions.model.errors import VersionNotFound
from dbopsd.migrate.versions.model.ledger_run import Direction
from dbopsd.migrate.versions.model.migration import State
from dbopsd.migrate.versions.plan.states import APPLIED_STATES, SetState
from dbopsd.migrate.versions.plan.versions import find_version

_HISTORY: Final = APPLIED_STATES | {State.INTERRUPTED, State.RUNNING}


@dataclass(eq=False)
class HistoryExists(DbopsError):
    """The ledger has migrations of the set already."""

    reason: ClassVar[str] = "HISTORY_EXISTS"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    database: str
    set: str
    version: str
    state: str

    @property
    def message(self) -> str:
        return (
            f"set '{self.set}' of database '{self.database}' has a history already: migration "
            f"{self.version} is {self.state}; a baseline is for a database without one: take a "
            "mistaken one back first, with `dbops migrate resolve … --not-applied --reason …`"
        )


def baseline_runs(
    database: str, state: SetState, to: str, *, operation: str, who: str, reason: str
) -> list[NewRun]:
    """The versioned migrations up to one, as they are to be recorded. Raises `VersionNotFound`."""
    last = find_version(state.folder, to)
    if last is None:
        raise VersionNotFound(database, state.folder.set, to)
    return [
        NewRun.of(file, Direction.BASELINE, operation=operation, who=who, reason=reason)
        for file in state.folder.migrations
        if not file.repeatable and file.order <= last.order
    ]


def is_recorded(database: str, state: SetState, runs: Sequence[NewRun]) -> bool:
    """Whether the ledger has exactly this baseline. Raises `HistoryExists` if it has another."""
    history = [each for each in state.migrations if each.state in _HISTORY and not each.repeatable]
    if not history:
        return False
    # BASELINED: its file is still that of then.
    baseline = [each.key for each in history if each.state is State.BASELINED]
    if baseline == [run.key for run in runs]:
        return True
    newest = history[-1]
    raise HistoryExists(database, state.folder.set, newest.version, newest.state.value)


def with_digest(runs: Sequence[NewRun], digest: str) -> list[NewRun]:
    """Runs after the last of which the schema has that fingerprint."""
    return [*runs[:-1], dataclasses.replace(runs[-1], fingerprint=digest)]
