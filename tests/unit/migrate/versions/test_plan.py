"""What an apply or a rollback runs, and what is refused, without a server."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest

from dbopsd.config.migrations import DatabaseMigrationsConfig
from dbopsd.errors import DbopsError
from dbopsd.migrate.versions.model.errors import (
    MigrationFilesInvalid,
    SetRequired,
    VersionNotFound,
)
from dbopsd.migrate.versions.model.ledger_run import Direction, LedgerRun, Result
from dbopsd.migrate.versions.model.migration import (
    ROLLBACK_WITHOUT_MIGRATION,
    MigrationProblem,
    Phase,
)
from dbopsd.migrate.versions.model.migration_file import Folder
from dbopsd.migrate.versions.model.requests import (
    ApplyMigrationsRequest,
    RollbackMigrationsRequest,
)
from dbopsd.migrate.versions.plan.errors import (
    MigrationChanged,
    MigrationInterrupted,
    MigrationMissing,
    MigrationOutOfOrder,
    MigrationRunning,
    RollbackBeyondBaseline,
    RollbackMissing,
)
from dbopsd.migrate.versions.plan.plan import count_pending, plan_apply, plan_rollback
from dbopsd.migrate.versions.plan.states import read_set
from tests.support.migration_files import folder, history, migration, ran

FILES = [migration(f"{number:03}") for number in (1, 2, 3, 10)]
ONE, TWO, THREE, TEN = FILES
FOLDER = folder(*FILES)
VIEW = migration("totals", repeatable=True)


def applied(
    *runs: LedgerRun,
    of: Folder | Sequence[Folder] = FOLDER,
    live: frozenset[int] = frozenset(),
    config: DatabaseMigrationsConfig | None = None,
    **request: Any,
) -> list[str]:
    folders = [of] if isinstance(of, Folder) else of
    planned = plan_apply(
        "main",
        folders,
        history(*runs),
        live,
        ApplyMigrationsRequest(**request),
        config or DatabaseMigrationsConfig(),
    )
    assert all(each.script is each.file.up for each in planned)
    return [each.file.key for each in planned]


def rolled_back(*runs: LedgerRun, of: Folder = FOLDER, **request: Any) -> list[str]:
    asked = RollbackMigrationsRequest(**request)
    planned = plan_rollback("main", of, history(*runs), frozenset(), asked)
    assert all(each.script is each.file.down for each in planned)
    return [each.file.key for each in planned]


def test_all_that_waits_is_applied_in_order() -> None:
    assert applied() == ["001", "002", "003", "010"]
    assert applied(ran(ONE), ran(TWO)) == ["003", "010"]
    assert applied(*map(ran, FILES)) == []
    # What failed runs again.
    assert applied(ran(ONE), ran(TWO, result=Result.FAILED), count=1) == ["002"]


@pytest.mark.parametrize("to", ["003", "3"])
def test_up_to_a_version_or_a_number_of_them(to: str) -> None:
    of = folder(*FILES, VIEW)
    assert applied(of=of, to=to) == ["001", "002", "003"]
    assert applied(of=of, count=2) == ["001", "002"]
    assert applied(of=of)[-1] == "R:totals"
    assert applied(ran(ONE), of=of, to="1") == []


@pytest.mark.parametrize("to", ["4", "x", "totals", "0003x"])
def test_a_version_that_there_is_not(to: str) -> None:
    with pytest.raises(VersionNotFound):
        applied(of=folder(*FILES, VIEW), to=to)


def test_every_set_is_applied_in_its_turn() -> None:
    other = folder(migration("001", set_="audit"), migration("2", set_="audit"), set_="audit")
    assert applied(ran(ONE), of=[FOLDER, other]) == ["002", "003", "010", "001", "2"]
    assert applied(ran(ONE), of=[FOLDER, other], count=4) == ["002", "003", "010", "001"]
    with pytest.raises(SetRequired):
        applied(of=[FOLDER, other], to="2")


CONTRACT = dataclasses.replace(THREE, phase=Phase.CONTRACT)
EXPAND = dataclasses.replace(TWO, phase=Phase.EXPAND)


@pytest.mark.parametrize(
    ("files", "phase", "expected"),
    [
        ([ONE, EXPAND, CONTRACT, TEN], None, ["001", "002"]),
        ([ONE, EXPAND, CONTRACT, TEN], Phase.EXPAND, ["001", "002"]),
        ([ONE, EXPAND, CONTRACT, TEN], Phase.CONTRACT, ["001", "002", "003"]),
        ([ONE, EXPAND], Phase.CONTRACT, []),
        ([ONE, CONTRACT, VIEW], None, ["001", "R:totals"]),
        ([ONE, CONTRACT, TEN, VIEW], None, ["001"]),
        ([CONTRACT, dataclasses.replace(TEN, phase=Phase.CONTRACT), VIEW], Phase.CONTRACT,
         ["003", "010"]),
    ],
)  # fmt: skip
def test_nothing_runs_before_a_contraction_that_precedes_it(
    files: list[Any], phase: Phase | None, expected: list[str]
) -> None:
    assert applied(of=folder(*files), phase=phase) == expected
    if phase is None:
        assert count_pending(read_set(folder(*files), ()), out_of_order=False) == len(expected)


def test_a_changed_file_blocks() -> None:
    with pytest.raises(MigrationChanged, match=r"001_m001\.sql was changed") as caught:
        applied(ran(migration("001", "SELECT 0;")), to="002")
    assert caught.value.metadata["version"] == "001"
    assert caught.value.checksum == ONE.checksum != caught.value.applied_checksum
    foreign = dataclasses.replace(ran(ONE), checksum="-12", checksum_algorithm="crc32")
    with pytest.raises(MigrationChanged, match=r"applied crc32:-12\)"):
        applied(dataclasses.replace(foreign, normalised_checksum=""))


def test_a_missing_file_is_called_missing() -> None:
    """It is no matter of order, though a later one is applied (node-pg-migrate#813)."""
    with pytest.raises(MigrationMissing, match=r"migration 4 \(m4\)"):
        applied(*map(ran, [ONE, TWO, migration("4"), TEN]))
    alone = MigrationProblem(
        ROLLBACK_WITHOUT_MIGRATION, "x", version="4", path="4_m4_rollback.sql", blocking=True
    )
    broken = dataclasses.replace(FOLDER, problems=(alone,))
    with pytest.raises(MigrationMissing, match=r"but for its rollback 4_m4_rollback\.sql"):
        applied(*map(ran, [ONE, TWO, migration("4"), TEN]), of=broken)
    # A file that cannot be read is not there either.
    unreadable = dataclasses.replace(alone, reason="FILE_UNREADABLE", path="4_m4.sql")
    with pytest.raises(MigrationFilesInvalid, match=r"4_m4\.sql"):
        applied(
            *map(ran, [ONE, TWO, migration("4"), TEN]),
            of=dataclasses.replace(FOLDER, problems=(unreadable,)),
        )


def test_a_missing_repeatable_does_not() -> None:
    assert applied(ran(ONE), ran(VIEW), count=1) == ["002"]


def test_what_came_too_late_is_named_with_what_to_do() -> None:
    runs = [ran(ONE), ran(THREE)]
    with pytest.raises(MigrationOutOfOrder) as caught:
        applied(*runs)
    for part in ("002_m002.sql", "003", "--out-of-order"):
        assert part in str(caught.value)
    assert applied(*runs, out_of_order=True) == ["002", "010"]
    assert applied(*runs, config=DatabaseMigrationsConfig(out_of_order=True)) == ["002", "010"]
    # One that failed is not applied either.
    with pytest.raises(MigrationOutOfOrder):
        applied(ran(TWO, result=Result.FAILED), *runs)


def test_a_timestamp_is_a_high_number() -> None:
    of = folder(ONE, migration("20240101000000"))
    assert applied(of=of) == ["001", "20240101000000"]
    with pytest.raises(MigrationOutOfOrder, match="20240101000000"):
        applied(ran(migration("20240101000000")), of=of)


def test_what_was_interrupted_is_gone_on_with_first() -> None:
    broken = dataclasses.replace(
        ran(TWO, result=Result.INTERRUPTED), statements=3, statements_done=1
    )
    runs = history(ran(ONE), broken)
    planned = plan_apply(
        "main", [FOLDER], runs, (), ApplyMigrationsRequest(), DatabaseMigrationsConfig()
    )
    assert [each.file.key for each in planned] == ["002", "003", "010"]
    assert [each.interrupted for each in planned] == [runs[1], None, None]


def test_a_changed_file_is_gone_on_with_if_it_is_known_what_is_done() -> None:
    broken = dataclasses.replace(
        ran(migration("002", "SELECT 0;"), result=Result.INTERRUPTED), done_digest="5f"
    )
    assert applied(ran(ONE), broken) == ["002", "003", "010"]
    with pytest.raises(MigrationInterrupted):
        applied(ran(ONE), dataclasses.replace(broken, in_doubt=True))


def test_what_came_too_late_for_one_that_is_begun() -> None:
    broken = ran(TWO, result=Result.INTERRUPTED)
    with pytest.raises(MigrationOutOfOrder, match=r"001_m001\.sql was not .* before version 002"):
        applied(broken)
    assert applied(broken, out_of_order=True) == ["002", "001", "003", "010"]


@pytest.mark.parametrize(
    ("broken", "request_"),
    [
        # Its text is another one now.
        (ran(migration("002", "SELECT 0;"), result=Result.INTERRUPTED), {}),
        (ran(TWO, Direction.DOWN, Result.INTERRUPTED), {}),
        (ran(TWO, Direction.DOWN, Result.RUNNING), {}),
        # Another tool began it.
        (ran(TWO, Direction.ADOPT, Result.INTERRUPTED), {}),
        # Its file is gone.
        (ran(migration("004"), result=Result.INTERRUPTED), {}),
        # It is not what was asked for.
        (ran(TWO, result=Result.INTERRUPTED), {"to": "001"}),
    ],
)
def test_else_somebody_has_to_look(broken: LedgerRun, request_: dict[str, Any]) -> None:
    with pytest.raises(MigrationInterrupted, match="dbops migrate resolve main 00"):
        applied(ran(ONE), ran(TWO), broken, **request_)


def test_whether_the_file_was_changed_since_it_was_interrupted() -> None:
    with pytest.raises(MigrationInterrupted, match="and its file was changed since"):
        applied(ran(ONE), ran(migration("002", "SELECT 0;"), result=Result.INTERRUPTED))
    with pytest.raises(MigrationInterrupted, match="statements: complete"):
        applied(ran(ONE), ran(TWO, result=Result.INTERRUPTED), to="001")


def test_what_still_runs_is_left_alone() -> None:
    running = dataclasses.replace(ran(TWO, result=Result.RUNNING), backend_pid=77)
    with pytest.raises(MigrationRunning, match="process 77"):
        applied(ran(ONE), running, live=frozenset({2}))


def test_files_with_a_problem_are_refused_with_the_first() -> None:
    problem = MigrationProblem("NOT_UTF8", "is not UTF-8", path="9.sql", version="9", line=3)
    note = dataclasses.replace(problem, blocking=False)
    blocking = dataclasses.replace(problem, blocking=True)
    assert applied(of=dataclasses.replace(FOLDER, problems=(note,)), count=1) == ["001"]
    broken = dataclasses.replace(FOLDER, problems=(note, blocking, blocking))
    with pytest.raises(MigrationFilesInvalid, match=r"9\.sql:3: is not UTF-8, and 1 more"):
        applied(of=broken)
    # Another file's problem is no reason to leave a fault in production.
    assert rolled_back(ran(ONE), of=broken) == ["001"]
    with pytest.raises(MigrationFilesInvalid):
        rolled_back(ran(migration("9")), of=dataclasses.replace(
            folder(migration("9")), problems=(blocking,)))  # fmt: skip


def test_each_rollback_goes_one_further_down() -> None:
    """dbmate rolls the same one back each time (dbmate#404)."""
    runs = list(map(ran, FILES))
    for expected in ("010", "003", "002", "001"):
        assert rolled_back(*runs) == [expected]
        file = next(each for each in FILES if each.key == expected)
        runs.append(ran(file, Direction.DOWN))
    assert rolled_back(*runs) == []


def test_the_last_applied_is_rolled_back_first() -> None:
    runs = [ran(ONE), ran(TEN), ran(TWO), ran(THREE)]
    assert rolled_back(*runs, count=3) == ["003", "002", "010"]
    assert rolled_back(*runs, count=9) == ["003", "002", "010", "001"]
    # Down to a version: those above it, whenever they were applied.
    assert rolled_back(*runs, to="2") == ["003", "010"]
    assert rolled_back(*runs, to="010") == []
    for to in ("4", "0"):
        with pytest.raises(VersionNotFound, match="to roll back all of them, give --count"):
            rolled_back(*runs, to=to)
    # It may be gone from the folder.
    gone = migration("4")
    assert rolled_back(ran(ONE), ran(gone), ran(TEN), to="4") == ["010"]


def test_what_was_resolved_later_keeps_its_place() -> None:
    """Somebody reformats the file of an old migration, and says that the database has it."""
    reformatted = ran(migration("001", "SELECT  1;"))
    runs = [reformatted, ran(TWO), ran(THREE), ran(ONE, Direction.RESOLVE_APPLIED)]
    assert rolled_back(*runs) == ["003"]
    assert rolled_back(*runs, count=3) == ["003", "002", "001"]
    # Its rollback was interrupted, and undone by hand.
    broken = ran(TWO, Direction.DOWN, Result.INTERRUPTED)
    runs = [ran(ONE), ran(TWO), broken, ran(TWO, Direction.RESOLVE_APPLIED), ran(THREE)]
    assert rolled_back(*runs, count=3) == ["003", "002", "001"]
    # It was completed by hand: that is when the database got it.
    broken = ran(TWO, result=Result.INTERRUPTED)
    runs = [ran(ONE), broken, ran(THREE), ran(TWO, Direction.RESOLVE_APPLIED)]
    assert rolled_back(*runs, count=2) == ["002", "003"]
    # It was rolled back, and applied again.
    runs = [ran(ONE), ran(TWO), ran(ONE, Direction.DOWN), ran(ONE)]
    assert rolled_back(*runs) == ["001"]


def test_a_baseline_stays_one_when_its_file_was_resolved() -> None:
    reformatted = ran(migration("001", "SELECT  1;"), Direction.BASELINE)
    with pytest.raises(RollbackBeyondBaseline):
        rolled_back(reformatted, ran(ONE, Direction.RESOLVE_APPLIED))
    with pytest.raises(RollbackBeyondBaseline):
        rolled_back(reformatted)


def test_every_rollback_that_lacks_is_named_before_anything_starts() -> None:
    of = folder(ONE, migration("2", down=None), THREE)
    runs = [ran(ONE), ran(migration("2", down=None)), ran(THREE), ran(migration("4"))]
    with pytest.raises(RollbackMissing) as caught:
        rolled_back(*runs, of=of, count=4)
    assert caught.value.versions == "4 (m4), 2_m2.sql"
    assert rolled_back(*runs[:3], of=of) == ["003"]


def test_a_file_that_was_changed_is_rolled_back_as_it_is_now() -> None:
    assert rolled_back(ran(migration("001", "SELECT 0;"))) == ["001"]


def test_repeatables_stay() -> None:
    assert rolled_back(ran(ONE), ran(VIEW), of=folder(ONE, VIEW)) == ["001"]


def test_adopted_ones_roll_back_and_the_baseline_is_the_floor() -> None:
    adopted = [ran(each, Direction.ADOPT) for each in FILES]
    assert rolled_back(*adopted, count=2) == ["010", "003"]
    runs = [ran(ONE, Direction.BASELINE), ran(TWO, Direction.BASELINE), ran(THREE)]
    assert rolled_back(*runs) == ["003"]
    assert rolled_back(*runs, to="002") == ["003"]
    with pytest.raises(RollbackBeyondBaseline, match="version 002"):
        rolled_back(*runs, count=2)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [({}, ["002"]), ({"count": 2}, ["002", "001"]), ({"to": "1"}, ["002"])],
)
def test_an_interrupted_rollback_is_gone_on_with(
    request_: dict[str, Any], expected: list[str]
) -> None:
    broken = ran(TWO, Direction.DOWN, Result.INTERRUPTED)
    runs = history(ran(ONE), ran(TWO), broken)
    planned = plan_rollback("main", FOLDER, runs, (), RollbackMigrationsRequest(**request_))
    assert [each.file.key for each in planned] == expected
    assert [each.interrupted for each in planned] == [runs[2], None][: len(planned)]


def test_an_interrupted_rollback_stands_in_its_place_or_in_the_way() -> None:
    broken = ran(TWO, Direction.DOWN, Result.INTERRUPTED)
    runs = [ran(ONE), ran(TWO), ran(THREE), broken]
    assert rolled_back(*runs, count=2) == ["003", "002"]
    # Of these one is not to be rolled back, and the other one stays.
    for request in ({}, {"to": "002"}):
        with pytest.raises(MigrationInterrupted):
            rolled_back(*runs, **request)
    with pytest.raises(MigrationInterrupted):
        rolled_back(ran(ONE), ran(TWO, result=Result.INTERRUPTED))


def test_every_error_tells_its_place_and_a_way_out() -> None:
    for error in (
        MigrationChanged("main", "default", "1", "1_a.sql", "a" * 64, "b" * 64),
        MigrationInterrupted("main", "default", "1", "1_a.sql", 1, 2),
        MigrationRunning("main", "default", "1", "1_a.sql", 5),
    ):
        assert isinstance(error, DbopsError)
        assert "`dbops " in str(error)
        assert "\n" not in str(error)
