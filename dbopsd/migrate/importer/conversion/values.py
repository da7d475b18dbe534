"""SQLite values, and batches of them as Arrow arrays."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

ARROW_TYPES: Final[Mapping[str, pa.DataType]] = {
    "integer": pa.int64(),
    "real": pa.float64(),
    "text": pa.binary(),
    "blob": pa.binary(),
}
"""What a value of each storage class is in Arrow. Text is bytes: nobody has checked it."""

_LITERAL_LENGTH: Final = 200


class Text(bytes):
    """A TEXT value: its bytes as SQLite has them, which may be no UTF-8. A blob is plain bytes."""

    __slots__ = ()


Value = int | float | Text | bytes | None


@dataclass(frozen=True)
class Values:
    """The values of one column: an array for each storage class that it may hold.

    A row has a value in one of the arrays at most; it is NULL where it has none.
    """

    arrays: Mapping[str, pa.Array]

    def value(self, row: int) -> Value:
        """The value of one row."""
        for storage_class, array in self.arrays.items():
            value: int | float | bytes | None = array[row].as_py()
            if value is not None:
                return (
                    Text(value) if isinstance(value, bytes) and storage_class == "text" else value
                )
        return None


@dataclass(frozen=True)
class Batch:
    """Some rows of a table."""

    rows: int
    columns: tuple[Values, ...]
    """In the order of the columns that were asked for."""
    key: Mapping[str, Values]
    """The values of the primary key, by column."""
    rowids: Values | None
    """Of a table that has them, unless the primary key names every row."""

    def name(self, row: int) -> str:
        """What a row is called: by its primary key, else by its rowid."""
        parts = {column: values.value(row) for column, values in self.key.items()}
        if self.rowids is not None and (not parts or None in parts.values()):
            # A primary key of SQLite's may be NULL, in many rows.
            parts = {"rowid": self.rowids.value(row)}
        return ", ".join(f"{column}={literal(value)}" for column, value in parts.items())


def literal(value: Value, *, length: int = _LITERAL_LENGTH) -> str:
    """The literal that SQLite has for a value, cut to `length` characters."""
    match value:
        case None:
            return "NULL"
        case Text():
            return _cut(_text(value, length), length)
        case bytes():
            return _cut(f"x'{value[:length].hex()}'", length)
        case float():
            # SQLite has no literal of infinity but a number that is too large.
            return repr(value).replace("inf", "9e999")
        case _:
            return str(value)


def number_text(value: float) -> str:
    """A number as text: the shortest that reads back as the same number."""
    if isinstance(value, int):
        return str(value)
    return repr(value).replace("inf", "Inf")


def _text(value: Text, length: int) -> str:
    # No character has more than four bytes.
    beginning = value[: 4 * length]
    try:
        text = beginning.decode()
    except UnicodeDecodeError as error:
        if len(value) == len(beginning) or error.end < len(beginning):
            return f"CAST(x'{beginning.hex()}' AS TEXT)"
        text = beginning.decode(errors="ignore")
    if "\0" in text:
        return f"CAST(x'{beginning.hex()}' AS TEXT)"
    return "'" + text.replace("'", "''") + "'"


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
