"""The files of a SQLite database, locked so that they do not change while they are read.

Locks are taken, nothing is opened as a database: what SQLite does with one whose writer died, which
is to play back its journal or its `-wal` file, it must do in a copy of these files. So there is
one way for all journal modes, and nothing is ever written beside the source.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
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
from dbopsd.security.errors import NotARegularFile, PathOutsideRoots
from dbopsd.security.roots import Folder, open_parent


@dataclass(frozen=True)
class Source:
    """A database file and those beside it, all reached from the descriptor of their directory."""

    folder: Folder
    name: str
    roots: Sequence[Path]
    """Beneath which every file must lie."""

    def __str__(self) -> str:
        return str(self.folder.path / self.name)

    def open(self, suffix: str) -> int | None:
        """A descriptor for reading, to be closed by the caller; None: there is no such file.

        Raises `SourceUnreadable`.
        """
        try:
            return self.folder.open_file(self.name + suffix)
        except FileNotFoundError:
            return None
        except NotARegularFile as error:
            raise SourceUnreadable(f"{self}{suffix}", f"it is a {error.kind}") from error
        except OSError as error:
            raise SourceUnreadable(f"{self}{suffix}", _why(error)) from error

    def mark(self, suffix: str) -> tuple[int, ...] | None:
        """What is another once the file of that name is another, or has changed; None: none."""
        found = self.folder.stat(self.name + suffix)
        return None if found is None else _mark(found)


@contextlib.contextmanager
def open_source(path: str, roots: Sequence[Path]) -> Iterator[Source]:
    """The source of that path, for the time of the context. The file need not exist.

    Raises `PathOutsideRoots`, `SourceNotFound`, `SourceUnreadable`.
    """
    try:
        folder, name = open_parent(path, roots)
    except FileNotFoundError as error:
        raise SourceNotFound(path) from error
    except OSError as error:
        raise SourceUnreadable(path, _why(error)) from error
    with folder:
        yield Source(folder, name, roots)


@dataclass(frozen=True)
class Still:
    """The locked files of a source, as descriptors."""

    source: Source
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
        return [self.source.mark(suffix) for suffix in watched]


@contextlib.contextmanager
def held_still(source: Source, patience: locks.Patience) -> Iterator[Still]:
    """Lock the source in one committed state for as long as the context lasts.

    Raises `SourceNotFound`, `SourceUnreadable`, `NotSqlite`, `SourceLocked`, `HotJournal`.
    """
    with contextlib.ExitStack() as files:
        try:
            still = _hold(source, files, patience)
        except OSError as error:
            raise SourceUnreadable(str(source), _why(error)) from error
        yield still


def _hold(source: Source, files: contextlib.ExitStack, patience: locks.Patience) -> Still:
    while True:
        database = _open(source, "", files)
        if database is None:
            raise SourceNotFound(str(source))
        if not locks.share_database(database, patience=patience):
            holder = locks.database_holder(database)
            raise SourceLocked(str(source), patience.timeout_s, holder)
        # Another file may have been renamed to its place; the `-wal` file is then that one's.
        if source.mark("") == _mark(os.fstat(database)):
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


def _hot_journal(source: Source, database: int, files: contextlib.ExitStack) -> int | None:
    """The rollback journal, if its writer died and the database file is in the middle of things."""
    journal = _open(source, "-journal", files)
    if journal is None or not is_live_journal(journal) or locks.is_being_written(database):
        return None
    name = super_journal(journal)
    # Not there: the transaction was committed in all of its files, or the file was taken away
    # from the others. SQLite believes the former.
    if name is not None and not _exists(name, source.roots):
        raise HotJournal(
            str(source),
            f"the transaction was one over several files, and the journal of them all, {name}, "
            "is not there",
        )
    return journal


def _exists(path: Path, roots: Sequence[Path]) -> bool:
    """Whether there is such a file beneath the roots: what is elsewhere, a file may not ask."""
    try:
        folder, name = open_parent(str(path), roots)
    except (OSError, PathOutsideRoots):
        return False
    with folder:
        return folder.stat(name) is not None


def _open(source: Source, suffix: str, files: contextlib.ExitStack) -> int | None:
    """A descriptor for reading, closed with `files`; None: there is no such file."""
    fd = source.open(suffix)
    if fd is not None:
        files.callback(os.close, fd)
    return fd


def _mark(found: os.stat_result) -> tuple[int, ...]:
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
