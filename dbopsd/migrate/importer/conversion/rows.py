"""Split and join the rows of a binary COPY."""

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

_COUNT: Final = struct.Struct(">h")
_LENGTH: Final = struct.Struct(">i")
_NULL: Final = _LENGTH.pack(-1)


def split_row(row: bytes) -> list[bytes | None]:
    """The fields of a row; None: NULL."""
    (count,) = _COUNT.unpack_from(row)
    fields: list[bytes | None] = []
    at = _COUNT.size
    for _ in range(count):
        (length,) = _LENGTH.unpack_from(row, at)
        at += _LENGTH.size
        if length < 0:
            fields.append(None)
        else:
            fields.append(row[at : at + length])
            at += length
    return fields


def split_rows(data: bytes) -> Iterator[bytes]:
    """The rows that lie one after the other in `data`."""
    at = 0
    while at < len(data):
        start = at
        (count,) = _COUNT.unpack_from(data, at)
        at += _COUNT.size
        for _ in range(count):
            (length,) = _LENGTH.unpack_from(data, at)
            at += _LENGTH.size + max(length, 0)
        yield data[start:at]


def join_row(fields: Sequence[bytes | None]) -> bytes:
    """The row of some fields."""
    return _COUNT.pack(len(fields)) + b"".join(_parts(fields))


def _parts(fields: Iterable[bytes | None]) -> Iterable[bytes]:
    for field in fields:
        yield _NULL if field is None else _LENGTH.pack(len(field)) + field
