"""The files of a SQLite database, locked so that they do not change while they are read.

Locks are taken, nothing is opened as a database: what SQLite does with one whose writer died, which
is to play back its journal or its `-wal` file, it must do in a copy of these files. So there is
one way for all journal modes, and nothing is ever written beside the source.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dbopsd.migrate.importer.model.errors import (
    HotJournal,
    NotSqlite,
    SourceLocked,
    SourceNotFound,
    SourceUnreadable,
)
from dbopsd.migrate.importer.snapshot import file_locks as locks
from dbopsd.migrate.importer.snapshot.file_header import is_live_journal, not_sqlite, super_journal


@dataclass(frozen=True)
class Still:
    """The locked files of a source, as descriptors."""

    source: Path
    database: int
    wal: int | None = None
    """The `-wal` file, if there is anything in it."""
    journal: int | None = None
    """The `-journal` file, if it is a hot one."""
    shared: bool = False
    """Whether connections have it open in WAL mode: they go on, and append to the `-wal` file."""

    @property
    def parts(self) -> dict[str, int]:
        """The files by their suffix: what comes after the database's name."""
        parts = {"": self.database, "-wal": self.wal, "-journal": self.journal}
        return {suffix: fd for suffix, fd in parts.items() if fd is not None}

    @property
    def size_bytes(self) -> int:
        """The size of all files together."""
        return sum(os.fstat(fd).st_size for fd in self.parts.values())

    def marks(self) -> list[tuple[int, ...] | None]:
        """What is another if anything was written that the locks are there to keep off.

        That is the database file, and with no connection open in WAL mode the files that one would
        write: it can have come in between. Another process whose locks are not SQLite's shows, too.
        """
        watched = ("",) if self.shared else ("", "-wal", "-shm")
        return [_mark(Path(f"{self.source}{suffix}")) for suffix in watched]


@contextlib.contextmanager
def held_still(source: Path, patience: locks.Patience) -> Iterator[Still]:
    """Lock the source in one committed state for as long as the context lasts.

    Raises `SourceNotFound`, `SourceUnreadable`, `NotSqlite`, `SourceLocked`, `HotJournal`.
    """
    with contextlib.ExitStack() as files:
        try:
            still = _hold(source, files, patience)
        except OSError as error:
            raise SourceUnreadable(str(source), _why(error)) from error
        yield still


def _hold(source: Path, files: contextlib.ExitStack, patience: locks.Patience) -> Still:
    while True:
        database = _open(source, "", files)
        if database is None:
            raise SourceNotFound(str(source))
        if not locks.share_database(database, patience=patience):
            holder = locks.database_holder(database)
            raise SourceLocked(str(source), patience.timeout_s, holder)
        # Another file may have been renamed to its place; the `-wal` file is then that one's.
        if _mark(source) == _mark(database):
            break
        files.close()
        if not patience.wait():
            raise SourceLocked(str(source), patience.timeout_s, None)
    found = not_sqlite(database)
    if found is not None:
        raise NotSqlite(str(source), found)
    if os.fstat(database).st_size == 0:
        # To SQLite, whatever lies beside an empty file is not its own.
        return Still(source, database)
    wal = _open(source, "-wal", files)
    shm = _open(source, "-shm", files) if wal is not None else None
    shared = shm is not None and locks.is_in_use(shm)
    if shared and shm is not None and not locks.stop_checkpoints(shm, patience=patience):
        raise SourceLocked(str(source), patience.timeout_s, locks.checkpoint_holder(shm))
    if wal is not None and os.fstat(wal).st_size == 0:
        # What comes into it from now on belongs to a later state.
        wal = None
    return Still(source, database, wal, _hot_journal(source, database, files), shared)


def _hot_journal(source: Path, database: int, files: contextlib.ExitStack) -> int | None:
    """The rollback journal, if its writer died and the database file is in the middle of things."""
    journal = _open(source, "-journal", files)
    if journal is None or not is_live_journal(journal) or locks.is_being_written(database):
        return None
    name = super_journal(journal)
    # Not there: the transaction was committed in all of its files, or the file was taken away
    # from the others. SQLite believes the former.
    if name is not None and not name.exists():
        raise HotJournal(
            str(source),
            f"the transaction was one over several files, and the journal of them all, {name}, "
            "is not there",
        )
    return journal


def _open(source: Path, suffix: str, files: contextlib.ExitStack) -> int | None:
    """A descriptor for reading, closed with `files`; None: there is no such file."""
    path = Path(f"{source}{suffix}")
    try:
        # Of a pipe, opening alone would wait for a writer.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SourceUnreadable(str(path), _why(error)) from error
    files.callback(os.close, fd)
    mode = os.fstat(fd).st_mode
    if not stat.S_ISREG(mode):
        what = "it is a directory" if stat.S_ISDIR(mode) else "it is not a regular file"
        raise SourceUnreadable(str(path), what)
    return fd


def _mark(file: Path | int) -> tuple[int, ...] | None:
    try:
        found = os.fstat(file) if isinstance(file, int) else file.stat()
    except FileNotFoundError:
        return None
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def _why(error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "it is a symbolic link"
    return (error.strerror or str(error)).lower()
