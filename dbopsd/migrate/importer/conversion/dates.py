"""The conversion to date."""

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
from dbopsd.migrate.importer.conversion.instants import DAY_US, read_number, read_timestamp
from dbopsd.migrate.importer.conversion.values import Text, Value


class Date(Conversion):
    """ISO dates; ISO timestamps without a zone, and numbers, that are a midnight."""

    name = "date"
    types: ClassVar = {"date": pa.int32()}

    def convert_value(self, value: Value) -> Payload | Bad:
        if isinstance(value, int | float) and self.column.unit:
            micros = read_number(value, self.column.unit)
            if micros is None:
                return Bad(Reason.OUT_OF_RANGE)
        else:
            moment = read_timestamp(value) if isinstance(value, Text) else None
            if moment is None or moment.offset_us is not None or not moment.exact:
                return Bad(Reason.NOT_A_DATE)
            micros = moment.micros
        return Bad(Reason.NOT_A_DATE) if micros % DAY_US else micros // DAY_US

    def array(self, storage_class: str, values: pa.Array) -> Vector:
        if storage_class == "blob" or (storage_class != "text" and not self.column.unit):
            return super().array(storage_class, values)
        if storage_class == "text":
            micros, good = read_timestamps(values, zoned=False)
        else:
            micros, good = read_numbers(values, self.column.unit)
        days, rest = np.divmod(micros, DAY_US)
        return decided(days.astype(np.int32), good & (rest == 0), values, self.arrow)
