"""What a drill decides before it begins: its moment, and the statements of its checks."""

import random
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dbopsd.backup.drill.moment import random_moment, recovery_point_s
from dbopsd.backup.drill.statements import split_statements
from dbopsd.backup.model.reports import RecoveryWindow, RecoveryWindows
from dbopsd.backup.model.requests import RecoveryTarget
from dbopsd.errors import InvalidField

BEGAN = datetime(2026, 11, 30, 2, tzinfo=UTC)


def window(timeline: int, start_h: float, end_h: float) -> RecoveryWindow:
    return RecoveryWindow(
        timeline,
        BEGAN + timedelta(hours=start_h),
        "0/1",
        BEGAN + timedelta(hours=end_h),
        "0/2",
        "databases/main/backups/full-1",
    )


WINDOWS = RecoveryWindows((window(1, 0, 10), window(1, 12, 12), window(2, 20, 21)))


def test_random_moments_are_all_over_the_windows() -> None:
    chance = random.Random(1)
    targets = [random_moment(WINDOWS, None, chance) for _ in range(400)]
    by_timeline = {number: [t for t in targets if t.timeline == number] for number in ("1", "2")}
    assert len(by_timeline["1"]) + len(by_timeline["2"]) == 400
    # One hour of eleven.
    assert 15 < len(by_timeline["2"]) < 70
    hours = {int((t.time - BEGAN).total_seconds() // 3600) for t in targets if t.time}
    assert hours == {*range(10), 20}
    for target in targets:
        target.check("target")


def test_a_random_moment_of_one_backup_is_one_that_it_leads_to() -> None:
    stopped = BEGAN + timedelta(hours=9)
    backup = cast("Any", SimpleNamespace(timeline=1, stop_time=stopped))
    chance = random.Random(1)
    for _ in range(50):
        target = random_moment(WINDOWS, backup, chance)
        assert target.time is not None
        assert stopped <= target.time <= BEGAN + timedelta(hours=10)
    nowhere = cast("Any", SimpleNamespace(timeline=3, stop_time=stopped))
    assert random_moment(WINDOWS, nowhere, chance) == RecoveryTarget(immediate=True)


def test_where_there_are_points_only_it_is_the_latest() -> None:
    points = RecoveryWindows((window(1, 0, 0),))
    assert random_moment(points, None, random.Random(1)) == RecoveryTarget(latest=True)


def test_the_recovery_point_is_the_newest_moment_that_can_be_reached() -> None:
    now = BEGAN + timedelta(hours=21, seconds=30)
    assert recovery_point_s(WINDOWS, now) == 30.0
    assert recovery_point_s(WINDOWS, BEGAN) == 0.0
    assert recovery_point_s(RecoveryWindows(), BEGAN) == 0.0


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("", ()),
        (" ; ;\n", ()),
        ("-- nothing;\n", ()),
        ("SELECT 1", ("SELECT 1",)),
        ("SELECT ';' ; SELECT 2;", ("SELECT ';'", "SELECT 2")),
        ("SELECT $$a;b$$; SELECT $x$;$$;$x$", ("SELECT $$a;b$$", "SELECT $x$;$$;$x$")),
        ('SELECT ";" /* ; */ -- ;\n; SELECT 1', ('SELECT ";" /* ; */ -- ;', "SELECT 1")),
        ("SELECT E'\\';'; SELECT 2", ("SELECT E'\\';'", "SELECT 2")),
    ],
)
def test_statements_are_cut_where_they_end(text: str, statements: tuple[str, ...]) -> None:
    assert split_statements("check_sql", text) == statements


def test_text_that_is_no_sql_is_refused() -> None:
    with pytest.raises(InvalidField):
        split_statements("check_sql", "SELECT 'open")
