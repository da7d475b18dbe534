"""A trend is found, and what looks like one is not."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from dbopsd.metrics.history.chunk import Samples
from dbopsd.metrics.history.resolution import DAY_MS, HOUR_MS
from dbopsd.metrics.trends.fit import hourly_rates, line, unusual
from tests.support.history import START_MS

Random = np.random.Generator
SEEDS = range(30)


def hours(count: int, value: Callable[[float], float], *, gap: range = range(0)) -> Samples:
    """Hourly samples of a function of days since the start; none in the hours of `gap`."""
    numbers = [each for each in range(count) if each not in gap]
    return Samples(
        np.array([START_MS + each * HOUR_MS for each in numbers], np.int64),
        np.array([value(each / 24) for each in numbers], float),
    )


def random(seed: int) -> Random:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("days", [2.1, 5, 14])
@pytest.mark.parametrize("slope", [10.0, -3.0])
def test_growth_with_noise_and_a_daily_cycle(seed: int, days: float, slope: float) -> None:
    noise = random(seed)
    daily = abs(slope) / 8 if days > 3 else 0.0

    def value(day: float) -> float:
        cycle = daily * np.sin(2 * np.pi * day)
        return 1000 + slope * day + cycle + noise.normal(0, abs(slope) / 20)

    found = line(hours(int(days * 24), value))
    assert found is not None
    assert found.slope == pytest.approx(slope, rel=0.25)
    assert found.value == pytest.approx(1000 + slope * days, abs=abs(slope))
    assert found.window_s == pytest.approx(days * 86_400, rel=0.05)


def test_a_few_odd_hours_and_a_gap_change_nothing() -> None:
    odd = {40: 0.0, 90: 1e9, 200: -5.0}
    found = line(
        hours(336, lambda day: odd.get(round(day * 24), 100 + 5 * day), gap=range(100, 130))
    )
    assert found is not None
    assert found.slope == pytest.approx(5, rel=0.02)


LOOKALIKES: dict[str, Callable[[float, Random], float]] = {
    "even": lambda day, _: 5.0,
    "noise": lambda day, random: random.normal(100, 10),
    "a daily sawtooth": lambda day, random: 100 * (day % 1) + random.normal(0, 2),
    "a daily cycle": lambda day, random: 50 + 40 * np.sin(2 * np.pi * day) + random.normal(0, 2),
    "a step at the beginning": lambda day, random: (0 if day < 1 else 900) + random.normal(0, 1),
    "a walk about a level": lambda day, random: 100 + 3 * random.standard_cauchy(),
}
# Two days say nothing of these yet.
SLOW_LOOKALIKES: dict[str, Callable[[float, Random], float]] = {
    "a sawtooth of two days": lambda day, random: 100 * (day % 2) + random.normal(0, 2),
    "one step": lambda day, random: (100 if day < 6.3 else 900) + random.normal(0, 1),
    "a step at the end": lambda day, random: (0 if day < 12.5 else 900) + random.normal(0, 1),
    "a restart": lambda day, random: 10 * (day if day < 7.1 else day - 7.1) + random.normal(0, 1),
    "growth and a cleanup": lambda day, random: (
        20 * day - (0 if day < 7 else 110) + random.normal(0, 1)
    ),
    # There is a line, but its end is not where the series is now.
    "growth and a load of late": lambda day, random: (
        10 * day + (0 if day < 11.5 else 900) + random.normal(0, 0.1)
    ),
    "growth that stopped": lambda day, random: 100 * min(day, 7) + random.normal(0, 1),
}


@pytest.mark.parametrize(
    ("name", "days"),
    [
        *((name, days) for name in LOOKALIKES for days in (2.1, 3, 8, 14)),
        *((name, 14) for name in SLOW_LOOKALIKES),
    ],
)
def test_what_looks_like_a_trend(name: str, days: float) -> None:
    value = {**LOOKALIKES, **SLOW_LOOKALIKES}[name]
    for seed in SEEDS:
        found = line(hours(int(days * 24), partial(_swapped, value, random(seed))))
        assert found is None, (seed, found)


def _swapped(value: Callable[[float, Random], float], numbers: Random, day: float) -> float:
    return value(day, numbers)


def test_too_little_history_has_no_trend() -> None:
    assert line(hours(47, lambda day: 100 * day)) is None
    assert line(hours(0, lambda day: 0.0)) is None
    # Two days, of which most is missing.
    assert line(hours(60, lambda day: 100 * day, gap=range(10, 50))) is None
    assert line(hours(60, lambda day: 100 * day)) is not None


def habit(numbers: Random, day: float) -> float:
    """Busy by day, quiet at night, and never quite the same."""
    return float(1000 + 800 * np.sin(2 * np.pi * day) + numbers.normal(0, 40))


@pytest.mark.parametrize("factor", [5.0, 0.1])
@pytest.mark.parametrize("hour", [0, 6, 12])
@pytest.mark.parametrize("days", [7, 28])
def test_the_last_hour_is_unlike_the_same_hour_of_past_days(
    factor: float, hour: int, days: int
) -> None:
    samples = hours(days * 24 + hour + 1, partial(habit, random(hour)))
    assert unusual(samples, floor=1.0) is None
    samples.values[-1] *= factor
    found = unusual(samples, floor=1.0)
    assert found is not None
    assert found.value == samples.values[-1]
    assert found.usual == pytest.approx(habit(random(1), hour / 24), rel=0.1)
    assert found.days == days


@pytest.mark.parametrize("seed", SEEDS)
def test_noise_and_daily_cycles_are_usual(seed: int) -> None:
    samples = hours(24 * 28, partial(habit, random(seed)))
    assert (
        sum(
            unusual(Samples(samples.times[:end], samples.values[:end]), floor=1.0) is not None
            for end in range(24 * 8, len(samples.times))
        )
        <= 1
    )


def test_a_quiet_series_does_not_shout() -> None:
    quiet = hours(24 * 14 + 1, lambda day: 0.0)
    quiet.values[-1] = 4.9
    assert unusual(quiet, floor=5.0) is None
    quiet.values[-1] = 5.1
    assert unusual(quiet, floor=5.0) is not None
    even = hours(24 * 14 + 1, lambda day: 1000.0)
    even.values[-1] = 1400.0
    assert unusual(even, floor=5.0) is None


def test_what_has_been_there_before_is_usual() -> None:
    """A job that runs once a week, at the same hour."""
    weekly = hours(24 * 21 + 1, lambda day: 5000.0 if day % 7 == 0 else 10.0)
    assert weekly.values[-1] == 5000.0
    assert unusual(weekly, floor=1.0) is None


def test_six_past_days_are_too_few() -> None:
    samples = hours(24 * 6 + 1, lambda day: 10.0)
    samples.values[-1] = 1e6
    assert unusual(samples, floor=1.0) is None
    assert unusual(hours(0, lambda day: 0.0), floor=1.0) is None


def test_rates_of_hours_without_those_in_which_the_counter_began_anew() -> None:
    counts = hours(6, lambda day: [0.0, 3600.0, 7200.0, 100.0, 3700.0, 3700.0][round(day * 24)])
    rates = hourly_rates(counts)
    assert rates.values.tolist() == [1.0, 1.0, 1.0, 0.0]
    assert rates.times.tolist() == [counts.times[each] for each in (1, 2, 4, 5)]
    apart = hours(5, lambda day: 3600 * day * 24, gap=range(2, 3))
    assert hourly_rates(apart).times.tolist() == [START_MS + HOUR_MS, START_MS + 4 * HOUR_MS]
    assert DAY_MS == 24 * HOUR_MS
