"""text, character varying(n), character(n), and types that are texts on the wire."""

import re
from typing import ClassVar, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dbopsd.migrate.importer.conversion.base import (
    NOTHING,
    Bad,
    Conversion,
    Payload,
    Reason,
    Vector,
    layout,
    present_rows,
    true_mask,
    without_rows,
)
from dbopsd.migrate.importer.conversion.values import Text, Value, number_text
from dbopsd.migrate.importer.model.plan import PlannedColumn

_REPLACED: Final = re.compile("[\0\udc80-\udcff]")
_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"


class Strings(Conversion):
    """Texts as they are, and numbers as their text."""

    name = "text"
    types: ClassVar = {
        "text": pa.binary(),
        "character varying": pa.binary(),
        "character": pa.binary(),
        "citext": pa.binary(),
        "name": pa.binary(),
    }

    def __init__(self, column: PlannedColumn) -> None:
        super().__init__(column)
        self._length = self.type.arguments[0] if self.type.arguments else None
        self._padded = self.type.name == "character"

    def convert_value(self, value: Value) -> Payload | Bad:
        match value:
            case int() | float():
                return self._fitting(number_text(value))
            case Text():
                problem = text_problem(value)
                if problem is None:
                    return value if self._length is None else self._fitting(value.decode())
                fitting = self._fitting(with_replacements(value))
                return Bad(problem, replaced=None if isinstance(fitting, Bad) else fitting)
            case _:
                return Bad(Reason.BLOB_IN_TEXT)

    def _fitting(self, text: str) -> Payload | Bad:
        if self._length is not None:
            if len(text) > self._length:
                return Bad(Reason.OUT_OF_RANGE)
            if self._padded:
                # As PostgreSQL gives it back.
                text = text.ljust(self._length)
        return text.encode()

    def array(self, storage_class: str, values: pa.Array) -> Vector:
        if storage_class == "blob":
            return super().array(storage_class, values)
        if storage_class == "integer":
            values = values.cast(pa.string()).view(pa.binary())
        elif storage_class == "real":
            texts = [None if each is None else number_text(each) for each in values.to_pylist()]
            values = pa.array(texts, pa.string()).view(pa.binary())
        bad = bad_texts(values) if storage_class == "text" else NOTHING
        payloads = without_rows(values, bad).payloads
        if self._length is None:
            return Vector(payloads, bad)
        measured = self._measured(payloads)
        return Vector(measured.payloads, np.concatenate([bad, measured.undecided]))

    def _measured(self, values: pa.Array) -> Vector:
        strings = values.view(pa.string())
        if self._padded:
            strings = pc.utf8_rpad(strings, self._length)
        too_long = pc.greater(pc.utf8_length(strings), self._length).fill_null(False)
        payloads = strings.view(pa.binary())
        if not pc.any(too_long).as_py():
            return Vector(payloads)
        return without_rows(payloads, np.flatnonzero(true_mask(too_long)))


def text_problem(value: bytes) -> Reason | None:
    """Why PostgreSQL would not take the bytes as text."""
    try:
        value.decode()
    except UnicodeDecodeError:
        return Reason.INVALID_UTF8
    return Reason.NUL_CHARACTER if 0 in value else None


def with_replacements(value: bytes) -> str:
    """The text, U+FFFD for each NUL and for each byte that belongs to no character."""
    return _REPLACED.sub(_REPLACEMENT, value.decode(errors="surrogateescape"))


def bad_texts(values: pa.Array) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The rows whose text PostgreSQL would not take."""
    if _all_good(values):
        return NOTHING
    found = present_rows(values)
    bad = [row for row in found.tolist() if text_problem(values[row].as_py()) is not None]
    return np.array(bad, np.int64)


def _all_good(values: pa.Array) -> bool:
    where = layout(values)
    if not len(where.lengths):
        return True
    octets = where.data[where.starts[0] : where.starts[-1] + where.lengths[-1]]
    if len(octets) and not octets.min():
        return False
    try:
        values.cast(pa.string())
    except pa.ArrowInvalid:
        return False
    return True
