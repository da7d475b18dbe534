"""SQL and functions for the digits of numbers, and for numbers that are times."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from dbopsd.migrate.importer.profile.text_shapes import digits_of

_SCALES: Final = range(9)
MORE_DIGITS: Final = 99
"""What `scale_sql` gives for the numbers that have to be written out."""
# Two decimal numbers of up to 15 digits are never the same double.
_EXACT: Final = 10**15


def scale_sql(value: str) -> str:
    """SQL for the digits after the point of a real, as its shortest round-trip decimal has them.

    `value` is an SQL expression. If a double is k / 10^n to the last bit and k has no more than 15
    digits, that is the only decimal of 15 digits for it, and so the shortest one. The division is
    exact: both are integers that a double holds, and the quotient is rounded once.
    """
    cases = " ".join(
        f"WHEN abs({value}) < {_EXACT // 10**scale}.0"
        f" AND round({value} * {10**scale}.0) / {10**scale}.0 = {value} THEN {scale}"
        for scale in _SCALES
    )
    return f"CASE {cases} ELSE {MORE_DIGITS} END"


def scale_of(numbers: Iterable[float]) -> int:
    """The most digits after the point of any of the finite numbers, written out."""
    return max(
        (digits_of(Decimal(repr(number)))[1] for number in numbers if abs(number) != float("inf")),
        default=0,
    )


def whole_digits(numbers: Iterable[int | float | None]) -> int:
    """The most digits before the point of any of the finite numbers."""
    return max(
        (
            digits_of(Decimal(repr(number)))[0]
            for number in numbers
            if number is not None and abs(number) != float("inf")
        ),
        default=0,
    )


# 1985 to 2099.
_OUR_DAYS_S: Final = (473_385_600, 4_102_444_800)
_UNITS_US: Final = {"s": 10**6, "ms": 10**3, "us": 1}
_DAY_US: Final = 86_400 * 10**6
# The years 1 to 9999: what is beyond is no time in PostgreSQL, and says nothing about its column.
_YEARS_DAYS: Final = (-719_162, 2_932_897)
_YEARS_JULIAN: Final = (1_721_425.5, 5_373_484.5)

UNITS: Final = (*_UNITS_US, "julian")


def off_midnight_sql(value: str, unit: str) -> str:
    """The condition that a number, read in the unit, is a time within a day.

    `value` is a column. Reals count to the microsecond, and Julian days, of which a
    double has no more, to the millisecond, as the conversion rounds them.
    """
    if unit == "julian":
        low, high = _YEARS_JULIAN
        real = f"abs({value} + 0.5 - round({value} + 0.5)) * 86400000.0 >= 0.5"
        integer = "TRUE"
    else:
        day = _DAY_US // _UNITS_US[unit]
        low, high = (days * day for days in _YEARS_DAYS)
        rest = f"abs({value} - round({value} / {day}.0) * {day}.0)"
        real = f"{rest} * {_UNITS_US[unit]}.0 > 0.5"
        integer = f"{value} % {day} <> 0"
    # Whatever collation the column has: it may not be there.
    number = f"{value} COLLATE BINARY"
    return (
        f"{number} >= {low} AND {number} < {high} AND CASE typeof({value})"
        f" WHEN 'integer' THEN {integer} WHEN 'real' THEN {real} END"
    )


def likely_sql(value: str, unit: str) -> str:
    """The condition that a number, read in the unit, is a time of our days.

    `value` is an SQL expression for it.
    """
    low, high = (seconds * 10**6 // _UNITS_US[unit] for seconds in _OUR_DAYS_S)
    return f"{value} >= {low} AND {value} < {high}"
