"""A set that gets another name keeps its history, or does not run."""

import dataclasses

import pytest

from dbopsd.migrate.versions.model.ledger_run import Direction, LedgerRun, Result
from dbopsd.migrate.versions.plan.unconfigured_sets import (
    SetHistoryUnconfigured,
    refuse_to_run_again,
    unconfigured_problems,
)
from tests.support.migration_files import history, migration, ran

OLD = [migration(version, f"SELECT {version};\n") for version in ("001", "002", "003")]
ONE, TWO, THREE = (dataclasses.replace(file, set="core") for file in OLD)
APPLIED = ran(OLD[0])


@pytest.mark.parametrize("direction", [Direction.UP, Direction.BASELINE, Direction.ADOPT])
def test_what_a_set_has_as_applied_is_not_run_under_another_name(direction: Direction) -> None:
    runs = history(*(ran(file, direction) for file in OLD[:2]), ran(OLD[2], result=Result.FAILED))
    with pytest.raises(SetHistoryUnconfigured) as caught:
        refuse_to_run_again("main", [ONE, TWO, THREE], runs, ["core", "queue"])
    error = caught.value
    assert (error.set, error.ledger_set, error.path, error.files) == (
        "core",
        "default",
        "001_m001.sql",
        2,
    )
    [problem] = unconfigured_problems(runs, ["core", "queue"])
    assert (problem.reason, problem.set, problem.blocking) == (error.reason, "default", False)
    assert "2 applied migrations" in problem.message


def test_other_line_ends_are_no_other_file() -> None:
    content = ONE.content.replace(b"\n", b"\r\n")
    file = dataclasses.replace(ONE, content=content, checksum="other")
    with pytest.raises(SetHistoryUnconfigured):
        refuse_to_run_again("main", [file], history(APPLIED), ["core"])


def test_a_failed_run_of_the_new_name_is_no_history() -> None:
    failed = ran(ONE, result=Result.FAILED)
    with pytest.raises(SetHistoryUnconfigured):
        refuse_to_run_again("main", [ONE], history(APPLIED, failed), ["core"])


@pytest.mark.parametrize(
    ("runs", "configured"),
    [
        ((APPLIED,), ["core", "default"]),  # two sets with an equal file
        ((APPLIED, ran(TWO)), ["core"]),  # it has a history of its own
        ((APPLIED, ran(OLD[0], Direction.DOWN)), ["core"]),
        ((ran(OLD[1]),), ["core"]),
        ((ran(migration("001", "SELECT 0;")),), ["core"]),
    ],
)
def test_what_is_not_applied_runs(runs: tuple[LedgerRun, ...], configured: list[str]) -> None:
    refuse_to_run_again("main", [ONE], history(*runs), configured)


def test_only_what_is_applied_under_a_lost_name_is_said() -> None:
    taken_back = history(APPLIED, ran(OLD[0], Direction.DOWN))
    assert unconfigured_problems(taken_back, ["core"]) == []
    assert unconfigured_problems(history(APPLIED), ["core", "default"]) == []
