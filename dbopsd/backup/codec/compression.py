"""Compression of one frame at a time."""

import threading
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import zstandard
from isal import igzip_lib, isal_zlib

from dbopsd.backup.store.base import Content

_GZIP_WINDOW: Final = 31  # 2**15 bytes, with gzip's header and check


class Algorithm(IntEnum):
    """How frames are compressed; the number is in each object."""

    NONE = 0
    ZSTD = 1
    GZIP = 2


@dataclass(frozen=True, slots=True)
class Compression:
    """An algorithm and its level: zstd 1 to 19, gzip 0 to 3 (those of ISA-L)."""

    algorithm: Algorithm = Algorithm.ZSTD
    level: int = 3

    def __str__(self) -> str:
        name = self.algorithm.name.lower()
        return name if self.algorithm is Algorithm.NONE else f"{name}:{self.level}"

    @classmethod
    def parse(cls, text: str) -> "Compression":
        """`zstd:3`, `gzip:1` or `none`; the level may be left out. Raises ValueError."""
        name, _, level = text.partition(":")
        try:
            algorithm = Algorithm[name.upper()]
        except KeyError:
            raise ValueError("is none of zstd, gzip and none") from None
        default, least, most = _LEVELS[algorithm]
        chosen = int(level) if level.isdigit() else default
        if (level and not level.isdigit()) or not least <= chosen <= most:
            raise ValueError(f"has a level that is not {least} to {most}: {text}")
        return cls(algorithm, chosen)


_LEVELS: Final = {
    Algorithm.NONE: (0, 0, 0),
    Algorithm.ZSTD: (3, 1, 19),
    Algorithm.GZIP: (1, 0, 3),
}
# Neither is safe for threads, and a compressor costs more to make than a frame to compress.
_compressors = threading.local()
_decompressors = threading.local()


def compress(content: Content, by: Compression) -> Content:
    """One frame, compressed by itself. Lets other threads run meanwhile."""
    if by.algorithm is Algorithm.ZSTD:
        return _zstd(by.level).compress(content)
    if by.algorithm is Algorithm.GZIP:
        return isal_zlib.compress(content, by.level, wbits=_GZIP_WINDOW)
    return content


def decompress(content: Content, algorithm: Algorithm, most_bytes: int) -> Content:
    """The frame before it was compressed. Raises ValueError if it is none, or larger."""
    if algorithm is Algorithm.NONE:
        plain: Content = content
    elif algorithm is Algorithm.ZSTD:
        try:
            # What a frame says of itself is allocated at once.
            if zstandard.frame_content_size(content) > most_bytes:
                raise ValueError(f"the frame has more than {most_bytes} bytes")
            plain = _unzstd().decompress(content, max_output_size=most_bytes)
        except zstandard.ZstdError as error:
            raise ValueError(str(error)) from None
    else:
        unpacking = isal_zlib.decompressobj(wbits=_GZIP_WINDOW)
        try:
            plain = unpacking.decompress(content, most_bytes + 1)
        except igzip_lib.IsalError as error:  # type: ignore[misc]  # its stub has no base class
            raise ValueError(str(error)) from None
        if not unpacking.eof and len(plain) <= most_bytes:
            raise ValueError("the frame ends early")
    if len(plain) > most_bytes:
        raise ValueError(f"the frame has more than {most_bytes} bytes")
    return plain


def _zstd(level: int) -> zstandard.ZstdCompressor:
    found: dict[int, zstandard.ZstdCompressor] = _compressors.__dict__.setdefault("zstd", {})
    if level not in found:
        # The frame is sealed as a whole: a checksum of its own would be one too many.
        found[level] = zstandard.ZstdCompressor(level=level, write_checksum=False)
    return found[level]


def _unzstd() -> zstandard.ZstdDecompressor:
    found: zstandard.ZstdDecompressor | None = getattr(_decompressors, "zstd", None)
    if found is None:
        found = _decompressors.zstd = zstandard.ZstdDecompressor()
    return found
