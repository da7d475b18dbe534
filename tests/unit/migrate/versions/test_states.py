"""States of migrations: folder and ledger joined, without a server."""

import dataclasses
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dbopsd.migrate.versions.ledger.new_run import NewRun
from dbopsd.migrate.versions.model.ledger_run import Direction, LedgerRun, Result
from dbopsd.migrate.versions.model.migration import State
from dbopsd.migrate.versions.model.migration_file import MigrationFile
from dbopsd.migrate.versions.plan.description import forgotten_problems, migrations_of, problems_of
from dbopsd.migrate.versions.plan.plan import count_pending
from dbopsd.migrate.versions.plan.states import read_set
from tests.support.migration_files import folder, history, migration, ran

ONE, TWO, TEN = migration("001"), migration("2"), migration("10")
FOLDER = folder(ONE, TWO, TEN)
VIEW = migration("totals", repeatable=True)


def states(*runs: LedgerRun, of: Any = FOLDER, live: frozenset[int] = frozenset()) -> list[str]:
    return [each.state.value for each in read_set(of, runs, live).migrations]


@pytest.mark.parametrize(
    ("direction", "result", "live", "expected"),
    [
        (Direction.UP, Result.DONE, False, "APPLIED"),
        (Direction.UP, Result.FAILED, False, "FAILED"),
        (Direction.UP, Result.INTERRUPTED, False, "INTERRUPTED"),
        (Direction.UP, Result.RUNNING, False, "INTERRUPTED"),
        (Direction.UP, Result.RUNNING, True, "RUNNING"),
        (Direction.DOWN, Result.DONE, False, "PENDING"),
        (Direction.DOWN, Result.FAILED, False, "APPLIED"),
        (Direction.DOWN, Result.INTERRUPTED, False, "INTERRUPTED"),
        (Direction.DOWN, Result.RUNNING, False, "INTERRUPTED"),
        (Direction.DOWN, Result.RUNNING, True, "RUNNING"),
        (Direction.BASELINE, Result.DONE, False, "BASELINED"),
        (Direction.ADOPT, Result.DONE, False, "ADOPTED"),
        (Direction.ADOPT, Result.FAILED, False, "FAILED"),
        (Direction.ADOPT, Result.INTERRUPTED, False, "INTERRUPTED"),
        (Direction.RESOLVE_APPLIED, Result.DONE, False, "APPLIED"),
        (Direction.RESOLVE_NOT_APPLIED, Result.DONE, False, "PENDING"),
    ],
)
def test_the_last_run_says_what_is_so(
    direction: Direction, result: Result, live: bool, expected: str
) -> None:
    before = [ran(ONE)] if direction is Direction.DOWN else []
    runs = history(*before, ran(ONE, direction, result))
    found = states(*runs, of=folder(ONE), live=frozenset({runs[-1].id} if live else ()))
    assert found == [expected]


def test_the_versions_go_by_number_and_rolled_back_is_pending() -> None:
    assert states() == ["PENDING", "PENDING", "PENDING"]
    runs = history(ran(ONE), ran(TWO), ran(TWO, Direction.DOWN))
    assert states(*runs) == ["APPLIED", "PENDING", "PENDING"]
    assert read_set(FOLDER, runs).current_version == "001"
    # A run of another set is none of this one.
    assert states(*history(ran(migration("001", set_="other")))) == ["PENDING"] * 3


def test_older_than_what_is_applied_is_out_of_order() -> None:
    runs = history(ran(ONE), ran(TEN))
    assert states(*runs) == ["APPLIED", "OUT_OF_ORDER", "APPLIED"]
    state = read_set(FOLDER, runs)
    assert state.current_version == "10"
    assert [count_pending(state, out_of_order=each) for each in (False, True)] == [0, 1]
    [problem] = problems_of(state)
    assert (problem.reason, problem.path, problem.blocking) == (
        "MIGRATION_OUT_OF_ORDER",
        "2_m2.sql",
        True,
    )
    assert not problems_of(state, out_of_order=True)[0].blocking


def test_what_has_another_text_than_was_applied_is_changed() -> None:
    runs = history(ran(migration("001", "SELECT 0;")), ran(TWO))
    assert states(*runs) == ["CHANGED", "APPLIED", "PENDING"]
    shown = migrations_of(FOLDER, runs)[0]
    assert shown.checksum == ONE.checksum
    assert shown.applied_checksum == hashlib.sha256(b"SELECT 0;").hexdigest()


def with_content(content: bytes) -> MigrationFile:
    checksum = hashlib.sha256(content).hexdigest()
    return dataclasses.replace(ONE, content=content, checksum=checksum)


@pytest.mark.parametrize("applied", [b"SELECT 1;\n-- x\n", b"SELECT 1;\r\n-- x\r\n"])
@pytest.mark.parametrize("now", [b"\xef\xbb\xbfSELECT 1;\n-- x\n", b"SELECT 1;\r\n-- x\n"])
def test_line_ends_are_no_change(applied: bytes, now: bytes) -> None:
    state = read_set(folder(with_content(now)), history(ran(with_content(applied))))
    assert [each.state for each in state.migrations] == [State.APPLIED]
    [problem] = problems_of(state)
    assert (problem.reason, problem.blocking) == ("LINE_ENDINGS", False)
    # A blank more is one.
    assert states(*history(ran(with_content(applied))), of=folder(with_content(now + b" "))) == [
        "CHANGED"
    ]


def test_the_checksum_of_another_tool_is_compared_where_it_is_known() -> None:
    unknown = dataclasses.replace(
        ran(ONE, Direction.ADOPT), checksum="", checksum_algorithm="", normalised_checksum=""
    )
    other = dataclasses.replace(unknown, checksum="-123", checksum_algorithm="crc32")
    assert states(*history(unknown), of=folder(ONE)) == ["ADOPTED"]
    assert states(*history(other), of=folder(ONE)) == ["CHANGED"]
    assert migrations_of(folder(ONE), history(other))[0].applied_checksum == "crc32:-123"


def test_what_was_applied_and_has_no_file_is_missing_in_its_place() -> None:
    runs = history(ran(ONE), ran(TWO), ran(migration("3")), ran(TEN), ran(migration("11")))
    state = read_set(FOLDER, runs)
    assert [(each.key, each.state.value) for each in state.migrations] == [
        ("001", "APPLIED"),
        ("2", "APPLIED"),
        ("3", "MISSING"),
        ("10", "APPLIED"),
        ("11", "MISSING"),
    ]
    shown = migrations_of(FOLDER, runs)[2]
    assert (shown.version, shown.name, shown.path, shown.checksum) == ("3", "m3", "", "")


def test_a_version_is_the_same_however_it_is_written() -> None:
    runs = history(ran(migration("1", "SELECT 1;")), ran(migration("02"), Direction.ADOPT))
    assert states(*runs) == ["APPLIED", "ADOPTED", "PENDING"]
    assert states(*history(*runs, ran(ONE, Direction.DOWN))) == [
        "OUT_OF_ORDER",
        "ADOPTED",
        "PENDING",
    ]


def test_what_is_neither_there_nor_applied_is_not_listed() -> None:
    gone = migration("3")
    runs = history(ran(gone), ran(gone, Direction.DOWN), ran(migration("4"), result=Result.FAILED))
    assert states(*runs) == ["PENDING"] * 3


def test_the_end_of_what_has_no_file_can_be_unknown_too() -> None:
    runs = history(ran(migration("3"), result=Result.INTERRUPTED))
    assert states(*runs) == ["PENDING", "PENDING", "INTERRUPTED", "PENDING"]
    [problem] = problems_of(read_set(FOLDER, runs))
    assert problem.blocking
    # An apply may be able to go on with one that has its file.
    [problem] = problems_of(read_set(FOLDER, history(ran(ONE, result=Result.INTERRUPTED))))
    assert not problem.blocking


def test_a_repeatable_runs_again_when_its_text_is_another_or_it_failed() -> None:
    of = folder(ONE, VIEW)
    runs = history(ran(ONE), ran(VIEW))
    assert states(*runs, of=of) == ["APPLIED", "APPLIED"]
    assert read_set(of, runs).current_version == "001"
    other = migration("totals", "SELECT 3;", repeatable=True)
    assert states(*runs, of=folder(ONE, other)) == ["APPLIED", "PENDING"]
    # It failed, and its text was mended: it runs again, and is no changed file.
    failed = history(*runs, ran(other, result=Result.FAILED))
    mended = folder(ONE, migration("totals", "SELECT 4;", repeatable=True))
    assert states(*failed, of=mended) == ["APPLIED", "FAILED"]
    # It failed, and is what it was before again.
    assert states(*failed, of=of) == ["APPLIED", "FAILED"]


def test_a_repeatable_without_a_file_is_in_nobodys_way() -> None:
    runs = history(ran(ONE), ran(VIEW))
    state = read_set(FOLDER, runs)
    assert state.migrations[-1].state is State.MISSING
    assert not any(each.blocking for each in problems_of(state))
    shown = migrations_of(FOLDER, runs)[-1]
    assert (shown.version, shown.name, shown.repeatable) == ("", "totals", True)
    # It was there before it failed, and still is.
    runs = history(*runs, ran(VIEW, result=Result.FAILED))
    assert read_set(FOLDER, runs).migrations[-1].state is State.MISSING


def test_what_has_not_run_has_the_statements_of_its_file() -> None:
    shown = migrations_of(FOLDER, history(ran(ONE, Direction.BASELINE)))
    assert shown[0].duration_s is None
    assert [(each.statements_done, each.statements) for each in shown] == [(0, 1)] * 3


def test_what_is_shown_of_a_run() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    run = dataclasses.replace(
        ran(ONE),
        started_at=start,
        finished_at=start + timedelta(seconds=2),
        operation="op",
        who="ann",
        statements=3,
        statements_done=3,
    )
    failed = dataclasses.replace(
        ran(ONE, Direction.DOWN, Result.FAILED), problem="in use", operation="op-2", who="bob"
    )
    failed = dataclasses.replace(failed, statements=1, finished_at=start + timedelta(seconds=9))
    shown = migrations_of(folder(ONE), history(run, failed))[0]
    assert shown.state is State.APPLIED
    assert (shown.duration_s, shown.statements_done, shown.statements) == (2.0, 3, 3)
    assert shown.apply_time == start + timedelta(seconds=2)
    assert shown.applied_by == "ann"
    assert shown.operation == "operations/op"
    assert shown.problem == "its rollback failed: in use"
    [problem] = problems_of(read_set(folder(ONE), history(run, failed)))
    assert (problem.reason, problem.message, problem.blocking) == (
        "ROLLBACK_FAILED",
        "its rollback failed: in use",
        False,
    )
    [shown] = migrations_of(folder(ONE), history(run))
    assert (shown.duration_s, shown.statements_done, shown.statements) == (2.0, 3, 3)
    assert shown.has_rollback
    assert shown.path == "001_m001.sql"


def test_a_resolution_says_with_which_file_and_not_since_when() -> None:
    first = dataclasses.replace(ran(migration("001", "SELECT 0;"), Direction.ADOPT), who="ann")
    said = dataclasses.replace(ran(ONE, Direction.RESOLVE_APPLIED), who="bob")
    [shown] = migrations_of(folder(ONE), history(first, said))
    assert (shown.state, shown.applied_by) == (State.ADOPTED, "ann")
    assert shown.applied_checksum == ONE.checksum
    # A repeatable one that ran again was applied then.
    again = dataclasses.replace(ran(VIEW), who="bob")
    runs = history(dataclasses.replace(ran(VIEW, Direction.ADOPT), who="ann"), again)
    [shown] = migrations_of(folder(VIEW), runs)
    assert (shown.state, shown.applied_by) == (State.APPLIED, "bob")


def test_a_file_that_was_rolled_back_may_change() -> None:
    runs = history(ran(migration("001", "SELECT 0;")), ran(ONE, Direction.DOWN))
    assert states(*runs, of=folder(ONE)) == ["PENDING"]
    assert migrations_of(folder(ONE), runs)[0].applied_checksum == ""


def test_the_rollback_has_a_checksum_of_its_own() -> None:
    down = NewRun.of(ONE, Direction.DOWN)
    assert down.checksum == hashlib.sha256(b"SELECT 2;").hexdigest()
    with pytest.raises(ValueError, match="no rollback"):
        NewRun.of(migration("1", down=None), Direction.DOWN)


@pytest.mark.parametrize("result", [Result.FAILED, Result.INTERRUPTED])
def test_what_failed_and_has_no_file_any_more_is_named_with_its_remedy(result: Result) -> None:
    runs = history(ran(ONE), ran(TWO, result=result))
    remedy = "`dbops migrate resolve main 2 --set default --not-applied --reason …`"
    gone = read_set(folder(ONE), runs)
    [problem] = [*problems_of(gone), *forgotten_problems("main", gone)]
    assert (problem.version, problem.set, bool(problem.path)) == ("2", "default", False)
    assert problem.blocking == (result is Result.INTERRUPTED)
    if result is Result.FAILED:
        assert (problem.reason, remedy in problem.message) == ("MIGRATION_FAILED", True)
    withdrawn = read_set(dataclasses.replace(folder(), directory=""), runs)
    [problem] = forgotten_problems("main", withdrawn)
    assert remedy in problem.message
    assert "is not configured any more" in problem.message
    assert not forgotten_problems("main", read_set(folder(ONE, TWO), runs))
