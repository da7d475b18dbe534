"""A lock on a directory that only one process may work in."""

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Self

from dbopsd.db.server.errors import StateDirectoryInUse


class DirectoryLock:
    """An advisory lock held through a file in the directory, gone with the process.

    The kernel releases it when the process dies, however it dies, so there is nothing stale to
    clean up. The file holds the holder's process id, for the message that others get.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._descriptor: int | None = None

    def acquire(self) -> Self:
        """Take the lock or raise `StateDirectoryInUse` at once. The directory must exist."""
        # Not inherited by child processes, or a server would hold the lock on after us.
        descriptor = os.open(
            self._directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
        )
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            text = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            os.close(descriptor)
            raise StateDirectoryInUse(
                directory=str(self._directory), holder_pid=int(text) if text.isdigit() else None
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor
        return self

    def release(self) -> None:
        """Give the lock up; the file stays, since removing it would let two hold it."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None
