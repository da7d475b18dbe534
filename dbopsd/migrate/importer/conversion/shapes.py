"""Texts of one shape as matrices: `2024-01-31` and `1999-12-31` both have the shape `0000-00-00`.

What stands in a column of such a matrix is a digit at one place for all of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from dbopsd.migrate.importer.conversion.conversion import layout, there

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
    rows = there(values)
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
