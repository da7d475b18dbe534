"""A server's log file: written by the server itself, bounded by us.

The server writes straight into the file, without its logging collector: what it says before the
collector would run is there too, a line is in the file before the statement's answer is sent, and
there is one path for people to look at.
"""

import os
import shutil
import time
from pathlib import Path

MAX_SIZE_BYTES = 16 * 1024 * 1024
KEPT_FILES = 4
MAX_AGE_S = 30 * 24 * 3600


class ServerLog:
    """`path` and its older parts `path.1` (newest) to `path.4`, each 0600."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._start_offset = 0

    def open(self) -> int:
        """A descriptor to append to, for a server that is about to start; the caller closes it."""
        self.rotate()
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(self.path, flags, 0o600)
        self._start_offset = os.fstat(descriptor).st_size
        return descriptor

    def rotate(self) -> None:
        """Set the file aside once it has grown to `MAX_SIZE_BYTES`; drop parts that are too old.

        A running server keeps its descriptor, so the file is copied and then truncated: lines that
        it writes between the two, within some microseconds, are lost.
        """
        try:
            size = self.path.stat().st_size
        except FileNotFoundError:
            return
        if size >= MAX_SIZE_BYTES:
            for number in range(KEPT_FILES - 1, 0, -1):
                part = self._part(number)
                if part.exists():
                    part.rename(self._part(number + 1))
            self._copy_and_truncate(self._part(1))
        oldest = time.time() - MAX_AGE_S
        for number in range(1, KEPT_FILES + 1):
            part = self._part(number)
            if part.exists() and part.stat().st_mtime < oldest:
                part.unlink()

    def tail(self, max_bytes: int = 4096) -> str:
        """The end of what was written since `open()`."""
        try:
            with self.path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                # A rotation since then has made the file shorter than the offset.
                start = self._start_offset if self._start_offset <= size else 0
                file.seek(max(start, size - max_bytes))
                return file.read().decode(errors="replace")
        except FileNotFoundError:
            return ""

    def _part(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")

    def _copy_and_truncate(self, target: Path) -> None:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with self.path.open("r+b") as source, os.fdopen(descriptor, "wb") as copy:
            shutil.copyfileobj(source, copy, 1024 * 1024)
            source.truncate(0)
