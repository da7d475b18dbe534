"""What may be said of a migration, and what is recorded of it."""

import dataclasses

import pytest

from dbopsd.migrate.versions.ledger.new_run import NewRun
from dbopsd.migrate.versions.model.errors import VersionNotFound
from dbopsd.migrate.versions.model.ledger_run import Direction, LedgerRun, Result
from dbopsd.migrate.versions.model.requests import Resolution
from dbopsd.migrate.versions.plan.baseline import HistoryExists, baseline_runs, is_recorded
from dbopsd.migrate.versions.plan.resolution import NotResolvable, find_migration, resolve
from dbopsd.migrate.versions.plan.states import read_set
from tests.support.migration_files import folder, history, migration, ran

ONE, TWO = migration("001"), migration("2")
OTHER = migration("001", "SELECT 0;")
VIEW = migration("totals", repeatable=True)
FOLDER = folder(ONE, TWO, VIEW)
APPLIED, NOT_APPLIED = Resolution.APPLIED, Resolution.NOT_APPLIED


def said(*runs: LedgerRun, of: str = "001", resolution: Resolution = APPLIED) -> NewRun | None:
    found = find_migration("main", read_set(FOLDER, history(*runs)), of)
    return resolve("main", "default", found, resolution, reason="r", who="w")


@pytest.mark.parametrize(
    ("run", "allowed"),
    [
        (None, (APPLIED,)),
        (ran(ONE, Direction.RESOLVE_NOT_APPLIED), (APPLIED,)),
        (ran(ONE), ()),
        (ran(ONE, result=Result.FAILED), (APPLIED, NOT_APPLIED)),
        (ran(ONE, result=Result.INTERRUPTED), (APPLIED, NOT_APPLIED)),
        (ran(ONE, result=Result.RUNNING), (APPLIED, NOT_APPLIED)),
        (ran(ONE, Direction.DOWN, Result.INTERRUPTED), (APPLIED, NOT_APPLIED)),
        (ran(ONE, Direction.BASELINE), (NOT_APPLIED,)),
        (ran(ONE, Direction.ADOPT), (NOT_APPLIED,)),
        (ran(OTHER), (APPLIED,)),
        (ran(OTHER, Direction.ADOPT), (APPLIED,)),
    ],
)
def test_only_what_is_not_known_can_be_said(
    run: LedgerRun | None, allowed: tuple[Resolution, ...]
) -> None:
    runs = [] if run is None else [run]
    for resolution in Resolution:
        if resolution in allowed:
            assert said(*runs, resolution=resolution) is not None
        elif run is not None and run.direction is Direction.RESOLVE_NOT_APPLIED:
            assert said(*runs, resolution=resolution) is None
        else:
            with pytest.raises(NotResolvable):
                said(*runs, resolution=resolution)


def test_what_was_applied_by_hand_out_of_order() -> None:
    row = said(ran(TWO))
    assert row is not None
    assert (row.direction, row.key) == (Direction.RESOLVE_APPLIED, "001")
    with pytest.raises(NotResolvable):
        said(ran(TWO), resolution=NOT_APPLIED)


def test_the_row_says_who_why_and_how_far_it_was() -> None:
    broken = dataclasses.replace(ran(OTHER, result=Result.INTERRUPTED), statements=3)
    broken = dataclasses.replace(broken, statements_done=2)
    row = said(broken)
    assert row is not None
    assert (row.direction, row.result) == (Direction.RESOLVE_APPLIED, Result.DONE)
    assert (row.reason, row.who, row.statements, row.statements_done) == ("r", "w", 3, 2)
    # It is applied as its file is now.
    assert row.checksum == ONE.checksum


def test_what_was_said_already_is_not_said_again() -> None:
    assert said(ran(ONE, Direction.RESOLVE_APPLIED)) is None
    assert said(ran(ONE, Direction.RESOLVE_NOT_APPLIED), resolution=NOT_APPLIED) is None
    with pytest.raises(NotResolvable):
        said(ran(ONE, Direction.RESOLVE_APPLIED), resolution=NOT_APPLIED)
    assert said(ran(ONE, Direction.RESOLVE_NOT_APPLIED)) is not None
    # It was changed again since.
    assert said(ran(OTHER, Direction.RESOLVE_APPLIED)) is not None


def test_it_is_found_without_its_file_and_by_its_name() -> None:
    gone = migration("3")
    row = said(ran(gone, result=Result.INTERRUPTED), of="3")
    assert row is not None
    assert (row.key, row.checksum) == ("3", gone.checksum)
    row = said(ran(gone), ran(gone, Direction.DOWN, Result.INTERRUPTED), of="3")
    assert row is not None
    assert row.checksum == gone.checksum
    row = said(ran(VIEW, result=Result.FAILED), of="totals")
    assert row is not None
    assert row.key == "R:totals"
    # A folder that was pruned: what is gone on purpose is to be forgotten.
    row = said(ran(gone), of="3", resolution=NOT_APPLIED)
    assert row is not None
    assert row.direction is Direction.RESOLVE_NOT_APPLIED
    with pytest.raises(NotResolvable):
        said(ran(gone), of="3")
    with pytest.raises(VersionNotFound):
        said(ran(gone), ran(gone, Direction.RESOLVE_NOT_APPLIED), of="3")
    with pytest.raises(VersionNotFound):
        said(of="4")


def baseline(*runs: LedgerRun, to: str = "2") -> tuple[list[str], bool]:
    state = read_set(FOLDER, history(*runs))
    new = baseline_runs("main", state, to, operation="op", who="w", reason="r")
    return [run.key for run in new], is_recorded("main", state, new)


def test_a_baseline_has_the_versions_up_to_one() -> None:
    assert baseline() == (["001", "2"], False)
    assert baseline(to="1") == (["001"], False)
    with pytest.raises(VersionNotFound):
        baseline(to="totals")


def test_a_baseline_is_for_a_database_without_a_history() -> None:
    recorded = [ran(ONE, Direction.BASELINE), ran(TWO, Direction.BASELINE)]
    assert baseline(*recorded)[1]
    # The same again, after further migrations.
    assert baseline(recorded[0], ran(TWO), to="1")[1]
    assert not baseline(ran(ONE, result=Result.FAILED))[1]
    assert not baseline(ran(ONE), ran(ONE, Direction.DOWN))[1]
    assert not baseline(ran(VIEW))[1]
    for runs in (
        [ran(ONE)],
        [recorded[0]],
        [*recorded, ran(migration("1000"))][1:],
        [ran(OTHER, Direction.BASELINE), recorded[1]],
        [ran(TWO, result=Result.INTERRUPTED)],
        [ran(ONE, Direction.ADOPT), recorded[1]],
    ):
        with pytest.raises(HistoryExists):
            baseline(*runs)
