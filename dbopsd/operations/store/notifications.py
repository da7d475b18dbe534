"""Notifications between the processes of one control store: there is something to do.

They spare each process from asking all the time. One may be lost, so whoever waits for them looks
from time to time as well. On PostgreSQL they are LISTEN and NOTIFY; beside a SQLite file, which
one machine has, each listener reads a FIFO of its own.
"""

import contextlib
import os
import stat
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol, cast

import sqlalchemy as sa

from dbopsd.db.bounded_connection import BoundedConnection
from dbopsd.operations.store.sql_engine import translated

_CHANNEL: Final = "dbopsd"


class Topic(StrEnum):
    """What there is to do."""

    WORK = "work"
    """Operations wait for a worker, or a worker has room again."""

    SCHEDULES = "schedules"
    """A schedule was paused or goes on."""

    DUTIES = "duties"
    """Nobody holds a duty any more."""


_LETTERS: Final = {topic.value[0].encode(): topic for topic in Topic}


class Subscription(Protocol):
    """Notifications as they arrive. Readable in the sense of `select` when there are some."""

    def fileno(self) -> int:
        """Its descriptor, to wait for."""

    def receive(self) -> set[Topic]:
        """What has arrived; never waits. Raises whatever its driver does once it is broken."""

    def close(self) -> None:
        """End it."""


class FifoNotifications:
    """Notifications beside a SQLite file. `directory` is theirs alone."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def publish(self, topic: Topic) -> None:
        """Notify every listener; one that cannot be reached looks for itself before long."""
        with contextlib.suppress(OSError):
            for path in self._fifos():
                _write(path, topic.value[0].encode())

    def subscribe(self, listener: str) -> Subscription:
        """A subscription under a name that no other listener has. Raises OSError."""
        self._directory.mkdir(mode=0o700, exist_ok=True)
        for path in self._fifos():
            if not _write(path, b""):
                path.unlink(missing_ok=True)
        path = self._directory / listener
        # Under another name until it is open: a FIFO that nobody reads is taken for a dead one's.
        unread = self._directory / f".{listener}"
        os.mkfifo(unread, 0o600)
        try:
            # For writing too: or it would be at its end whenever no process writes.
            descriptor = os.open(unread, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            unread.rename(path)
        except OSError:
            unread.unlink(missing_ok=True)
            raise
        return _Fifo(path, descriptor)

    def _fifos(self) -> list[Path]:
        return [path for path in self._directory.iterdir() if not path.name.startswith(".")]


def _write(path: Path, letters: bytes) -> bool:
    """Whether somebody reads the FIFO; a full one is as good as written to."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            with contextlib.suppress(BlockingIOError):
                os.write(descriptor, letters)
    finally:
        os.close(descriptor)
    return True


class _Fifo:
    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    def fileno(self) -> int:
        return self._descriptor

    def receive(self) -> set[Topic]:
        with contextlib.suppress(BlockingIOError):
            letters = os.read(self._descriptor, 65536)
            return {_LETTERS[bytes((each,))] for each in letters if bytes((each,)) in _LETTERS}
        return set()

    def close(self) -> None:
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


def notify(connection: sa.Connection, topic: Topic) -> None:
    """Notify every listener of a control store in PostgreSQL, once the transaction commits."""
    connection.execute(
        sa.text("SELECT pg_catalog.pg_notify(:channel, :payload)"),
        {"channel": _CHANNEL, "payload": topic.value},
    )


def listen(engine: sa.Engine, where: str) -> Subscription:
    """A connection of its own that listens. Raises `ControlStoreUnavailable`."""
    with translated(where):
        pooled = engine.raw_connection()
        # It listens for as long as the process works, so the pool does without it.
        pooled.detach()
        return _Listener(cast("BoundedConnection", pooled.dbapi_connection))


class _Listener:
    def __init__(self, connection: BoundedConnection) -> None:
        self._connection = connection
        connection.set_autocommit(True)
        connection.execute(f"LISTEN {_CHANNEL}")

    def fileno(self) -> int:
        return self._connection.fileno()

    def receive(self) -> set[Topic]:
        # Somebody else may use the channel, and a newer version other topics.
        known = set(Topic)
        return {Topic(each) for each in self._connection.received() if each in known}

    def close(self) -> None:
        self._connection.close()
