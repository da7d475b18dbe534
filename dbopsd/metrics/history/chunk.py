"""A chunk: the samples of one series in one span of time, in about 1.2 bytes each.

Times are in milliseconds. Values are made whole numbers by a power of ten where that loses
nothing; of both, the differences are written, the sign in the lowest bit, the bytes by their
significance, and all of it deflated. Values that no power of ten makes whole are written as they
are, bytes by significance.
"""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from dbopsd.metrics.errors import HistoryDamaged

Times = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]

# Version, rows, samples; then a byte a row.
_HEAD: Final = struct.Struct("<BBI")
_VERSION: Final = 2
_AS_THEY_ARE: Final = 255
_MOST_DIGITS: Final = 9
# Below it every whole number is a float of its own.
_EXACT: Final = 2.0**53
_LEVEL: Final = 6
_FIRST: Final = 9
_WIDTHS: Final = (1, 2, 4, 8)


class Samples(NamedTuple):
    """Samples of a series: times in ms since 1970, ascending, and their values."""

    times: Times
    values: Values


class Rows(NamedTuple):
    """Times in ms since 1970, ascending, and one or more rows of values at these times."""

    times: Times
    rows: tuple[Values, ...]


def encode(samples: Rows) -> bytes:
    """Write a chunk. Values must be finite; of a zero the sign is lost."""
    digits, blocks = [], [_differences(samples.times)]
    for values in samples.rows:
        of_row, whole = _whole(values)
        digits.append(of_row)
        blocks.append(_shuffled(values.view(np.uint64)) if whole is None else _differences(whole))
    head = _HEAD.pack(_VERSION, len(digits), len(samples.times)) + bytes(digits)
    return head + zlib.compress(b"".join(blocks), _LEVEL)


def decode(chunk: bytes) -> Rows:
    """Read a chunk. Raises `HistoryDamaged`."""
    return decode_all([chunk])[0]


def decode_all(chunks: Sequence[bytes]) -> list[Rows]:
    """Read many chunks at once, which takes a third of the time. Raises `HistoryDamaged`."""
    try:
        blocks = [_blocks(chunk) for chunk in chunks]
        _read([block for of_chunk in blocks for block in of_chunk])
    except (struct.error, zlib.error, ValueError, IndexError) as error:
        raise HistoryDamaged(f"a chunk cannot be read: {error}") from error
    return [
        Rows(of_chunk[0].numbers, tuple([block.numbers for block in of_chunk[1:]]))
        for of_chunk in blocks
    ]


@dataclass(slots=True)
class _Block:
    """Times or a row within the body of a chunk, and once it is read, the numbers.

    `digits`: how many of a row are behind the point; None for times.
    """

    width: int
    count: int
    first: int
    digits: int | None
    body: bytes
    numbers: npt.NDArray[Any]


_NOTHING: Final = np.empty(0, np.int64)
_NO_VALUES: Final = np.empty(0)


def _blocks(chunk: bytes) -> list[_Block]:
    version, rows, count = _HEAD.unpack_from(chunk)
    if version != _VERSION:
        raise ValueError(f"it has version {version}")
    start = _HEAD.size + rows
    body = zlib.decompress(chunk[start:])
    found = []
    place = 0
    for digits in (None, *chunk[_HEAD.size : start]):
        if digits == _AS_THEY_ARE:
            end = place + 8 * count
            block = _Block(8, count, 0, digits, body[place:end], _NO_VALUES)
        else:
            width = body[place]
            first = int.from_bytes(body[place + 1 : place + _FIRST], "little", signed=True)
            place += _FIRST
            end = place + width * max(count - 1, 0)
            block = _Block(width, max(count - 1, 0), first, digits, body[place:end], _NOTHING)
            if count == 1:
                block.numbers = _numbers(np.array([[first]], np.int64), [block])[0]
            elif digits is not None:
                block.numbers = _NO_VALUES
        if block.width not in _WIDTHS or len(block.body) != block.width * block.count:
            raise ValueError("it is too short")
        found.append(block)
        place = end
    return found


def _read(blocks: Sequence[_Block]) -> None:
    """Fill in the numbers of all blocks, those of one shape together."""
    shapes: dict[tuple[int, int, bool, bool], list[_Block]] = {}
    # Series of one collector have their times in common, and many have values that stand still.
    read: dict[tuple[int | None, int, bytes], _Block] = {}
    alike: list[tuple[_Block, _Block]] = []
    for block in blocks:
        if not block.count:
            continue
        first = read.setdefault((block.digits, block.first, block.body), block)
        if first is not block:
            alike.append((block, first))
            continue
        as_they_are = block.digits == _AS_THEY_ARE
        shape = (block.width, block.count, as_they_are, block.digits is None)
        shapes.setdefault(shape, []).append(block)
    for (width, count, as_they_are, _), of_shape in shapes.items():
        planes = np.frombuffer(b"".join([block.body for block in of_shape]), np.uint8)
        by_number = planes.reshape(len(of_shape), width, count).transpose(0, 2, 1)
        raw = np.ascontiguousarray(by_number).view(f"<u{width}").reshape(len(of_shape), count)
        if as_they_are:
            for block, numbers in zip(of_shape, raw.view(np.float64), strict=True):
                block.numbers = numbers
            continue
        steps = np.empty((len(of_shape), count + 1), np.int64)
        steps[:, 0] = [block.first for block in of_shape]
        steps[:, 1:] = (raw >> 1).astype(np.int64) ^ -(raw & 1).astype(np.int64)
        np.cumsum(steps, axis=1, out=steps)
        for block, numbers in zip(of_shape, _numbers(steps, of_shape), strict=True):
            block.numbers = numbers
    for block, first in alike:
        block.numbers = first.numbers


def _numbers(whole: npt.NDArray[np.int64], blocks: Sequence[_Block]) -> npt.NDArray[Any]:
    """Times as they are, and of rows the values, a line a block; blocks are all of one kind."""
    if blocks[0].digits is None:
        return whole
    values: Values = whole / np.array([[10.0 ** (block.digits or 0)] for block in blocks])
    return values


def _whole(values: Values) -> tuple[int, npt.NDArray[np.int64] | None]:
    """The digits behind the point that make every value whole, and those whole numbers."""
    if len(values) and float(np.abs(values).max()) >= _EXACT:
        return _AS_THEY_ARE, None
    for digits in range(_MOST_DIGITS + 1):
        factor = 10.0**digits
        scaled = np.rint(values * factor)
        if len(values) and float(np.abs(scaled).max()) >= _EXACT:
            break
        if np.array_equal(scaled / factor, values):
            return digits, scaled.astype(np.int64)
    return _AS_THEY_ARE, None


def _differences(numbers: npt.NDArray[np.int64]) -> bytes:
    """The width in bytes of a difference, the first number, and the differences."""
    if not len(numbers):
        return bytes((1, *bytes(8)))
    steps = np.diff(numbers)
    # The sign in the lowest bit: small steps down are small numbers too.
    signed = ((steps << 1) ^ (steps >> 63)).view(np.uint64)
    most = int(signed.max()) if len(signed) else 0
    width = next(each for each in _WIDTHS if most < 1 << (8 * each))
    return (
        bytes((width,))
        + int(numbers[0]).to_bytes(8, "little", signed=True)
        + _shuffled(signed.astype(f"<u{width}"))
    )


def _shuffled(numbers: npt.NDArray[np.unsignedinteger[Any]]) -> bytes:
    """The lowest bytes of all numbers, then the next ones: what is alike stands together."""
    return numbers.view(np.uint8).reshape(len(numbers), numbers.itemsize).T.tobytes()
