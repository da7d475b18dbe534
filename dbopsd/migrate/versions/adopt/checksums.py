"""The checksums of other tools, each by that tool's own algorithm."""

import base64
import codecs
import hashlib
import re
import zlib
from collections.abc import Iterable, Iterator
from typing import Final

_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_INT_SIGN: Final = 1 << 31
_INT_RANGE: Final = 1 << 32


def spellings(content: bytes) -> Iterator[bytes]:
    """The content as it is, then with other line ends, and without a byte order mark.

    A checkout with `core.autocrlf` changes them; the file is the same for all that.
    """
    yield content
    text = content.removeprefix(codecs.BOM_UTF8)
    unix = text.replace(b"\r\n", b"\n")
    yield from (text, unix, unix.replace(b"\n", b"\r\n"))


def is_digest_of(content: bytes, digest: bytes, algorithm: str) -> bool:
    """Whether `digest` is that of the content, in any spelling of its line ends."""
    return any(
        hashlib.new(algorithm, spelled, usedforsecurity=False).digest() == digest
        for spelled in spellings(content)
    )


def is_hex_digest_of(content: bytes, digest: str, algorithm: str) -> bool:
    """As `is_digest_of`, for one in hexadecimal."""
    try:
        return is_digest_of(content, bytes.fromhex(digest), algorithm)
    except ValueError:
        return False


def flyway_crc32(text: str) -> int:
    """Flyway's checksum: CRC-32 over the lines in UTF-8, without line ends and byte order mark.

    As Java has it, a signed number of 32 bits (`ChecksumCalculator.calculateChecksumForResource`).
    """
    checksum = 0
    for line in _LINE_END.split(text.removeprefix("\ufeff")):
        checksum = zlib.crc32(line.encode(), checksum)
    return checksum - _INT_RANGE if checksum >= _INT_SIGN else checksum


def atlas_sums(files: Iterable[tuple[str, bytes]]) -> dict[str, str]:
    """The hash of each file in `atlas.sum`, by its name; `files` are those of the folder, by name.

    Each is cumulative: over the names and contents of all files so far. One with the directive
    `atlas:sum ignore` has none, and counts by its name alone (`migrate.NewHashFile`).
    """
    digest = hashlib.sha256()
    sums = {}
    for name, content in files:
        digest.update(name.encode())
        if _IGNORED_BY_ATLAS.match(content):
            continue
        digest.update(content)
        sums[name] = base64.b64encode(digest.digest()).decode()
    return sums


_IGNORED_BY_ATLAS: Final = re.compile(rb"[ -~]*atlas:sum +ignore")
