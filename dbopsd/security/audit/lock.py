"""The lock that lets only one daemon write an audit log."""

import contextlib
import fcntl
import os
from pathlib import Path

from dbopsd.security.audit.errors import AuditLogInUse
from dbopsd.security.audit.files import FILE_MODE


class LogLock:
    """An advisory lock held through a file of its own, gone with the process, however it dies.

    Not on the log itself, which is another file after each rotation.
    """

    def __init__(self, lock: Path, log: Path) -> None:
        self._path = lock
        self._log = log
        self._descriptor: int | None = None

    def hold(self) -> None:
        """Take the lock if it is not held, or no longer at its path.

        Raises `AuditLogInUse`, or OSError where there is no place for a lock.
        """
        if self._descriptor is not None:
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(self._descriptor), self._path.lstat()):
                    return
            self.release()
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(self._path, flags, FILE_MODE)
        try:
            self._take(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def _take(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            text = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            raise AuditLogInUse(str(self._log), int(text) if text.isdigit() else None) from exc
        # The number is for people; on a full disk the lock does without.
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Give the lock up; the file stays, since removing it would let two hold it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
