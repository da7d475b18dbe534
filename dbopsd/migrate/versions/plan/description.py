"""Migrations, and what is wrong with them, as callers see them."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Final

from dbopsd.migrate.versions.ledger.new_run import SHA256
from dbopsd.migrate.versions.model.ledger_run import Direction, LedgerRun, Result
from dbopsd.migrate.versions.model.migration import Migration, MigrationProblem, State
from dbopsd.migrate.versions.model.migration_file import Folder
from dbopsd.migrate.versions.plan.states import MigrationState, SetState, read_set

_PROBLEMS: Final[Mapping[State, tuple[str, bool]]] = {
    State.CHANGED: ("MIGRATION_CHANGED", True),
    State.MISSING: ("MIGRATION_MISSING", True),
    State.OUT_OF_ORDER: ("MIGRATION_OUT_OF_ORDER", True),
    State.INTERRUPTED: ("MIGRATION_INTERRUPTED", True),
    State.FAILED: ("MIGRATION_FAILED", False),
}
"""The reason of each state that somebody should look at, and whether it blocks an apply."""

_LINE_ENDINGS: Final = "it is the applied file but for line ends or a byte order mark: no change"
_RAN: Final = frozenset({Direction.UP, Direction.DOWN, Direction.ADOPT})


def migrations_of(
    folder: Folder, runs: Iterable[LedgerRun], live: Collection[int] = frozenset()
) -> tuple[Migration, ...]:
    """The migrations of a set as callers see them, in the order in which they apply."""
    return tuple(describe(each, folder.set) for each in read_set(folder, runs, live).migrations)


def describe(state: MigrationState, set_: str) -> Migration:
    """A migration as callers see it."""
    file, brought, shown = state.file, state.brought, _shown(state)
    return Migration(
        set=set_,
        version=_version_of(state),
        name=file.name if file else (shown.name if shown else ""),
        state=state.state,
        checksum=file.checksum if file else "",
        applied_checksum=shown_checksum(state.applied),
        transactional=file.up.transactional if file else False,
        phase=file.phase if file else None,
        repeatable=state.repeatable,
        has_rollback=file is not None and file.down is not None,
        path=file.up.path if file else "",
        apply_time=_apply_time(brought),
        duration_s=_duration_s(shown),
        applied_by=brought.who if brought else "",
        operation=f"operations/{shown.operation}" if shown and shown.operation else "",
        statements_done=shown.statements_done if shown else 0,
        statements=_statements(state, shown),
        problem=_problem(state),
    )


def problems_of(set_state: SetState, *, out_of_order: bool = False) -> list[MigrationProblem]:
    """What is wrong between a folder and the ledger, or worth a look.

    `out_of_order`: whether migrations that are older than applied ones are applied too.
    """
    found = []
    for each in set_state.migrations:
        reason, blocking = _PROBLEMS.get(each.state, ("", False))
        if each.state is State.MISSING and each.repeatable:
            blocking = False
        if each.state is State.OUT_OF_ORDER:
            blocking = not out_of_order
        if each.can_go_on(Direction.UP):
            # An apply looks what was done, and goes on if it can tell.
            blocking = False
        if each.line_endings:
            reason = "LINE_ENDINGS"
        if not reason and _is_kept(each):
            reason = "ROLLBACK_FAILED"
        if reason:
            found.append(
                MigrationProblem(
                    reason,
                    _problem(each) or _LINE_ENDINGS,
                    set=set_state.folder.set,
                    version=each.version,
                    path=each.file.up.path if each.file else "",
                    blocking=blocking,
                )
            )
    return found


def forgotten_problems(database: str, set_state: SetState) -> list[MigrationProblem]:
    """Which migrations the ledger, and so the alert, has as failed or interrupted, and no file.

    Those of a set that is not configured any more are the ones of an empty folder.
    """
    set_, directory = set_state.folder.set, set_state.folder.directory
    # With a folder, what was interrupted is listed.
    lost = set_state.forgotten if directory else (*set_state.migrations, *set_state.forgotten)
    where = "its file is gone" if directory else f"set '{set_}' is not configured any more"
    found = []
    for each in lost:
        reason, _ = _PROBLEMS.get(each.state, ("", False))
        if each.state not in (State.FAILED, State.INTERRUPTED):
            continue
        remedy = (
            f"`dbops migrate resolve {database} {each.version} --set {set_} --not-applied "
            "--reason …` has it forgotten"
        )
        message = f"{each.title} is {each.state.value}, and {where}: {remedy}; {_problem(each)}"
        found.append(MigrationProblem(reason, message, set=set_, version=each.version))
    return found


def _version_of(state: MigrationState) -> str:
    return "" if state.repeatable else state.key


def shown_checksum(applied: LedgerRun | None) -> str:
    """The checksum of an applied file; one that is no SHA-256 with its algorithm before it."""
    if applied is None:
        return ""
    if applied.checksum_algorithm in ("", SHA256):
        return applied.checksum
    return f"{applied.checksum_algorithm}:{applied.checksum}"


def _apply_time(applied: LedgerRun | None) -> datetime | None:
    return None if applied is None else applied.finished_at or applied.started_at


def _duration_s(run: LedgerRun | None) -> float | None:
    if run is None or run.finished_at is None or run.direction not in _RAN:
        return None
    if run.direction is Direction.ADOPT and run.finished_at == run.started_at:
        return None  # the other tool did not say
    # A clock that was set back must not make a duration negative.
    return max(0.0, (run.finished_at - run.started_at).total_seconds())


def _shown(state: MigrationState) -> LedgerRun | None:
    """Its last run that left something or failed to bring it."""
    return state.brought if _is_kept(state) else state.last


def _is_kept(state: MigrationState) -> bool:
    """Whether a rollback of it failed last, and left nothing."""
    last = state.last
    return (
        last is not None
        and state.brought is not None
        and (last.direction, last.result) == (Direction.DOWN, Result.FAILED)
    )


def _statements(state: MigrationState, shown: LedgerRun | None) -> int:
    """Of a run; else of its file."""
    if shown is not None and shown.statements:
        return shown.statements
    return state.file.up.statements if state.file else 0


def _problem(state: MigrationState) -> str:
    last = state.last
    match state.state:
        case State.CHANGED:
            return "it was changed after it was applied: restore it, or resolve it with --applied"
        case State.MISSING:
            return f"{state.title} was applied, and its file is missing"
        case State.OUT_OF_ORDER:
            return "it was not applied, and a later version was: apply it with --out-of-order"
        case State.FAILED:
            return (last.problem if last else "") or "its last run failed"
        case State.INTERRUPTED:
            return _interruption(last)
        case State.RUNNING:
            return ""
        case _ if last is not None and last.result is Result.FAILED:
            return f"its rollback failed: {last.problem}"
        case _:
            return ""


def _interruption(last: LedgerRun | None) -> str:
    if last is None:
        return ""
    what = "its rollback" if last.direction is Direction.DOWN else "it"
    if last.problem:
        return f"{what} was interrupted: {last.problem}"
    return f"{what} was interrupted after {last.statements_done} of {last.statements} statements"
