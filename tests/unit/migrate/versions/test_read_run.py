"""What is made of a row of the ledger, and of one that nobody could have written but by hand."""

from typing import Any

import pytest

from dbopsd.migrate.versions.ledger.read_run import read_run
from dbopsd.migrate.versions.model.ledger_run import Direction, Result

ROW = {
    "id": 7,
    "set": "default",
    "key": "001",
    "version": "001",
    "name": "a",
    "checksum": "c",
    "checksum_algorithm": "sha256",
    "direction": "up",
    "result": "done",
    "started_at": "2026-01-02T03:04:05+02:00",
}


def test_a_row_of_the_first_ledger_is_a_run() -> None:
    run = read_run({**ROW, "finished_at": None, "indexes_before": [3], "of_their_own": 1})
    assert (run.id, run.direction, run.result) == (7, Direction.UP, Result.DONE)
    assert run.started_at.isoformat() == "2026-01-02T01:04:05+00:00"
    assert (run.finished_at, run.indexes_before, run.in_doubt) == (None, (3,), False)


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("direction", "sideways", "the direction 'sideways'"),
        ("result", "perhaps", "the result 'perhaps'"),
        ("result", None, "no result"),
        ("direction", ["up"], r"the direction \['up'\]"),
        ("started_at", None, "no started_at"),
        ("started_at", "infinity", "the started_at 'infinity'"),
        ("started_at", "0001-01-01T00:00:00+14:00", "the started_at '0001-01-01T"),
        ("finished_at", "20000-01-01T00:00:00+00:00", "the finished_at '20000-01-01T"),
        ("statements", "2", "the statements '2'"),
        ("statements", True, "the statements True"),
        ("problem", None, "the problem None"),
        ("in_doubt", 1, "the in_doubt 1"),
    ],
)
def test_what_no_dbopsd_writes_is_named(column: str, value: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_run({**ROW, column: value})


def test_a_column_that_is_gone_is_named() -> None:
    row = {name: value for name, value in ROW.items() if name != "key"}
    with pytest.raises(ValueError, match="no key"):
        read_run(row)
