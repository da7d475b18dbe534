"""Conversions to smallint, integer and bigint."""

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
    decided,
    numbers,
)
from dbopsd.migrate.importer.conversion.values import Text, Value
from dbopsd.migrate.importer.model.plan import PlannedColumn

_BITS: Final = {"smallint": 16, "integer": 32, "bigint": 64}
_LITERAL: Final = re.compile(rb"[+-]?[0-9]{1,40}")


class Integer(Conversion):
    """Integers; reals that are one; texts that write one, which a mapping may bring about."""

    name = "integer"
    types: ClassVar = {"smallint": pa.int16(), "integer": pa.int32(), "bigint": pa.int64()}

    def __init__(self, column: PlannedColumn) -> None:
        super().__init__(column)
        bits = _BITS[self.type.name]
        self._low, self._high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1

    def convert_value(self, value: Value) -> Payload | Bad:
        match value:
            case float():
                if value in (float("inf"), float("-inf")):
                    return Bad(Reason.OUT_OF_RANGE, self._high if value > 0 else self._low)
                if not value.is_integer():
                    return Bad(Reason.NOT_AN_INTEGER)
                number = int(value)
            case int():
                number = value
            case Text() if _LITERAL.fullmatch(value):
                number = int(value)
            case _:
                return Bad(Reason.NOT_AN_INTEGER)
        if self._low <= number <= self._high:
            return number
        return Bad(Reason.OUT_OF_RANGE, self._high if number > 0 else self._low)

    def array(self, storage_class: str, values: pa.Array) -> Vector:
        if storage_class in ("text", "blob"):
            return super().array(storage_class, values)
        if storage_class == "integer" and self.type.name == "bigint":
            return Vector(values)
        found = numbers(values)
        # As doubles: the largest bigint is none, the number after it is.
        good = (found >= self._low) & (found < float(self._high + 1))
        if storage_class == "real":
            good &= np.floor(found) == found
        else:
            good = (found >= self._low) & (found <= self._high)
        payloads = np.where(good, found, 0).astype(self.arrow.to_pandas_dtype())
        return decided(payloads, good, values, self.arrow)
