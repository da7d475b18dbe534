"""What of another tool's history the ledger is to have, given what it has already."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from dbopsd.migrate.versions.adopt.errors import HistoryContradicts
from dbopsd.migrate.versions.adopt.history import History, Recorded
from dbopsd.migrate.versions.ledger.new_run import SHA256, NewRun
from dbopsd.migrate.versions.model.ledger_run import Direction, LedgerRun, Result
from dbopsd.migrate.versions.model.migration import Migration, State
from dbopsd.migrate.versions.model.migration_file import Folder, MigrationFile
from dbopsd.migrate.versions.model.reports import AdoptEntry, AdoptReport

_NO_FILE: Final = "the folder has no file for it"
_THEIRS: Final = {
    Result.DONE: "applied",
    Result.FAILED: "failed",
    Result.INTERRUPTED: "unfinished",
    Result.RUNNING: "unfinished",
}


@dataclass(frozen=True)
class Source:
    """Where a history comes from, and who takes it over."""

    database: str
    tool: str
    table: str
    operation: str
    requester: str

    @property
    def reason(self) -> str:
        """Why the ledger has what nobody ran, in one line."""
        return f"from {self.tool}, {self.table}, by {self.requester}"


@dataclass(frozen=True)
class Adoption:
    """What is to be recorded, in this order, and what is said of it."""

    runs: tuple[NewRun, ...]
    report: AdoptReport


def plan_adoption(
    history: History, folder: Folder, ledger_runs: Sequence[LedgerRun], source: Source
) -> Adoption:
    """What is new in a history. Raises `HistoryContradicts`."""
    known = _by_key(folder.set, ledger_runs)
    new = _new(history.recorded, known, folder.set, source)
    runs = tuple(_run(each, file, source) for each, file in new)
    adopted = [
        _migration(run, file)
        for run, (each, file) in zip(runs, new, strict=True)
        if each.result is Result.DONE and each.agrees is not False
    ]
    return Adoption(
        runs,
        AdoptReport(
            adopted=tuple(adopted),
            unknown=tuple(
                AdoptEntry(each.version, each.name, each.problem or _NO_FILE)
                for each in history.recorded
                if each.file is None
            ),
            mismatched=tuple(
                AdoptEntry(file.version, file.name, _mismatch(each, file))
                for each, file in new
                if each.result is Result.DONE and each.agrees is False
            ),
            failed=tuple(
                AdoptEntry(file.version, file.name, each.problem)
                for each, file in new
                if each.result is not Result.DONE
            ),
            source_table=source.table,
            notes=history.notes,
        ),
    )


def _by_key(set_: str, runs: Sequence[LedgerRun]) -> dict[str, list[LedgerRun]]:
    by_key: dict[str, list[LedgerRun]] = {}
    for run in runs:
        if run.set == set_:
            by_key.setdefault(run.key, []).append(run)
    return by_key


def _new(
    recorded: Sequence[Recorded], known: dict[str, list[LedgerRun]], set_: str, source: Source
) -> list[tuple[Recorded, MigrationFile]]:
    """What the ledger does not have yet, with its file."""
    new: dict[str, tuple[Recorded, MigrationFile]] = {}
    contradicted: list[tuple[str, str, str]] = []
    for each in recorded:
        if each.file is None:
            continue
        runs = known.get(each.file.key, [])
        if contradiction := _contradiction(each, runs):
            contradicted.append((each.file.key, _THEIRS[each.result], contradiction))
        elif _is_new(each, runs):
            new[each.file.key] = (each, each.file)
    if contradicted:
        raise HistoryContradicts(source.database, set_, *contradicted[0], len(contradicted))
    return list(new.values())


def _contradiction(recorded: Recorded, runs: Sequence[LedgerRun]) -> str:
    """What the ledger says instead by runs of its own; empty: nothing else.

    A run that failed left nothing, such as one that found the other tool's tables in its way. And
    what came after a row was taken over makes that row old, not wrong.
    """
    if not runs or any(run.direction is Direction.ADOPT for run in runs):
        return ""
    last = runs[-1]
    if last.result is Result.FAILED:
        return ""
    if last.result is not Result.DONE:
        return str(last.result.value)
    if last.direction.brings:
        return "" if recorded.result is Result.DONE else "applied"
    return "rolled back" if last.direction is Direction.DOWN else "resolved as not applied"


def _is_new(recorded: Recorded, runs: Sequence[LedgerRun]) -> bool:
    if not runs:
        return True
    last = runs[-1]
    if last.direction is Direction.ADOPT:
        # A file that was changed when it was taken over may have been restored since.
        restored = recorded.agrees is True and last.checksum_algorithm not in ("", SHA256)
        return restored or last.result is not recorded.result
    # Of its own runs without an adoption before them, only one that failed says nothing.
    was_adopted = any(run.direction is Direction.ADOPT for run in runs)
    return last.result is Result.FAILED and not was_adopted


def _run(recorded: Recorded, file: MigrationFile, source: Source) -> NewRun:
    done = recorded.result is Result.DONE
    statements = recorded.statements or file.up.statements
    started_at = recorded.started_at or datetime.now(UTC)
    run = replace(
        NewRun.of(
            file,
            Direction.ADOPT,
            operation=source.operation,
            who=recorded.who,
            reason=source.reason,
        ),
        result=recorded.result,
        started_at=started_at,
        finished_at=recorded.finished_at or started_at,
        statements=statements,
        statements_done=statements if done else recorded.statements_done,
        problem=recorded.problem,
    )
    if recorded.agrees:
        return run
    # Not the file's: that it was this text which was applied is not known, or not so.
    checksum, algorithm = "", ""
    if recorded.agrees is False:
        checksum, algorithm = recorded.checksum, recorded.checksum_algorithm
    return replace(run, checksum=checksum, checksum_algorithm=algorithm, normalised_checksum="")


def _migration(run: NewRun, file: MigrationFile) -> Migration:
    duration_s = None
    if run.started_at and run.finished_at and run.finished_at > run.started_at:
        duration_s = (run.finished_at - run.started_at).total_seconds()
    return Migration(
        set=file.set,
        version=file.version,
        name=file.name,
        state=State.ADOPTED,
        checksum=file.checksum,
        applied_checksum=run.checksum,
        transactional=file.up.transactional,
        phase=file.phase,
        repeatable=file.repeatable,
        has_rollback=file.down is not None,
        path=file.up.path,
        apply_time=run.finished_at,
        duration_s=duration_s,
        applied_by=run.who,
        operation=f"operations/{run.operation}",
        statements_done=run.statements_done,
        statements=run.statements,
    )


def _mismatch(recorded: Recorded, file: MigrationFile) -> str:
    return (
        f"{file.up.path} is not the file that was applied: its {recorded.checksum_algorithm} was "
        f"{recorded.checksum}"
    )
