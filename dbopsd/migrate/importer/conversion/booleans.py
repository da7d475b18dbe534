"""The conversion to boolean."""

from typing import ClassVar, Final

import numpy as np
import pyarrow as pa

from dbopsd.migrate.importer.conversion.base import (
    Bad,
    Conversion,
    Payload,
    Reason,
    Vector,
    decided,
    numbers,
)
from dbopsd.migrate.importer.conversion.values import Text, Value

_TRUE: Final = frozenset({b"t", b"true", b"yes", b"y", b"on", b"1"})
_FALSE: Final = frozenset({b"f", b"false", b"no", b"n", b"off", b"0"})
_BAD: Final = Bad(Reason.NOT_A_BOOLEAN)


class Boolean(Conversion):
    """0 and 1, as number or text, and the words of each."""

    name = "boolean"
    types: ClassVar = {"boolean": pa.bool_()}

    def convert_value(self, value: Value) -> Payload | Bad:
        if isinstance(value, Text):
            word = value.lower()
            if word in _TRUE:
                return True
            return False if word in _FALSE else _BAD
        if isinstance(value, int | float) and value in (0, 1):
            return bool(value)
        return _BAD

    def array(self, storage_class: str, values: pa.Array) -> Vector:
        if storage_class in ("text", "blob"):
            return super().array(storage_class, values)
        found = numbers(values)
        true = found == 1
        return decided(true, np.logical_or(true, found == 0), values, self.arrow)
