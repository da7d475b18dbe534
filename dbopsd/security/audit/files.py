"""Where the files of an audit log are.

`audit.jsonl` is being written; `audit-000000001234.jsonl` is a full one, whose last record is
number 1234; `audit.head` is the anchor and `audit.lock` keeps a second daemon away.
"""

import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

FILE_MODE = 0o600
DIRECTORY_MODE = 0o700


class LogFiles:
    """The names of the files of the log at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.directory = path.parent
        self.anchor = path.with_suffix(".head")
        self.lock = path.with_suffix(".lock")
        self._full = re.compile(rf"{re.escape(path.stem)}-(\d{{12,}}){re.escape(path.suffix)}")

    def full(self, last_sequence: int) -> Path:
        """The name of a full file whose last record has that number."""
        return self.path.with_name(f"{self.path.stem}-{last_sequence:012}{self.path.suffix}")

    def all_full(self) -> list[tuple[int, Path]]:
        """The full files that are there with their numbers, oldest first. Raises OSError."""
        return sorted(self._numbered())

    def _numbered(self) -> Iterator[tuple[int, Path]]:
        for path in self.directory.iterdir():
            name = self._full.fullmatch(path.name)
            if name is not None:
                yield int(name[1]), path


def sync_directory(directory: Path) -> None:
    """Have the names of `directory` survive a loss of power."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of `data`, or raise OSError with some of it written."""
    view = memoryview(data)
    while view:
        written = os.write(descriptor, view)
        if written == 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        view = view[written:]
