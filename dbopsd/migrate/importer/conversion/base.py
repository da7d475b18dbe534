"""What a conversion is: from SQLite's values to what one PostgreSQL type has on the wire.

A conversion has two ways with the same results: `convert_value` for a single value, in plain
Python, and `array` for many. `array` may leave values undecided; `convert_value` decides these.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dbopsd.errors import DbopsError, StatusCode
from dbopsd.migrate.importer.conversion.postgres_type import PostgresType, read_type
from dbopsd.migrate.importer.conversion.values import Value
from dbopsd.migrate.importer.model.plan import PlannedColumn

Payload = bool | int | float | bytes
"""What the field holds: bytes as they go on the wire, or a number of the width of the type."""

NOTHING: Final = np.empty(0, np.int64)


class Reason(Enum):
    """Why a value is bad."""

    NOT_AN_INTEGER = "NOT_AN_INTEGER"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    INEXACT = "INEXACT"
    """The type would hold another number, or another moment, near to it."""
    NOT_A_NUMBER = "NOT_A_NUMBER"
    NOT_A_BOOLEAN = "NOT_A_BOOLEAN"
    NOT_A_DATE = "NOT_A_DATE"
    NOT_A_TIMESTAMP = "NOT_A_TIMESTAMP"
    NOT_A_TIME = "NOT_A_TIME"
    NOT_JSON = "NOT_JSON"
    ALTERED_BY_JSONB = "ALTERED_BY_JSONB"
    """An object has a key twice, of which jsonb keeps the last, or a zero has a sign."""
    NOT_A_UUID = "NOT_A_UUID"
    BLOB_IN_TEXT = "BLOB_IN_TEXT"
    NUL_CHARACTER = "NUL_CHARACTER"
    INVALID_UTF8 = "INVALID_UTF8"
    NULL_IN_KEY = "NULL_IN_KEY"
    NULL_IN_NOT_NULL = "NULL_IN_NOT_NULL"


@dataclass(frozen=True)
class Bad:
    """A value that the column cannot hold."""

    reason: Reason
    nearest: Payload | None = None
    """What CLAMP puts in its place; None: nothing is near."""
    replaced: Payload | None = None
    """What REPLACE puts in its place; None: there is no telling what would be right."""


@dataclass(frozen=True)
class Vector:
    """The payloads of an array."""

    payloads: pa.Array
    """NULL where the value is NULL or undecided."""
    undecided: np.ndarray[Any, np.dtype[np.int64]] = field(default_factory=lambda: NOTHING)
    """The rows that `convert_value` has to decide."""


@dataclass(eq=False)
class TypeNotSupported(DbopsError):
    """A conversion cannot make values of a column's type."""

    reason: ClassVar[str] = "TYPE_NOT_SUPPORTED"
    code: ClassVar[StatusCode] = StatusCode.INVALID_ARGUMENT

    column: str
    type: str
    conversion: str

    @property
    def message(self) -> str:
        return (
            f"the values of column '{self.column}' cannot become {self.type} by the conversion "
            f"'{self.conversion}': choose another type or conversion in the mapping"
        )


class Conversion(ABC):
    """Makes the values of one column. Raises `TypeNotSupported` for a type of another kind."""

    name: ClassVar[str]
    types: ClassVar[dict[str, pa.DataType]]
    """The PostgreSQL types that it can make, with what their payloads are in Arrow."""

    def __init__(self, column: PlannedColumn) -> None:
        self.column = column
        self.type: PostgresType = read_type(column.type)
        if self.type.name not in self.types:
            raise TypeNotSupported(column.source, column.type, self.name)
        self.arrow = self.types[self.type.name]

    @abstractmethod
    def convert_value(self, value: Value) -> Payload | Bad:
        """The payload of one value that is not NULL."""

    def array(self, storage_class: str, values: pa.Array) -> Vector:
        """The payloads of values that are all of one storage class, or NULL."""
        return undecided(values, self.arrow)


def undecided(values: pa.Array, arrow: pa.DataType) -> Vector:
    """A vector that leaves every value to `convert_value`."""
    return Vector(pa.nulls(len(values), arrow), present_rows(values))


def present_rows(values: pa.Array) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The rows that are not NULL."""
    if values.null_count == 0:
        return np.arange(len(values))
    return np.flatnonzero(valid_mask(values))


def valid_mask(values: pa.Array) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which rows are not NULL."""
    return _mask(values, values.buffers()[0])


def true_mask(values: pa.Array) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which rows are true, of a boolean array without NULLs."""
    return _mask(values, values.buffers()[1])


def _mask(values: pa.Array, bitmap: pa.Buffer | None) -> np.ndarray[Any, np.dtype[np.bool_]]:
    # What `to_numpy` does, too, in five times the time for a whole batch.
    if bitmap is None:
        return np.ones(len(values), bool)
    every = np.unpackbits(np.frombuffer(bitmap, np.uint8), bitorder="little").view(bool)
    return every[values.offset : values.offset + len(values)]


def numbers(values: pa.Array) -> np.ndarray[Any, np.dtype[Any]]:
    """The numbers of an array; anything where a row is NULL."""
    width = values.type.to_pandas_dtype()
    buffer = values.buffers()[1]
    if buffer is None:
        return np.zeros(len(values), width)
    return np.frombuffer(buffer, width)[values.offset : values.offset + len(values)]


def decided(
    payloads: np.ndarray[Any, np.dtype[Any]],
    good: np.ndarray[Any, np.dtype[np.bool_]],
    values: pa.Array,
    arrow: pa.DataType,
) -> Vector:
    """A vector of the payloads where they are `good`; the other values are undecided."""
    bitmap, open_ = None, NOTHING
    if values.null_count or not good.all():
        there_ = valid_mask(values)
        open_ = np.flatnonzero(there_ & ~good)
        bitmap = pack_bits(good & there_)
    if pa.types.is_boolean(arrow):
        data = pack_bits(payloads)
    else:
        data = pa.py_buffer(payloads.astype(arrow.to_pandas_dtype(), copy=False))
    return Vector(pa.Array.from_buffers(arrow, len(payloads), [bitmap, data]), open_)


def pack_bits(mask: np.ndarray[Any, np.dtype[np.bool_]]) -> pa.Buffer:
    """A mask as Arrow has it, which `pa.array` takes seven times as long to make."""
    return pa.py_buffer(np.packbits(mask, bitorder="little"))


def without_rows(payloads: pa.Array, rows: np.ndarray[Any, np.dtype[np.int64]]) -> Vector:
    """A vector of the payloads that leaves some rows undecided."""
    if not len(rows):
        return Vector(payloads)
    mask = np.zeros(len(payloads), bool)
    mask[rows] = True
    return Vector(pc.if_else(mask, None, payloads), rows)


@dataclass(frozen=True)
class Layout:
    """The bytes of a binary array, and where each row's are."""

    data: np.ndarray[Any, np.dtype[np.uint8]]
    starts: np.ndarray[Any, np.dtype[np.int32]]
    lengths: np.ndarray[Any, np.dtype[np.int32]]


def layout(values: pa.Array) -> Layout:
    """How a binary array lies in memory. Rows that are NULL have some length, 0 as a rule."""
    _, offsets, data = values.buffers()
    bounds = np.frombuffer(offsets, np.int32)[values.offset : values.offset + len(values) + 1]
    octets = np.frombuffer(b"" if data is None else data, np.uint8)
    return Layout(octets, bounds[:-1], np.diff(bounds))


def binary(
    data: np.ndarray[Any, np.dtype[np.uint8]],
    lengths: np.ndarray[Any, np.dtype[Any]] | int,
    null: np.ndarray[Any, np.dtype[np.bool_]] | None = None,
    rows: int = 0,
) -> pa.Array:
    """A binary array of values that lie one after the other."""
    if isinstance(lengths, int):
        offsets = np.arange(0, (rows + 1) * lengths, lengths, dtype=np.int32)
    else:
        offsets = np.zeros(len(lengths) + 1, np.int32)
        np.cumsum(lengths, out=offsets[1:])
    bitmap = None if null is None or not null.any() else pack_bits(~null)
    return pa.Array.from_buffers(
        pa.binary(),
        len(offsets) - 1,
        [bitmap, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(data))],
    )


def put_values(
    payloads: pa.Array, rows: Sequence[int], values: Sequence[Payload | None]
) -> pa.Array:
    """The payloads with other values in some rows."""
    mask = np.zeros(len(payloads), bool)
    mask[list(rows)] = True
    ordered = [value for _, value in sorted(zip(rows, values, strict=True), key=lambda row: row[0])]
    return pc.replace_with_mask(payloads, mask, pa.array(ordered, payloads.type))
