"""Reads the first and last bytes of SQLite's files (https://sqlite.org/fileformat.html)."""

import collections
import math
import os
from pathlib import Path
from typing import Final

_MAGIC: Final = b"SQLite format 3\0"
_JOURNAL_MAGIC: Final = bytes.fromhex("d9d505f920a163d7")
_LOOKED_AT_BYTES: Final = 4096
_RANDOM: Final = 0.95
_OTHER_FORMATS: Final = {
    b"** This file contains an SQLite 2": (
        "it is one of SQLite 2: `sqlite OLD .dump | sqlite3 NEW` converts it"
    ),
    b"\x1f\x8b": "it is compressed with gzip: unpack it first",
    b"\x28\xb5\x2f\xfd": "it is compressed with zstd: unpack it first",
    b"\xfd7zXZ\0": "it is compressed with xz: unpack it first",
    b"BZh": "it is compressed with bzip2: unpack it first",
    b"PK\x03\x04": "it is a ZIP archive: unpack it first",
}


def not_sqlite(fd: int) -> str | None:
    """What a file looks like if it is not a SQLite 3 database; None: it is one.

    A file of 0 bytes is one, without tables.
    """
    head = os.pread(fd, _LOOKED_AT_BYTES, 0)
    if not head or head.startswith(_MAGIC):
        return None
    for start, what in _OTHER_FORMATS.items():
        if head.startswith(start):
            return what
    if not head.strip(b"\0"):
        return "it begins with zeros: it may have been lost in a crash of the disk or the machine"
    if _is_text(head):
        return "it is text: `sqlite3 NEW < FILE` makes a database of an SQL dump"
    if _randomness(head) > _RANDOM:
        return (
            "its bytes look random, as an encrypted database's do: decrypt it first "
            "(SQLCipher: `sqlcipher_export`)"
        )
    return f"it begins with the bytes {head[:16].hex(' ')}"


def is_live_journal(fd: int) -> bool:
    """Whether a rollback journal has changes to play back.

    The one of a committed transaction is empty (TRUNCATE) or begins with zeros (PERSIST).
    """
    return os.pread(fd, 1, 0) not in (b"", b"\0")


def super_journal(fd: int) -> Path | None:
    """The super-journal that a rollback journal names: its transaction changed several files.

    The last thing in the journal: the name, its length, the sum of its bytes as signed ones, and
    the magic number. SQLite takes no notice of it if anything there is wrong, and nor do we.
    """
    size = os.fstat(fd).st_size
    tail = os.pread(fd, 16, max(0, size - 16))
    length = int.from_bytes(tail[:4], "big")
    if tail[8:] != _JOURNAL_MAGIC or not 0 < length <= size - 16:
        return None
    name = os.pread(fd, length, size - 16 - length)
    total = sum(byte - 256 if byte > 127 else byte for byte in name)
    if total % 2**32 != int.from_bytes(tail[4:8], "big"):
        return None
    return Path(os.fsdecode(name.rstrip(b"\0")))


def forget_super_journal(fd: int) -> None:
    """Make a journal the one of a transaction over its own file alone."""
    size = os.fstat(fd).st_size
    os.pwrite(fd, bytes(len(_JOURNAL_MAGIC)), size - len(_JOURNAL_MAGIC))


def _is_text(head: bytes) -> bool:
    try:
        # The last character may have been cut.
        text = head.decode() if len(head) < _LOOKED_AT_BYTES else head[:-4].decode()
    except UnicodeDecodeError:
        return False
    return all(character.isprintable() or character.isspace() for character in text)


def _randomness(head: bytes) -> float:
    """Shannon's entropy, of the most that so many bytes can have."""
    counts = collections.Counter(head).values()
    entropy = -sum(count / len(head) * math.log2(count / len(head)) for count in counts)
    return entropy / math.log2(max(2, min(256, len(head))))
