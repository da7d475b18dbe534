"""The conversion to time."""

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
from dbopsd.migrate.importer.conversion.instant_arrays import read_times
from dbopsd.migrate.importer.conversion.instants import read_time
from dbopsd.migrate.importer.conversion.timestamps import step_us
from dbopsd.migrate.importer.conversion.values import Text, Value
from dbopsd.migrate.importer.model.plan import PlannedColumn


class Time(Conversion):
    """ISO times of day."""

    name = "time"
    types: ClassVar = {"time without time zone": pa.int64()}

    def __init__(self, column: PlannedColumn) -> None:
        super().__init__(column)
        self._step = step_us(self.type.arguments)

    def convert_value(self, value: Value) -> Payload | Bad:
        time = read_time(value) if isinstance(value, Text) else None
        if time is None:
            return Bad(Reason.NOT_A_TIME)
        exact = time.exact and time.micros % self._step == 0
        return time.micros if exact else Bad(Reason.INEXACT)

    def array(self, storage_class: str, values: pa.Array) -> Vector:
        if storage_class != "text":
            return super().array(storage_class, values)
        micros, good = read_times(values)
        good &= np.remainder(micros, self._step) == 0
        return decided(micros, good, values, self.arrow)
