"""SQLite's file locks, taken without SQLite: they keep a file unchanged while it is copied.

A connection, even a read-only one, would make a `-wal` and a `-shm` file beside a database in WAL
mode, and would play back a journal. The bytes that are locked here are a part of the file format
(https://sqlite.org/lockingv3.html, https://sqlite.org/walformat.html section 2.3). All locks are
shared ones: files are opened for reading only.

They are locks of the open file (`fcntl(2)`, F_OFD_SETLK) and not of the process: those would be
lost as soon as anything in this process closed the same file.
"""

import errno
import fcntl
import os
import struct
import time
from collections.abc import Callable
from typing import Final

# Of the database file.
_PENDING: Final = 0x40000000
_RESERVED: Final = _PENDING + 1
_SHARED: Final = _PENDING + 2
_SHARED_BYTES: Final = 510
# Of the `-shm` file.
_CHECKPOINT: Final = 121
_READ_1: Final = 124
_DEAD_MAN: Final = 128

_FLOCK: Final = "hhqqi4x"
# A busy writer lets go of the file for no more than a few milliseconds between two transactions.
_WAIT_S: Final = 0.001


def share_database(fd: int, *, patience: "Patience") -> bool:
    """Take the SHARED lock: until `fd` is closed nobody writes to the database file.

    In WAL mode writers go on, into the `-wal` file, which the last of them leaves where it is. In
    the other modes a writer that wants to commit waits. False: it could not be had.
    """
    while True:
        # A writer that holds PENDING waits for readers to leave, and is let by. It keeps it while
        # it holds EXCLUSIVE, too.
        if _try_share(fd, _PENDING):
            try:
                if _try_share(fd, _SHARED, _SHARED_BYTES):
                    return True
            finally:
                _unlock(fd, _PENDING)
        if not patience.wait():
            return False


def is_being_written(fd: int) -> bool:
    """Whether a connection holds RESERVED on the database: its journal is then not a hot one."""
    return _holder(fd, _RESERVED) is not None


def database_holder(fd: int) -> int | None:
    """The process that keeps the SHARED lock from being taken; None: not known, or none does."""
    pending = _holder(fd, _PENDING, wanted=fcntl.F_RDLCK)
    return _process(pending or _holder(fd, _SHARED, _SHARED_BYTES, fcntl.F_RDLCK))


def is_in_use(shm: int) -> bool:
    """Whether a connection is open that uses the `-shm` file.

    That lock is looked at and never taken: a connection that came while it was held would believe
    what a crash may have left in the file.
    """
    return _holder(shm, _DEAD_MAN) is not None


def stop_checkpoints(shm: int, *, patience: "Patience") -> bool:
    """Stop checkpoints until `shm` is closed: no pages move, and the `-wal` does not restart.

    Writers go on and append to the `-wal` file: what was committed in it stays as it is. Only for
    a `-shm` file that is in use. False: it could not be had.
    """
    while not (_try_share(shm, _CHECKPOINT) and _try_share(shm, _READ_1)):
        # A process that needs both locks does not wait while we hold one.
        _unlock(shm, _CHECKPOINT)
        if not patience.wait():
            return False
    return True


def checkpoint_holder(shm: int) -> int | None:
    """The process that keeps checkpoints from being stopped; None: not known, or none does."""
    return _process(_holder(shm, _CHECKPOINT, wanted=fcntl.F_RDLCK))


class Patience:
    """The time that all locks together are waited for, in seconds.

    `give_up` is called between two looks, and may raise.
    """

    def __init__(self, timeout_s: float, give_up: Callable[[], None]) -> None:
        self.timeout_s = timeout_s
        self._give_up = give_up
        self._deadline = time.monotonic() + timeout_s

    def wait(self) -> bool:
        """Wait for a moment. Returns False if no time is left."""
        self._give_up()
        if time.monotonic() >= self._deadline:
            return False
        time.sleep(_WAIT_S)
        return True


def _try_share(fd: int, start: int, length: int = 1) -> bool:
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _flock(fcntl.F_RDLCK, start, length))
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


def _unlock(fd: int, start: int, length: int = 1) -> None:
    fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _flock(fcntl.F_UNLCK, start, length))


def _holder(fd: int, start: int, length: int = 1, wanted: int = fcntl.F_WRLCK) -> int | None:
    """Whose lock is in the way of a `wanted` one (-1: it cannot be told); None: nobody's."""
    answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _flock(wanted, start, length))
    kind, _, _, _, process = struct.unpack(_FLOCK, answer)
    return None if kind == fcntl.F_UNLCK else int(process)


def _process(holder: int | None) -> int | None:
    return holder if holder is not None and holder > 0 else None


def _flock(kind: int, start: int, length: int) -> bytes:
    return struct.pack(_FLOCK, kind, os.SEEK_SET, start, length, 0)
