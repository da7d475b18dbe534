"""Conversions to timestamp and timestamptz."""

from typing import ClassVar

import numpy as np
import pyarrow as pa

from dbopsd.migrate.importer.conversion.base import (
    Bad,
    Conversion,
    Payload,
    Reason,
    Vector,
    decided,
)
from dbopsd.migrate.importer.conversion.instant_arrays import read_numbers, read_timestamps
from dbopsd.migrate.importer.conversion.instants import (
    END_US,
    FIRST_US,
    MICROSECOND_DIGITS,
    read_number,
    read_timestamp,
)
from dbopsd.migrate.importer.conversion.values import Text, Value
from dbopsd.migrate.importer.model.plan import PlannedColumn


class Timestamp(Conversion):
    """ISO texts without a zone; numbers, as UTC's clock shows them."""

    name = "timestamp"
    types: ClassVar = {"timestamp without time zone": pa.int64()}
    zoned: ClassVar[bool] = False

    def __init__(self, column: PlannedColumn) -> None:
        super().__init__(column)
        self._step = step_us(self.type.arguments)

    def convert_value(self, value: Value) -> Payload | Bad:
        if isinstance(value, int | float) and self.column.unit:
            micros = read_number(value, self.column.unit)
            return Bad(Reason.OUT_OF_RANGE) if micros is None else self._stepped(micros)
        moment = read_timestamp(value) if isinstance(value, Text) else None
        if moment is None or (moment.offset_us is not None and not self.zoned):
            return Bad(Reason.NOT_A_TIMESTAMP)
        micros = moment.micros - (moment.offset_us or 0)
        if not FIRST_US <= micros < END_US:
            return Bad(Reason.OUT_OF_RANGE)
        return self._stepped(micros) if moment.exact else Bad(Reason.INEXACT)

    def _stepped(self, micros: int) -> Payload | Bad:
        return Bad(Reason.INEXACT) if micros % self._step else micros

    def array(self, storage_class: str, values: pa.Array) -> Vector:
        if storage_class == "blob" or (storage_class != "text" and not self.column.unit):
            return super().array(storage_class, values)
        if storage_class == "text":
            micros, good = read_timestamps(values, zoned=self.zoned)
        else:
            micros, good = read_numbers(values, self.column.unit)
        if self._step > 1:
            good &= np.remainder(micros, self._step) == 0
        return decided(micros, good, values, self.arrow)


class TimestampWithZone(Timestamp):
    """ISO texts, of UTC where they have no zone, and numbers."""

    name = "timestamptz"
    types: ClassVar = {"timestamp with time zone": pa.int64()}
    zoned = True


def step_us(arguments: tuple[int, ...]) -> int:
    """How many microseconds lie between two values of a type with so many digits."""
    digits = min(arguments[0], MICROSECOND_DIGITS) if arguments else MICROSECOND_DIGITS
    return int(10 ** (MICROSECOND_DIGITS - digits))
