"""What numbers would be as times: midnights or not, and of our days or not."""

from typing import Final

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
