"""In which unit numbers are times, and where that is not certain."""

import pytest

from dbopsd.migrate.importer.model.source_profile import ColumnProfile
from dbopsd.migrate.importer.plan.time_units import doubt, unit_of


def integers(low: int, high: int, **found: int) -> ColumnProfile:
    return ColumnProfile(rows=2, integers=2, min_integer=low, max_integer=high, **found)


EARLY = "are times of January or February 1970"


@pytest.mark.parametrize(
    ("found", "doubted"),
    [
        (integers(0, 1_704_067_200, likely_seconds=1), []),
        (integers(0, 1_704_067_200_000, likely_milliseconds=1), []),
        (
            integers(1, 1_704_067_200_000, likely_seconds=1200),
            [f"1,200 numbers, read as milliseconds, {EARLY}, and may be seconds"],
        ),
        (
            integers(1, 10**15, likely_seconds=1, likely_milliseconds=2),
            [
                f"1 numbers, read as microseconds, {EARLY}, and may be seconds",
                f"2 numbers, read as microseconds, {EARLY}, and may be milliseconds",
            ],
        ),
        (
            integers(19_000_101, 21_001_231),
            ["integers from 19000101 to 21001231, read as seconds, may be years, months and days"],
        ),
        (integers(19_000_100, 20_240_131), []),
        (integers(20_240_131, 21_001_232), []),
        (ColumnProfile(), []),
    ],
)
def test_what_may_be_another_unit_is_doubted(found: ColumnProfile, doubted: list[str]) -> None:
    unit, _ = unit_of(found)
    assert doubt(found, unit) == "; ".join(doubted)
