"""Dates and times of day of whole arrays: the same results as `instants`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from dbopsd.migrate.importer.conversion.base import layout, numbers, present_rows
from dbopsd.migrate.importer.conversion.instants import (
    DAY_MS,
    DAY_US,
    END_US,
    FIRST_US,
    MICROSECOND_DIGITS,
    SECOND_US,
    TIME,
    TIMESTAMP,
    UNITS_US,
    UNIX_EPOCH_JULIAN,
    UNIX_EPOCH_US,
)

_Micros = np.ndarray[Any, np.dtype[np.int64]]
_Mask = np.ndarray[Any, np.dtype[np.bool_]]

# The day on which each month begins, from January of year 0 on, which no value may have.
_MONTHS: Final = (
    np.arange("0000-01", "10000-02", dtype="datetime64[M]").astype("datetime64[D]")
    - np.datetime64("2000-01-01", "D")
).astype(np.int64)
_DAYS: Final = np.diff(_MONTHS)
_DAYS[:12] = 0
_MONTHS_A_YEAR: Final = 12


_LONGEST: Final = 48
# Whatever has more shapes of one length is a mess, which is looked at value by value.
_MOST_SHAPES: Final = 4

_ZERO: Final = ord("0")
_SHAPE: Final = np.arange(256, dtype=np.uint8)
_SHAPE[_ZERO : ord("9") + 1] = _ZERO


@dataclass(frozen=True)
class Shaped:
    """Texts of one shape."""

    shape: bytes
    rows: np.ndarray[Any, np.dtype[np.int64]]
    digits: np.ndarray[Any, np.dtype[np.uint8]]
    """A row for each text, a column for each byte: the digit that stands there."""

    def number(self, span: tuple[int, int]) -> np.ndarray[Any, np.dtype[np.int64]]:
        """The decimal numbers that stand in some columns; 0 where there are none."""
        result = np.zeros(len(self.rows), np.int64)
        for column in range(*span):
            result = result * 10 + self.digits[:, column]
        return result


def shaped(values: pa.Array) -> Iterator[Shaped]:
    """The texts by shape. Those of rare shapes and the long ones are not among them."""
    where = layout(values)
    rows = present_rows(values)
    lengths = where.lengths[rows]
    for length in np.flatnonzero(np.bincount(lengths[lengths <= _LONGEST])):
        if length == 0:
            continue
        rest = rows[lengths == length]
        if len(rest) == len(values):
            beginning = int(where.starts[0])
            octets = where.data[beginning : beginning + len(rest) * length].reshape(-1, length)
        else:
            octets = where.data[where.starts[rest][:, None] + np.arange(length)]
        for _ in range(_MOST_SHAPES):
            shape = _SHAPE[octets[0]]
            # What differs from its shape: a digit by its value, anything else by nothing.
            digits = octets ^ shape
            fits = digits <= np.where(shape == _ZERO, np.uint8(9), np.uint8(0))
            if fits.all():
                yield Shaped(shape.tobytes(), rest, digits)
                break
            same = fits.all(axis=1)
            yield Shaped(shape.tobytes(), rest[same], digits[same])
            rest, octets = rest[~same], octets[~same]


def read_timestamps(values: pa.Array, *, zoned: bool) -> tuple[_Micros, _Mask]:
    """Microseconds since 2000-01-01, of UTC if `zoned`; and whether they are known.

    Texts with a zone are known if `zoned` only.
    """
    micros = np.zeros(len(values), np.int64)
    good = np.zeros(len(values), bool)
    for each in shaped(values):
        match = TIMESTAMP.fullmatch(each.shape)
        if match is None or (match.span(8) != (-1, -1) and not zoned):
            continue
        year, month, day = (each.number(match.span(group)) for group in (1, 2, 3))
        month_index = np.clip(year * _MONTHS_A_YEAR + month - 1, 0, len(_DAYS) - 1)
        fits = (month >= 1) & (month <= _MONTHS_A_YEAR) & (day >= 1) & (day <= _DAYS[month_index])
        found = (_MONTHS[month_index] + day - 1) * DAY_US
        if match.span(4) != (-1, -1):
            time, exists = _times_of_day(each, [match.span(group) for group in (4, 5, 6, 7)])
            found += time
            fits &= exists
        if match[9] is not None:
            hours, minutes = each.number(match.span(10)), each.number(match.span(11))
            offset = (hours * 60 + minutes) * (60 * SECOND_US)
            found += offset if match[9] == b"-" else -offset
            fits &= (hours <= 23) & (minutes <= 59) & (found >= FIRST_US) & (found < END_US)
        micros[each.rows] = found
        good[each.rows] = fits
    return micros, good


def read_times(values: pa.Array) -> tuple[_Micros, _Mask]:
    """Microseconds since midnight, and whether they are known."""
    micros = np.zeros(len(values), np.int64)
    good = np.zeros(len(values), bool)
    for each in shaped(values):
        match = TIME.fullmatch(each.shape)
        if match is not None:
            spans = [match.span(group) for group in (1, 2, 3, 4)]
            micros[each.rows], good[each.rows] = _times_of_day(each, spans)
    return micros, good


def read_numbers(values: pa.Array, unit: str) -> tuple[_Micros, _Mask]:
    """Microseconds since 2000-01-01, and whether they are known."""
    found = numbers(values)
    if unit == "julian":
        with np.errstate(all="ignore"):
            milliseconds = np.rint((found.astype(np.float64) - UNIX_EPOCH_JULIAN) * DAY_MS)
        return _in_range(milliseconds, np.zeros(len(found)), 1000)
    if found.dtype == np.int64:
        return _in_range(found, np.zeros(len(found)), UNITS_US[unit])
    with np.errstate(all="ignore"):
        fraction, whole = np.modf(found)
    return _in_range(whole, np.rint(fraction * UNITS_US[unit]), UNITS_US[unit])


def _in_range(
    whole: np.ndarray[Any, np.dtype[Any]], micros: np.ndarray[Any, np.dtype[Any]], unit_us: int
) -> tuple[_Micros, _Mask]:
    # First roughly, so that nothing overflows.
    least, most = (FIRST_US - UNIX_EPOCH_US) // unit_us - 1, (END_US - UNIX_EPOCH_US) // unit_us + 1
    good = (whole >= least) & (whole <= most)
    counted = np.where(good, whole, 0).astype(np.int64) * unit_us
    counted += np.where(good, micros, 0).astype(np.int64) + UNIX_EPOCH_US
    return counted, good & (counted >= FIRST_US) & (counted < END_US)


def _times_of_day(each: Shaped, spans: list[tuple[int, int]]) -> tuple[_Micros, _Mask]:
    hour, minute, second = (each.number(span) for span in spans[:3])
    good = (hour <= 23) & (minute <= 59) & (second <= 59)
    micros = ((hour * 60 + minute) * 60 + second) * SECOND_US
    start, end = spans[3]
    if start >= 0:
        last = min(end, start + MICROSECOND_DIGITS)
        micros += each.number((start, last)) * 10 ** (MICROSECOND_DIGITS - (last - start))
        for column in range(last, end):
            good &= each.digits[:, column] == 0
    return micros, good
