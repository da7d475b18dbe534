"""The conversion to uuid."""

import re
from typing import ClassVar, Final

import numpy as np
import pyarrow as pa

from dbopsd.migrate.importer.conversion.base import (
    Bad,
    Conversion,
    Payload,
    Reason,
    Vector,
    binary,
    layout,
    present_rows,
)
from dbopsd.migrate.importer.conversion.values import Text, Value

_SIZE: Final = 16
_LENGTH: Final = 36
_HYPHENS: Final = (8, 13, 18, 23)
_DIGITS: Final = np.array([at for at in range(_LENGTH) if at not in _HYPHENS])
_HEX: Final = rb"[0-9A-Fa-f]"
_HYPHENATED: Final = b"-".join(b"%s{%d}" % (_HEX, count) for count in (8, 4, 4, 4, 12))
_BARE: Final = _HYPHENATED + rb"|" + _HEX + rb"{32}"
_TEXT: Final = re.compile(rb"(?:%s)|\{(?:%s)\}" % (_BARE, _BARE))

_NONE: Final = 255
_VALUES: Final = np.full(256, _NONE, np.uint8)
for _digit in b"0123456789abcdefABCDEF":
    _VALUES[_digit] = int(chr(_digit), 16)


class Uuid(Conversion):
    """32 hexadecimal digits, hyphenated or not, in braces or not; blobs of 16 bytes."""

    name = "uuid"
    types: ClassVar = {"uuid": pa.binary()}

    def convert_value(self, value: Value) -> Payload | Bad:
        match value:
            case Text() if _TEXT.fullmatch(value):
                return bytes.fromhex(value.strip(b"{}").replace(b"-", b"").decode())
            case Text():
                pass
            case bytes() if len(value) == _SIZE:
                return value
        return Bad(Reason.NOT_A_UUID)

    def array(self, storage_class: str, values: pa.Array) -> Vector:
        if storage_class not in ("text", "blob"):
            return super().array(storage_class, values)
        where = layout(values)
        rows = present_rows(values)
        if storage_class == "blob":
            rows = rows[where.lengths[rows] == _SIZE]
            octets = where.data[where.starts[rows][:, None] + np.arange(_SIZE)]
        else:
            rows = rows[where.lengths[rows] == _LENGTH]
            texts = where.data[where.starts[rows][:, None] + np.arange(_LENGTH)]
            digits = _VALUES[texts[:, _DIGITS]]
            good = (texts[:, _HYPHENS] == ord("-")).all(axis=1) & (digits != _NONE).all(axis=1)
            rows, digits = rows[good], digits[good]
            octets = digits[:, 0::2] << 4 | digits[:, 1::2]
        lengths = np.zeros(len(values), np.int64)
        lengths[rows] = _SIZE
        null = lengths == 0
        payloads = binary(octets.reshape(-1), lengths, null)
        found = present_rows(values)
        return Vector(payloads, found[null[found]])
