"""WAL positions and the names of WAL files.

https://www.postgresql.org/docs/current/wal-internals.html: a segment's file is named by timeline,
the upper half of the position, and the segment's number within it, each 8 hexadecimal digits.
"""

import re
from dataclasses import dataclass
from typing import Final, Self

_LSN: Final = re.compile(r"(?P<high>[0-9A-Fa-f]{1,8})/(?P<low>[0-9A-Fa-f]{1,8})")
_SEGMENT: Final = re.compile(r"(?P<timeline>[0-9A-F]{8})(?P<high>[0-9A-F]{8})(?P<low>[0-9A-F]{8})")
_SPACE: Final = 2**32

SEGMENT_BYTES: Final = 16 * 2**20
"""PostgreSQL's own size of a segment; `initdb --wal-segsize` makes others."""


class Lsn(int):
    """A position in the WAL, in bytes; `str()` as PostgreSQL writes it."""

    def __str__(self) -> str:
        return f"{self >> 32:X}/{self & 0xFFFFFFFF:X}"

    @classmethod
    def parse(cls, text: str) -> "Lsn":
        """Raise ValueError unless `text` is a position, such as `0/16EF418`."""
        found = _LSN.fullmatch(text)
        if found is None:
            raise ValueError(f"is no position in the WAL, such as 0/16EF418: {text!r}")
        return cls((int(found["high"], 16) << 32) + int(found["low"], 16))


@dataclass(frozen=True, order=True, slots=True)
class Segment:
    """A WAL segment. `number` counts segments of `size_bytes` from position 0 on."""

    timeline: int
    number: int
    size_bytes: int = SEGMENT_BYTES

    def __str__(self) -> str:
        per_space = _SPACE // self.size_bytes
        high, low = divmod(self.number, per_space)
        return f"{self.timeline:08X}{high:08X}{low:08X}"

    @classmethod
    def parse(cls, name: str, size_bytes: int = SEGMENT_BYTES) -> Self:
        """Raise ValueError unless `name` is that of a segment of this size."""
        found = _SEGMENT.fullmatch(name)
        per_space = _SPACE // size_bytes
        if found is None or int(found["low"], 16) >= per_space:
            raise ValueError(f"is no WAL segment of {size_bytes} bytes: {name!r}")
        number = int(found["high"], 16) * per_space + int(found["low"], 16)
        return cls(int(found["timeline"], 16), number, size_bytes)

    @classmethod
    def at(cls, timeline: int, lsn: int, size_bytes: int = SEGMENT_BYTES) -> Self:
        """The segment that has the byte at `lsn`."""
        return cls(timeline, lsn // size_bytes, size_bytes)

    @property
    def start(self) -> Lsn:
        """The position of its first byte."""
        return Lsn(self.number * self.size_bytes)

    @property
    def end(self) -> Lsn:
        """The position after its last byte."""
        return Lsn((self.number + 1) * self.size_bytes)

    def after(self, count: int = 1) -> "Segment":
        """The segment so many further on, on the same timeline."""
        return Segment(self.timeline, self.number + count, self.size_bytes)
