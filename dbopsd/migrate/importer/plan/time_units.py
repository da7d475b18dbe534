"""Finds the unit of numbers that are times."""

from collections.abc import Iterator
from typing import Final

from dbopsd.migrate.importer.model.plan import Plan
from dbopsd.migrate.importer.model.source_profile import ColumnProfile

# An epoch of today is 1.7e9 in seconds: a thousand times as much is milliseconds, and a million
# times as much microseconds. Between the three there is room for the years 1970 to 5138.
_SECONDS_BELOW: Final = 10**11
_MILLISECONDS_BELOW: Final = 10**14
# Julian days of the years 0 to 9999.
_JULIAN: Final = (1721059.5, 5373484.5)
# 1900-01-01 and 2100-12-31 with their digits as one number.
_DIGITS_OF_DATES: Final = (19_000_101, 21_001_231)
_OF_TIMES: Final = ("date", "timestamp", "timestamptz")
_WORDS: Final = {"ms": "milliseconds", "us": "microseconds"}


def unit_of(found: ColumnProfile) -> tuple[str, str]:
    """The unit of the numbers, by the largest of them, and why; empty: they are no times."""
    if found.reals and all(
        _JULIAN[0] <= number < _JULIAN[1]
        for number in (found.min_real, found.max_real, found.min_integer, found.max_integer)
        if number is not None
    ):
        # Noon is an integer: SQLite makes one of 2460311.0 in a column that is not REAL.
        return "julian", "numbers are Julian days"
    if found.integers:
        largest = max(abs(found.min_integer or 0), abs(found.max_integer or 0))
        if largest < _SECONDS_BELOW:
            return "s", "integers are seconds since 1970"
        if largest < _MILLISECONDS_BELOW:
            return "ms", "integers are milliseconds since 1970"
        return "us", "integers are microseconds since 1970"
    if found.reals:
        return "s", "reals are seconds since 1970"
    return "", ""


def doubt(found: ColumnProfile, unit: str) -> str:
    """Why the numbers may not be times in that unit, for people; empty: no reason."""
    first, last = _DIGITS_OF_DATES
    if unit == "s" and found.min_integer is not None and found.max_integer is not None:
        if first <= found.min_integer and found.max_integer <= last:
            return (
                f"integers from {found.min_integer} to {found.max_integer}, read as seconds, may be"
                " years, months and days"
            )
        return ""
    larger = {
        "ms": (("seconds", found.likely_seconds),),
        "us": (("seconds", found.likely_seconds), ("milliseconds", found.likely_milliseconds)),
    }
    told = [
        f"{count:,} numbers, read as {_WORDS[unit]}, are times of January or February 1970, and"
        f" may be {other}"
        for other, count in larger.get(unit, ())
        if count
    ]
    return "; ".join(told)


def ambiguous_time_notes(plan: Plan) -> Iterator[str]:
    """Notes on the columns that the plan reads as times without certainty."""
    for table in plan.tables:
        for column in table.columns:
            if column.doubt and column.conversion in _OF_TIMES:
                yield (
                    f"{table.source}.{column.source}: {column.doubt}; if they are, give the column"
                    " an `expression` in the mapping, else its `unit`"
                )
