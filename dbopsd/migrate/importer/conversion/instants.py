"""Dates and times of day as people write them and as numbers count them, one at a time."""

import math
import re
from dataclasses import dataclass
from datetime import date
from typing import Final

SECOND_US: Final = 10**6
DAY_US: Final = 86_400 * SECOND_US
EPOCH_DAY: Final = date(2000, 1, 1).toordinal()
"""PostgreSQL counts from here."""
UNIX_EPOCH_US: Final = (date(1970, 1, 1).toordinal() - EPOCH_DAY) * DAY_US
FIRST_US: Final = (date.min.toordinal() - EPOCH_DAY) * DAY_US
END_US: Final = (date.max.toordinal() + 1 - EPOCH_DAY) * DAY_US
"""The years 1 to 9999: what all have a notation for."""

UNIX_EPOCH_JULIAN: Final = 2_440_587.5
DAY_MS: Final = 86_400_000.0
UNITS_US: Final = {"s": 10**6, "ms": 10**3, "us": 1}

_TIME: Final = rb"([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]+))?)?"
_ZONE: Final = rb"(?: ?(?:[Zz]|([+-])([0-9]{2})(?::?([0-9]{2}))?))"
TIME: Final = re.compile(_TIME)
"""Groups: hour, minute, second, fraction."""
TIMESTAMP: Final = re.compile(
    rb"([0-9]{4})-([0-9]{2})-([0-9]{2})(?:[T ]" + _TIME + rb"(" + _ZONE + rb")?)?"
)
"""Groups: year, month, day; hour, minute, second, fraction; zone, its sign, hours, minutes."""
MICROSECOND_DIGITS: Final = 6


@dataclass(frozen=True)
class Instant:
    """A moment of the proleptic Gregorian calendar, without leap seconds, or a time of day."""

    micros: int
    """Microseconds since 2000-01-01, or since midnight, by a clock of its zone."""
    offset_us: int | None = None
    """How far its clock is ahead of UTC; None: it has no zone."""
    exact: bool = True
    """Whether it has no digits beyond microseconds but zeros."""


def read_timestamp(text: bytes) -> Instant | None:
    """What `2024-01-31 10:00:00.5+02` means; None: it is no date and no timestamp."""
    match = TIMESTAMP.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, zone, sign, hours, minutes = match.groups()
    try:
        days = date(int(year), int(month), int(day)).toordinal() - EPOCH_DAY
    except ValueError:
        return None
    time = _time_of_day(hour or b"0", minute or b"0", second, fraction)
    offset = None if zone is None else _offset_us(sign, hours, minutes)
    if time is None or (zone is not None and offset is None):
        return None
    return Instant(days * DAY_US + time.micros, offset, time.exact)


def read_time(text: bytes) -> Instant | None:
    """What `10:00:00.5` means; None: it is no time of day."""
    match = TIME.fullmatch(text)
    return None if match is None else _time_of_day(*match.groups())


def read_number(number: float, unit: str) -> int | None:
    """Microseconds since 2000-01-01 of what counts `unit` since 1970, or Julian days.

    None: it is not in the years 1 to 9999.
    """
    if not math.isfinite(number):
        return None
    if unit == "julian":
        # A double has no more of a Julian day of ours than milliseconds.
        milliseconds = (float(number) - UNIX_EPOCH_JULIAN) * DAY_MS
        since_unix = round(milliseconds) * 1000 if math.isfinite(milliseconds) else DAY_US**2
    elif isinstance(number, int):
        since_unix = number * UNITS_US[unit]
    else:
        fraction, whole = math.modf(number)
        since_unix = int(whole) * UNITS_US[unit] + round(fraction * UNITS_US[unit])
    micros = since_unix + UNIX_EPOCH_US
    return micros if FIRST_US <= micros < END_US else None


def _time_of_day(
    hour: bytes, minute: bytes, second: bytes | None, fraction: bytes | None
) -> Instant | None:
    seconds = int(second or b"0")
    if int(hour) > 23 or int(minute) > 59 or seconds > 59:
        return None
    digits = fraction or b""
    micros = int(digits[:MICROSECOND_DIGITS].ljust(MICROSECOND_DIGITS, b"0"))
    exact = not digits[MICROSECOND_DIGITS:].strip(b"0")
    return Instant(
        ((int(hour) * 60 + int(minute)) * 60 + seconds) * SECOND_US + micros, None, exact
    )


def _offset_us(sign: bytes | None, hours: bytes | None, minutes: bytes | None) -> int | None:
    if sign is None:
        return 0
    if int(hours or b"0") > 23 or int(minutes or b"0") > 59:
        return None
    offset = (int(hours or b"0") * 60 + int(minutes or b"0")) * 60 * SECOND_US
    return -offset if sign == b"-" else offset
