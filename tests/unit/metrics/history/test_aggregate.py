"""Samples within steps: the grid, every aggregation, and counters that begin anew."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbopsd.metrics.history.aggregate import Aggregation, aggregate, grown, reset_times
from dbopsd.metrics.history.chunk import Samples

COUNTS = st.lists(st.integers(0, 1000).map(float), min_size=2, max_size=50)


def samples(*pairs: tuple[int, float]) -> Samples:
    return Samples(
        np.array([at for at, _ in pairs], np.int64), np.array([v for _, v in pairs], float)
    )


def points(found: Samples) -> list[tuple[int, float]]:
    return list(zip(found.times.tolist(), found.values.tolist(), strict=True))


FOUR = samples((0, 99.0), (1, 1.0), (10, 2.0), (11, 6.0), (30, 5.0), (31, 99.0))


@pytest.mark.parametrize(
    ("how", "wanted"),
    [
        (Aggregation.LAST, [2.0, 6.0, 5.0]),
        (Aggregation.MEAN, [1.5, 6.0, 5.0]),
        (Aggregation.MIN, [1.0, 6.0, 5.0]),
        (Aggregation.MAX, [2.0, 6.0, 5.0]),
        (Aggregation.QUANTILE, [1.25, 6.0, 5.0]),
    ],
)
def test_a_point_is_at_the_end_of_each_step_with_samples(
    how: Aggregation, wanted: list[float]
) -> None:
    """The start is not part of the first step, the end is part of the last one."""
    found = aggregate(FOUR, start_ms=0, end_ms=30, step_ms=10, how=how, quantile=0.25)
    assert points(found) == list(zip([10, 20, 30], wanted, strict=True))


def test_a_rate_takes_in_the_sample_before_and_counts_a_reset_from_0() -> None:
    counts = samples((0, 100.0), (10_000, 150.0), (20_000, 30.0), (50_000, 60.0))
    rate = aggregate(counts, start_ms=0, end_ms=60_000, step_ms=20_000, how=Aggregation.RATE)
    assert points(rate) == [(20_000, (50 + 30) / 20), (60_000, 1.0)]
    increase = aggregate(
        counts, start_ms=0, end_ms=60_000, step_ms=20_000, how=Aggregation.INCREASE
    )
    assert points(increase) == [(20_000, 80.0), (60_000, 30.0)]
    assert reset_times(counts).tolist() == [20_000]


def test_without_samples_there_are_no_points() -> None:
    for how in Aggregation:
        for nothing in (samples(), samples((5, 1.0)), samples((99, 1.0))):
            found = aggregate(nothing, start_ms=10, end_ms=90, step_ms=10, how=how)
            assert points(found) == []


@given(COUNTS, st.integers(1, 7))
def test_a_counter_never_grows_by_less_than_nothing(values: list[float], step: int) -> None:
    counts = samples(*enumerate(values))
    assert (grown(counts) >= 0).all()
    for how in (Aggregation.RATE, Aggregation.INCREASE):
        found = aggregate(counts, start_ms=0, end_ms=len(values), step_ms=step, how=how)
        assert (found.values >= 0).all()
        assert np.isfinite(found.values).all()


@given(COUNTS, st.integers(1, 7))
def test_no_growth_is_lost_or_counted_twice_by_steps(values: list[float], step: int) -> None:
    counts = samples(*enumerate(values))
    found = aggregate(
        counts, start_ms=0, end_ms=len(values), step_ms=step, how=Aggregation.INCREASE
    )
    assert found.values.sum() == grown(counts).sum()
