"""Conversions to double precision and real."""

import math
import struct
from decimal import Decimal
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
from dbopsd.migrate.importer.conversion.decimals import DECIMAL
from dbopsd.migrate.importer.conversion.values import Text, Value
from dbopsd.migrate.importer.model.plan import PlannedColumn

_EXACT: Final = 2**53
"""Up to here a double holds every integer."""
_LARGEST_REAL: Final = float(np.finfo(np.float32).max)


class Double(Conversion):
    """Reals; integers that a double holds; texts that write such a number."""

    name = "double"
    types: ClassVar = {"double precision": pa.float64(), "real": pa.float32()}

    def __init__(self, column: PlannedColumn) -> None:
        super().__init__(column)
        self._single = self.type.name == "real"

    def convert_value(self, value: Value) -> Payload | Bad:
        match value:
            case float():
                return self._fitting(value)
            case int():
                number = float(value)
                if abs(value) > _EXACT:
                    return Bad(Reason.INEXACT, _nearest_single(number) if self._single else number)
                return self._fitting(number)
            case Text() if DECIMAL.fullmatch(value):
                return self._written(value.decode())
            case _:
                return Bad(Reason.NOT_A_NUMBER)

    def _written(self, text: str) -> Payload | Bad:
        number = float(text)
        if math.isinf(number):
            largest = math.copysign(_LARGEST_REAL if self._single else _LARGEST_DOUBLE, number)
            return Bad(Reason.OUT_OF_RANGE, largest)
        # A text such as 0.1 writes the double that is shown as 0.1, and none of its longer digits.
        if Decimal(repr(number)) != Decimal(text):
            return Bad(Reason.INEXACT, _nearest_single(number) if self._single else number)
        if self._single:
            single = _nearest_single(number)
            if Decimal(str(np.float32(single))) == Decimal(text):
                return single
        return self._fitting(number)

    def _fitting(self, number: float) -> Payload | Bad:
        if not self._single or math.isinf(number):
            return number
        nearest = _nearest_single(number)
        if nearest == number:
            return number
        out = abs(number) > _LARGEST_REAL
        return Bad(Reason.OUT_OF_RANGE if out else Reason.INEXACT, nearest)

    def array(self, storage_class: str, values: pa.Array) -> Vector:
        if storage_class in ("text", "blob"):
            return super().array(storage_class, values)
        if storage_class == "real" and not self._single:
            return Vector(values)
        found = numbers(values)
        doubles = found.astype(np.float64)
        good = np.ones(len(found), bool)
        if storage_class == "integer":
            good = (found >= -_EXACT) & (found <= _EXACT)
        if self._single:
            with np.errstate(over="ignore", under="ignore", invalid="ignore"):
                good &= doubles.astype(np.float32).astype(np.float64) == doubles
                doubles = doubles.astype(np.float32)
        return decided(doubles, good, values, self.arrow)


_LARGEST_DOUBLE: Final = float(np.finfo(np.float64).max)


def _nearest_single(number: float) -> float:
    if abs(number) > _LARGEST_REAL:
        return math.copysign(_LARGEST_REAL, number)
    (nearest,) = struct.unpack("f", struct.pack("f", number))
    return float(nearest)
