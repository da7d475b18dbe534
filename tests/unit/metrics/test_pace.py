"""How often a collector runs."""

import pytest

from dbopsd.metrics.sampling.pace import MOST_BUSY, Pace


def ran(pace: Pace, cost_s: float, times: int = 1) -> None:
    for _ in range(times):
        pace.succeeded(pace.due_at, cost_s)


def test_a_cheap_one_runs_as_often_as_it_asks_for():
    pace = Pace(10.0, due_at=100.0)
    for number in range(1, 6):
        ran(pace, 0.01)
        assert pace.due_at == 100.0 + 10 * number


def test_a_costly_one_is_never_busy_for_more_than_its_part():
    pace = Pace(10.0, due_at=100.0)
    ran(pace, 1.0, 20)
    assert pace.interval_s == pytest.approx(1.0 / MOST_BUSY)


def test_one_slow_run_among_quick_ones_is_forgotten():
    pace = Pace(10.0, due_at=100.0)
    ran(pace, 0.01, 5)
    ran(pace, 2.0)
    assert pace.interval_s > 10
    ran(pace, 0.01, 10)
    assert pace.interval_s == 10.0


def test_failures_make_it_wait_twice_as_long_each_time_until_it_succeeds():
    pace = Pace(10.0, due_at=100.0)
    waits = []
    for _ in range(8):
        before = pace.due_at
        pace.failed(before, 0.01)
        waits.append(pace.due_at - before)
    assert waits == [20, 40, 80, 160, 320, 600, 600, 600]
    ran(pace, 0.01)
    assert pace.interval_s == 10.0


def test_what_is_late_does_not_catch_up():
    pace = Pace(10.0, due_at=100.0)
    pace.succeeded(175.0, 0.01)
    assert pace.due_at == 185.0


def test_the_parts_of_a_run_follow_each_other_and_count_as_one():
    pace = Pace(60.0, due_at=100.0)
    began = pace.due_at
    for _ in range(4):
        before = pace.due_at
        pace.continues(before, 0.01)
        assert pace.due_at == pytest.approx(before + 0.01 / MOST_BUSY)
    pace.succeeded(pace.due_at, 0.01)
    assert pace.due_at == began + 60
    assert pace.cost_s == pytest.approx(0.05)
    pace.continues(pace.due_at, 3.0)
    pace.succeeded(pace.due_at, 3.0)
    assert pace.interval_s > 60


def test_however_costly_it_runs_every_hour():
    pace = Pace(10.0)
    ran(pace, 3600.0)
    assert pace.interval_s == 3600.0
