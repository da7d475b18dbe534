"""The profile of a SQLite file: what its columns hold."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class TextShapes:
    """The number of text values of a column for each shape.

    A value counts for the first shape that it has, in the order of the fields; `midnights` are
    counted besides.
    """

    date: int = 0
    """`2024-01-31`."""
    naive_timestamp: int = 0
    """`2024-01-31 10:00`, `2024-01-31T10:00:00.123456`: without a zone."""
    midnights: int = 0
    """Those of `naive_timestamp` without a time of day: `2024-01-31 00:00:00`."""
    zoned_timestamp: int = 0
    """The same with `Z`, `+02:00`, `-0530`."""
    time: int = 0
    """`10:00`, `10:00:00.5`."""
    boolean: int = 0
    """t, f, true, false, yes, no, y, n, on, off, 0, 1, in any case."""
    uuid: int = 0
    """32 hexadecimal digits, with or without hyphens or braces."""
    json: int = 0
    """An object or an array."""
    number: int = 0
    """A decimal literal, `-12.50`, `1e5`."""
    other: int = 0
    examples: tuple[str, ...] = ()
    """Some of `other`, each cut to 80 characters."""


@dataclass(frozen=True)
class ColumnProfile:
    """The values of a column, counted."""

    rows: int = 0
    nulls: int = 0
    integers: int = 0
    reals: int = 0
    texts: int = 0
    blobs: int = 0
    min_integer: int | None = None
    max_integer: int | None = None
    min_real: float | None = None
    max_real: float | None = None
    infinities: int = 0
    inexact_integers: int = 0
    """Integers beyond ±2^53, which a double does not hold."""
    max_text_bytes: int = 0
    max_blob_bytes: int = 0
    uuid_blobs: int = 0
    """Blobs of 16 bytes."""
    max_scale: int | None = None
    """The most digits after the point of any number; None where it was not looked for."""
    max_precision: int | None = None
    """The most digits before the point of any number; None where it was not looked for."""
    off_midnight: dict[str, int] = field(default_factory=dict)
    """Of a column declared DATE: how many numbers have a time of day, if they are counted in that
    unit (`s`, `ms`, `us`, `julian`). Empty where there are no numbers."""
    likely_seconds: int = 0
    """Of a column of dates or timestamps whose largest number has another unit: those that in
    seconds would be of 1985 to 2099."""
    likely_milliseconds: int = 0
    shapes: TextShapes | None = None
    """None where text was not looked at closely."""

    @property
    def values(self) -> int:
        """How many are not NULL."""
        return self.rows - self.nulls


@dataclass(frozen=True)
class TableProfile:
    """The profile of a table."""

    rows: int
    columns: dict[str, ColumnProfile] = field(default_factory=dict)
    """The profiles of the columns, by name."""
    min_rowid: int | None = None
    max_rowid: int | None = None
    """Of a table that has a rowid, and rows."""
