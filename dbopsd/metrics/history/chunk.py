"""A chunk: the samples of one series in one span of time, in about 1.2 bytes each.

Times are in milliseconds. Values are made whole numbers by a power of ten where that loses
nothing; of both, the differences are written, the sign in the lowest bit, the bytes by their
significance, and all of it deflated. Values that no power of ten makes whole are written as they
are, bytes by significance.
"""

import struct
import zlib
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from dbopsd.metrics.errors import HistoryDamaged

Times = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]

_HEAD: Final = struct.Struct("<BBI")
_VERSION: Final = 1
_AS_THEY_ARE: Final = 255
_MOST_DIGITS: Final = 9
# Below it every whole number is a float of its own.
_EXACT: Final = 2.0**53
_LEVEL: Final = 6


class Samples(NamedTuple):
    """Samples of a series: times in ms since 1970, ascending, and their values."""

    times: Times
    values: Values


def encode(samples: Samples) -> bytes:
    """Write a chunk. Values must be finite."""
    digits, whole = _whole(samples.values)
    numbers = _shuffled(samples.values.view(np.uint64)) if whole is None else _differences(whole)
    body = zlib.compress(_differences(samples.times) + numbers, _LEVEL)
    return _HEAD.pack(_VERSION, digits, len(samples.times)) + body


def decode(chunk: bytes) -> Samples:
    """Read a chunk. Raises `HistoryDamaged`."""
    try:
        version, digits, count = _HEAD.unpack_from(chunk)
        body = memoryview(zlib.decompress(memoryview(chunk)[_HEAD.size :]))
        if version != _VERSION:
            raise HistoryDamaged(f"a chunk has version {version}")
        times, rest = _summed(body, count)
        if digits == _AS_THEY_ARE:
            values = _unshuffled(rest, count, 8).view(np.float64)
        else:
            whole, rest = _summed(rest, count)
            values = whole / 10.0**digits
    except (struct.error, zlib.error, ValueError) as error:
        raise HistoryDamaged(f"a chunk cannot be read: {error}") from error
    return Samples(times, values)


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
        return bytes(9)
    steps = np.diff(numbers)
    # The sign in the lowest bit: small steps down are small numbers too.
    signed = ((steps << 1) ^ (steps >> 63)).view(np.uint64)
    most = int(signed.max()) if len(signed) else 0
    width = next(each for each in (1, 2, 4, 8) if most < 1 << (8 * each))
    return (
        bytes((width,))
        + int(numbers[0]).to_bytes(8, "little", signed=True)
        + _shuffled(signed.astype(f"<u{width}"))
    )


def _summed(body: memoryview, count: int) -> tuple[npt.NDArray[np.int64], memoryview]:
    """The numbers that `_differences` wrote, and what follows them."""
    width = body[0]
    if not count:
        return np.empty(0, np.int64), body[9:]
    first = int.from_bytes(body[1:9], "little", signed=True)
    end = 9 + width * (count - 1)
    signed = _unshuffled(body[9:end], count - 1, width).astype(np.uint64)
    steps = (signed >> np.uint64(1)).view(np.int64) ^ -(signed & np.uint64(1)).view(np.int64)
    return np.cumsum(np.concatenate((np.array([first]), steps)), dtype=np.int64), body[end:]


def _shuffled(numbers: npt.NDArray[np.unsignedinteger[npt.NBitBase]]) -> bytes:
    """The lowest bytes of all numbers, then the next ones: what is alike stands together."""
    return numbers.view(np.uint8).reshape(len(numbers), numbers.itemsize).T.tobytes()


def _unshuffled(body: memoryview, count: int, width: int) -> npt.NDArray[np.uint64]:
    planes = np.frombuffer(body[: count * width], np.uint8).reshape(width, count)
    return np.ascontiguousarray(planes.T).view(f"<u{width}").reshape(count)
