"""The conversion to bytea."""

from typing import ClassVar

import pyarrow as pa

from dbopsd.migrate.importer.conversion.base import Bad, Conversion, Payload, Vector
from dbopsd.migrate.importer.conversion.values import Value, number_text


class Bytes(Conversion):
    """Blobs; texts as their bytes; numbers as the bytes of their text."""

    name = "bytes"
    types: ClassVar = {"bytea": pa.binary()}

    def convert_value(self, value: Value) -> Payload | Bad:
        if isinstance(value, bytes):
            return bytes(value)
        assert value is not None  # noqa: S101
        return number_text(value).encode()

    def array(self, storage_class: str, values: pa.Array) -> Vector:
        if storage_class == "integer":
            return Vector(values.cast(pa.string()).view(pa.binary()))
        if storage_class == "real":
            return super().array(storage_class, values)
        return Vector(values)
