"""PostgreSQL's numeric on the wire, as `numeric_send` gives it.

Four 16-bit numbers (how many digits, the weight of the first one, the sign, how many decimal
digits are shown after the point), and the digits of base 10000, without zeros at either end.
"""

import struct
from typing import Any, Final

import numpy as np
import pyarrow as pa

from dbopsd.migrate.importer.conversion.base import binary
from dbopsd.migrate.importer.conversion.decimals import Plain

_NEGATIVE: Final = 0x4000
_SPECIAL: Final = {0xC000: "NaN", 0xD000: "Infinity", 0xF000: "-Infinity"}
_HEADER: Final = struct.Struct(">HhHH")
_BASE: Final = np.uint64(10_000)
# An unsigned 64-bit number has five digits of base 10000 at most.
_MOST_DIGITS: Final = 5

# What the server itself sends: the bits of the sign leave a mark where the scale is looked for.
POSITIVE_INFINITY: Final = _HEADER.pack(0, 0, 0xD000, 0x20)
NEGATIVE_INFINITY: Final = _HEADER.pack(0, 0, 0xF000, 0x20)


def encode(number: Plain) -> bytes:
    """The bytes of one number."""
    before = number.digits[: max(0, number.before_point)]
    after = number.digits[len(before) :].rjust(number.scale, "0")
    before = before.rjust(-(-len(before) // 4) * 4, "0")
    after = after.ljust(-(-len(after) // 4) * 4, "0")
    text = before + after
    groups = [int(text[at : at + 4]) for at in range(0, len(text), 4)]
    weight = len(before) // 4 - 1
    first = next((at for at, group in enumerate(groups) if group), len(groups))
    last = next((at for at in range(len(groups), first, -1) if groups[at - 1]), first)
    groups = groups[first:last]
    if not groups:
        return _HEADER.pack(0, 0, 0, number.scale)
    sign = _NEGATIVE if number.negative else 0
    header = _HEADER.pack(len(groups), weight - first, sign, number.scale)
    return header + struct.pack(f">{len(groups)}H", *groups)


def encode_array(
    numbers: np.ndarray[Any, np.dtype[np.int64]],
    scales: np.ndarray[Any, np.dtype[np.int64]],
    shown: np.ndarray[Any, np.dtype[np.int64]],
    null: np.ndarray[Any, np.dtype[np.bool_]],
) -> pa.Array:
    """The bytes of `numbers / 10**scales`, with `shown` digits after the point.

    Numbers with a scale are less than 10**15.
    """
    rows = len(numbers)
    fraction_digits = (scales + 3) // 4
    rest = np.abs(numbers).view(np.uint64)
    rest *= np.power(10, 4 * fraction_digits - scales).astype(np.uint64)
    digits = np.zeros((rows, _MOST_DIGITS), np.int16)
    high = np.full(rows, -1)
    low = np.full(rows, _MOST_DIGITS)
    for at in range(_MOST_DIGITS):
        rest, digit = np.divmod(rest, _BASE)
        digits[:, at] = digit
        found = digit != 0
        high[found] = at
        low[found & (low == _MOST_DIGITS)] = at
        if not rest.any():
            break
    zero = high < 0
    count = np.where(zero, 0, high - low + 1)
    most = int(count.max(initial=0))
    fields = np.empty((rows, 4 + most), ">i2")
    fields[:, 0] = count
    fields[:, 1] = np.where(zero, 0, high - fraction_digits)
    fields[:, 2] = np.where(numbers < 0, _NEGATIVE, 0)
    fields[:, 3] = shown
    places = high[:, None] - np.arange(most)
    fields[:, 4:] = np.take_along_axis(digits, np.maximum(places, 0), axis=1)
    used = np.where(null, 0, 4 + count)
    kept = fields[np.arange(4 + most) < used[:, None]]
    return binary(kept.view(np.uint8), used * 2, null)


def decode(data: bytes) -> str:
    """The number as PostgreSQL writes it."""
    count, weight, sign, scale = _HEADER.unpack_from(data)
    if sign in _SPECIAL:
        return _SPECIAL[sign]
    groups = struct.unpack_from(f">{count}H", data, _HEADER.size)
    text = "".join(f"{group:04d}" for group in groups)
    point = 4 * (weight + 1)
    if point < 0:
        text, point = "0" * -point + text, 0
    text = text.ljust(point + scale, "0")
    before = text[:point].lstrip("0") or "0"
    after = text[point : point + scale]
    number = f"{before}.{after}" if after else before
    return f"-{number}" if sign == _NEGATIVE else number
