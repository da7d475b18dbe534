"""Copies bytes within the kernel, and gets them onto the disk."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

_CHUNK_BYTES: Final = 16 * 2**20
# What copy_file_range says where it cannot do it between these two files, and sendfile can.
_OTHER_WAY: Final = frozenset(
    {errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EPERM, errno.EBADF}
)


def copy(source: int, target: Path, *, copied: Callable[[int], None]) -> int:
    """Copy an open file at its present length into a new one.

    Returns the new file's descriptor, open for writing; it is shorter if the source became so
    meanwhile. `copied` gets the number of bytes of each 16 MiB chunk, and may raise. On file
    systems that can, blocks are shared and nothing is copied.
    """
    new = os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        left = os.fstat(source).st_size
        offset = 0
        chunk = _ranges
        while left:
            try:
                count = chunk(source, new, min(left, _CHUNK_BYTES), offset)
            except OSError as error:
                if chunk is not _ranges or error.errno not in _OTHER_WAY:
                    raise
                count = 0
            if count == 0 and chunk is _ranges:
                # Some file systems say of what they cannot do that there is nothing to do.
                chunk = _stream
                os.lseek(new, offset, os.SEEK_SET)
                continue
            if count == 0:
                break
            offset += count
            left -= count
            copied(count)
    except BaseException:
        os.close(new)
        raise
    return new


def sync(path: Path) -> None:
    """Write a file, or the names in a directory, to the disk (fsync)."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _ranges(source: int, target: int, count: int, offset: int) -> int:
    return os.copy_file_range(source, target, count, offset, offset)


def _stream(source: int, target: int, count: int, offset: int) -> int:
    return os.sendfile(target, source, offset, count)
