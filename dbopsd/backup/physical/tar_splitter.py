"""Takes the tar of a data directory apart while it passes.

`pg_basebackup` appends the manifest as the last member of the tar that it writes to standard
output. It goes its own way, so that what verifies or combines backups need not read the whole tar.
Format: https://www.postgresql.org/docs/current/protocol-replication.html (ustar); PostgreSQL writes
no extended headers.
"""

from collections.abc import Iterator
from enum import Enum
from typing import Final

BACKUP_LABEL: Final = "backup_label"
TABLESPACE_MAP: Final = "tablespace_map"
MANIFEST: Final = "backup_manifest"

_BLOCK: Final = 512
_MOST_KEPT_BYTES: Final = 2**20
_BINARY_SIZE: Final = 0x80


class Way(Enum):
    """Where a piece of the tar goes."""

    BASE = "base"
    """It stays in the tar."""
    MANIFEST = "manifest"
    """It is the content of the manifest."""


class TarDamaged(ValueError):
    """The bytes are no tar, or it ends early."""


class TarSplitter:
    """Splits a tar into itself without its manifest, and the manifest.

    `files` has the small files that tell about the backup, by their names, once they have passed.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.has_manifest = False
        self._header = bytearray()
        # Of the member that passes: its content and its padding still to come.
        self._content = self._padding = 0
        self._way: Way | None = Way.BASE
        self._kept: bytearray | None = None
        self._name = ""
        self._ended = False

    def feed(self, data: memoryview) -> Iterator[tuple[Way, memoryview]]:
        """The pieces of `data`, each with its way, in order. Raises `TarDamaged`."""
        position = start = 0
        while position < len(data):
            if self._content:
                length = min(self._content, len(data) - position)
                if self._kept is not None:
                    self._kept += data[position : position + length]
                self._content -= length
                position += length
                if self._way is Way.MANIFEST:
                    yield Way.MANIFEST, data[start:position]
                    start = position
                if not self._content:
                    self._finish_member()
            elif self._padding:
                length = min(self._padding, len(data) - position)
                self._padding -= length
                position += length
                if self._way is Way.MANIFEST:
                    start = position
            elif self._ended:
                position = len(data)
            else:
                # The member before, if it was the manifest, has passed: what follows is the tar's.
                self._way = Way.BASE
                length = min(_BLOCK - len(self._header), len(data) - position)
                whole_before = not self._header
                self._header += data[position : position + length]
                if whole_before and start < position:
                    yield Way.BASE, data[start:position]
                start = position = position + length
                if len(self._header) == _BLOCK:
                    yield from self._begin_member()
        if start < len(data):
            yield Way.BASE, data[start:]

    def finish(self) -> None:
        """Raise `TarDamaged` unless the tar is whole."""
        if not self._ended or self._content or self._padding:
            raise TarDamaged("the tar ends early")

    def _begin_member(self) -> Iterator[tuple[Way, memoryview]]:
        header = bytes(self._header)
        self._header.clear()
        if not any(header):
            self._ended = True
            yield Way.BASE, memoryview(header)
            return
        self._name = _text(header[345:500]) + "/" if header[345] else ""
        self._name += _text(header[:100])
        size = _size(header)
        _check(header)
        self._content, self._padding = size, -size % _BLOCK
        if self._name == MANIFEST:
            if self.has_manifest:
                raise TarDamaged("the tar has two manifests")
            self._way = Way.MANIFEST
            self.has_manifest = True
            return
        if self._name in (BACKUP_LABEL, TABLESPACE_MAP):
            if size > _MOST_KEPT_BYTES:
                raise TarDamaged(f"{self._name} has {size} bytes")
            self._kept = bytearray()
            if not size:
                self._finish_member()
        yield Way.BASE, memoryview(header)

    def _finish_member(self) -> None:
        if self._kept is not None:
            self.files[self._name] = bytes(self._kept)
            self._kept = None


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _size(header: bytes) -> int:
    field = header[124:136]
    if field[0] & _BINARY_SIZE:
        return int.from_bytes(bytes([field[0] & ~_BINARY_SIZE]) + field[1:], "big")
    try:
        return int(field.strip(b" \0") or b"0", 8)
    except ValueError:
        raise TarDamaged("a member's size is no number") from None


def _check(header: bytes) -> None:
    try:
        expected = int(header[148:156].strip(b" \0"), 8)
    except ValueError:
        expected = -1
    if sum(header[:148]) + 8 * ord(" ") + sum(header[156:]) != expected:
        raise TarDamaged("a member's header does not have its checksum")
