"""Histories of sets that are no longer configured, as after a set got another name."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from dbopsd.errors import DbopsError, StatusCode
from dbopsd.migrate.versions.ledger.new_run import normalised_checksum
from dbopsd.migrate.versions.model.ledger_run import LedgerRun, Result
from dbopsd.migrate.versions.model.migration import MigrationProblem
from dbopsd.migrate.versions.model.migration_file import MigrationFile


@dataclass(eq=False)
class SetHistoryUnconfigured(DbopsError):
    """What would be applied is applied already, by the ledger of a set that is not configured."""

    reason: ClassVar[str] = "SET_HISTORY_UNCONFIGURED"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    database: str
    set: str
    """What the files are in now."""
    ledger_set: str
    """What the ledger has them in."""
    path: str
    """The first of the files."""
    files: int

    @property
    def message(self) -> str:
        more = f" and {self.files - 1} more" if self.files > 1 else ""
        return (
            f"{self.path}{more} would run again: the ledger of database '{self.database}' has it "
            f"as applied in set '{self.ledger_set}', which is not configured, and nothing as "
            f"applied in set '{self.set}'. Call the set '{self.ledger_set}' in databases."
            f"{self.database}.migrations_dir, or run it in spite of that with "
            "--override-findings REASON (ADMIN)"
        )


def unconfigured_problems(
    runs: Iterable[LedgerRun], configured: Collection[str]
) -> list[MigrationProblem]:
    """A warning for each set with applied migrations that is not configured."""
    counts: dict[str, int] = {}
    for run in _applied(runs):
        if run.set not in configured:
            counts[run.set] = counts.get(run.set, 0) + 1
    return [
        MigrationProblem(
            SetHistoryUnconfigured.reason,
            f"the ledger has {count} applied migrations of set '{name}', which is not configured: "
            "if its folder is now that of another set, give that one the name again",
            set=name,
        )
        for name, count in sorted(counts.items())
    ]


def refuse_to_run_again(
    database: str,
    planned: Sequence[MigrationFile],
    runs: Iterable[LedgerRun],
    configured: Collection[str],
) -> None:
    """Raise `SetHistoryUnconfigured` for planned files that a set has which is not configured.

    A set of which anything is applied has a history of its own, which is what counts.
    """
    applied = _applied(runs)
    begun = {run.set for run in applied}
    by_key: dict[str, list[LedgerRun]] = {}
    for run in applied:
        if run.set not in configured:
            by_key.setdefault(run.key, []).append(run)
    again = [
        (file, run)
        for file in planned
        if file.set not in begun
        for run in by_key.get(file.key, ())
        if _is_of(run, file)
    ]
    if again:
        file, run = again[0]
        paths = {each.up.path for each, _ in again}
        raise SetHistoryUnconfigured(database, file.set, run.set, file.up.path, len(paths))


def _applied(runs: Iterable[LedgerRun]) -> list[LedgerRun]:
    """The run of each migration that is applied by which it is."""
    last = {(run.set, run.key): run for run in runs if run.result is Result.DONE}
    return [run for run in last.values() if run.direction.brings]


def _is_of(run: LedgerRun, file: MigrationFile) -> bool:
    if run.checksum == file.checksum:
        return True
    return run.normalised_checksum == normalised_checksum(file.content)
