"""A chunk holds exactly what was put into it, in few bytes."""

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbopsd.metrics.errors import HistoryDamaged
from dbopsd.metrics.history.chunk import Rows, decode, decode_all, encode

TIMES = st.lists(st.integers(-(2**50), 2**50), max_size=40, unique=True).map(sorted)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.one_of(
    FLOATS,
    st.integers(-(2**53), 2**53).map(float),
    st.decimals(-(10**6), 10**6, places=3).map(float),
    st.sampled_from((0.0, 1e300, 5e-324, 0.1, 2.0**53, 2.0**53 - 1, 1.7976931348623157e308)),
)


@st.composite
def rows(draw: st.DrawFn) -> Rows:
    times = draw(TIMES)
    count = draw(st.integers(1, 3))
    return made(
        times,
        *(draw(st.lists(VALUES, min_size=len(times), max_size=len(times))) for _ in range(count)),
    )


def made(times: list[int], *values: list[float]) -> Rows:
    return Rows(np.array(times, np.int64), tuple(np.array(each, float) for each in values))


def assert_same(found: Rows, wanted: Rows) -> None:
    assert found.times.dtype == np.int64
    assert found.times.tolist() == wanted.times.tolist()
    assert [each.tolist() for each in found.rows] == [each.tolist() for each in wanted.rows]


@given(rows())
def test_it_gives_back_every_bit(wanted: Rows) -> None:
    assert_same(decode(encode(wanted)), wanted)


@given(st.lists(rows(), max_size=6))
def test_many_are_read_at_once_as_one_by_one(wanted: list[Rows]) -> None:
    found = decode_all([encode(each) for each in wanted])
    for one, other in zip(found, wanted, strict=True):
        assert_same(one, other)


@pytest.mark.parametrize("count", [0, 1, 2, 360])
@pytest.mark.parametrize("step", [0.0, 1.0, 0.1, 1e-9, 1 / 3, 2.0**52])
def test_lengths_and_widths(count: int, step: float) -> None:
    wanted = made(list(range(count)), [step * each for each in range(count)])
    assert_same(decode(encode(wanted)), wanted)


def test_what_changes_little_takes_little() -> None:
    times = [1_790_000_000_000 + 10_000 * each + each % 7 for each in range(360)]
    still = made(times, [123456789.0] * 360)
    creeping = made(times, [1e9 + 3.0 * each for each in range(360)])
    tenths = made(times, [round(20 + each % 5 * 0.1, 1) for each in range(360)])
    for samples in (still, creeping, tenths):
        assert len(encode(samples)) < 0.5 * 360


@given(rows(), st.data())
def test_what_is_damaged_is_said_to_be_or_is_of_another_chunk(
    wanted: Rows, data: st.DataObject
) -> None:
    """Cut off or with another byte, it raises nothing but HistoryDamaged."""
    chunk = encode(wanted)
    place = data.draw(st.integers(0, len(chunk) - 1))
    with pytest.raises(HistoryDamaged):
        decode(chunk[:place])
    other = bytes((chunk[place] ^ data.draw(st.integers(1, 255)),))
    with contextlib.suppress(HistoryDamaged):
        decode(chunk[:place] + other + chunk[place + 1 :])
