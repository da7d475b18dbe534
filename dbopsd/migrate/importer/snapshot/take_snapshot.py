"""A private copy of a SQLite file in one committed state: what an import reads.

Nothing is written to the source or beside it, and its writers go on: in WAL mode unhindered, in
the other modes they wait for as long as the kernel takes to copy the file.
"""

import errno
import json
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from dbopsd.migrate.importer.model.errors import (
    SnapshotCancelled,
    SnapshotFailed,
    SnapshotNoSpace,
    SourceError,
    SourceUnstable,
)
from dbopsd.migrate.importer.model.requests import Integrity
from dbopsd.migrate.importer.snapshot.file_copy import copy, sync
from dbopsd.migrate.importer.snapshot.file_header import forget_super_journal, super_journal
from dbopsd.migrate.importer.snapshot.file_locks import Patience
from dbopsd.migrate.importer.snapshot.source_files import Source, Still, held_still, open_source
from dbopsd.migrate.importer.snapshot.sqlite_copy import check, recover

_ATTEMPTS: Final = 5
_LOCK_TIMEOUT_S: Final = 30.0
# For what is written beside the copy.
_SPARE_BYTES: Final = 2**20
# A copy in the making, and a whole one. The file's name within is that of `Snapshot.path`.
_MAKING: Final = "snapshot.making"
_WHOLE: Final = "snapshot"
_DATABASE: Final = "source.db"
_RECORD: Final = "snapshot.json"


@dataclass(frozen=True)
class Snapshot:
    """A copy that nobody writes to: open it with `?immutable=1`."""

    path: Path
    size_bytes: int
    source_bytes: int
    """What was copied: the file, with its `-wal` file or its hot journal."""
    took_s: float
    held_s: float
    """For how long the source was locked. Only writers of a file in a rollback-journal mode
    waited for that."""
    recovered: str = ""
    """`wal` or `journal`, if that was played back in the copy."""
    unchecked: tuple[str, ...] = ()
    """Tables that were not looked at for damage: they need a collation or a module that is not
    here."""

    @property
    def empty(self) -> bool:
        """Whether the source has no bytes at all, which is a valid database without tables."""
        return self.size_bytes == 0


def take_snapshot(
    source: str,
    roots: Sequence[Path],
    directory: Path,
    *,
    integrity: Integrity = Integrity.QUICK,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
    cancelled: Callable[[], bool] = lambda: False,
    lock_timeout_s: float = _LOCK_TIMEOUT_S,
) -> Snapshot:
    """Copy `source` into `directory`, or return the complete copy that exists already.

    `source` and the files beside it are opened beneath `roots` only. `progress` is called with the
    bytes copied so far and the total. A process that dies within leaves nothing that would be taken
    for a whole copy; one that raises leaves nothing. Blocks. Raises a `SourceError`, or
    `PathOutsideRoots`.
    """
    whole = directory / _WHOLE
    made = _read(whole)
    if made is not None:
        return made
    making = directory / _MAKING
    with open_source(source, roots) as opened:
        taking = _Taking(opened, making, progress, cancelled)
        try:
            shutil.rmtree(making, ignore_errors=True)
            making.mkdir(mode=0o700)
            return taking.take(whole, integrity, lock_timeout_s)
        except (OSError, sqlite3.DatabaseError) as error:
            raise _failure(error, str(opened), directory, taking.size_bytes) from error
        finally:
            shutil.rmtree(making, ignore_errors=True)


class _Taking:
    """One call of `take_snapshot`."""

    def __init__(
        self,
        source: Source,
        making: Path,
        progress: Callable[[int, int], None],
        cancelled: Callable[[], bool],
    ) -> None:
        self._source = source
        self._making = making
        self._copy = making / _DATABASE
        self._progress = progress
        self._cancelled = cancelled
        self.size_bytes = 0
        """Of all that is copied, once that is known."""

    def take(self, whole: Path, integrity: Integrity, lock_timeout_s: float) -> Snapshot:
        began = time.monotonic()
        parts, source_bytes, held_s = self._copy_once_still(lock_timeout_s)
        played_back = "journal" if "-journal" in parts else "wal" if "-wal" in parts else ""
        if played_back:
            recover(self._copy, str(self._source), journal=played_back == "journal")
        # The disk takes it in while it is looked at.
        with ThreadPoolExecutor(1) as beside:
            synced = beside.submit(sync, self._copy)
            unchecked = check(self._copy, str(self._source), integrity, self._cancelled)
            synced.result()
        snapshot = Snapshot(
            path=whole / _DATABASE,
            size_bytes=self._copy.stat().st_size,
            source_bytes=source_bytes,
            took_s=time.monotonic() - began,
            held_s=held_s,
            recovered=played_back,
            unchecked=unchecked,
        )
        record = self._making / _RECORD
        record.write_text(json.dumps({**asdict(snapshot), "path": _DATABASE}))
        sync(record)
        sync(self._making)
        self._making.rename(whole)
        sync(whole.parent)
        return snapshot

    def _copy_once_still(self, lock_timeout_s: float) -> tuple[frozenset[str], int, float]:
        """Which parts were copied, how many bytes, and how long the last attempt held locks."""
        for _ in range(_ATTEMPTS):
            with held_still(self._source, Patience(lock_timeout_s, self._go_on)) as still:
                began = time.monotonic()
                before = still.marks()
                self._need(still)
                source_bytes = self._copy_parts(still)
                unchanged = still.marks() == before
                held_s = time.monotonic() - began
            if unchanged:
                return frozenset(still.parts), source_bytes, held_s
            for path in self._making.iterdir():
                path.unlink()
        raise SourceUnstable(str(self._source), _ATTEMPTS)

    def _need(self, still: Still) -> None:
        """Raise `SnapshotNoSpace` if it is certain that the copy does not fit."""
        # What is in the `-wal` file moves into the database file when it is played back.
        self.size_bytes = still.size_bytes
        growth = 0 if still.wal is None else os.fstat(still.wal).st_size
        needed = self.size_bytes + growth + _SPARE_BYTES
        free = shutil.disk_usage(self._making).free
        if free < needed:
            raise SnapshotNoSpace(str(self._source), str(self._making.parent), needed, free)

    def _copy_parts(self, still: Still) -> int:
        total, done = still.size_bytes, 0

        def copied(count: int) -> None:
            nonlocal done
            done += count
            self._progress(min(done, total), total)
            self._go_on()

        for suffix, fd in still.parts.items():
            new = copy(fd, Path(f"{self._copy}{suffix}"), copied=copied)
            try:
                if fd == still.journal and super_journal(fd) is not None:
                    # Whether to play it back has been decided; in a copy it must not lead SQLite
                    # to the super-journal, which SQLite would do away with in the end.
                    forget_super_journal(new)
            finally:
                os.close(new)
        return done

    def _go_on(self) -> None:
        if self._cancelled():
            raise SnapshotCancelled(str(self._source))


def _read(whole: Path) -> Snapshot | None:
    """The complete copy in a directory; None: there is none."""
    try:
        record = json.loads((whole / _RECORD).read_bytes())
    except FileNotFoundError:
        return None
    record["path"] = whole / record["path"]
    record["unchecked"] = tuple(record["unchecked"])
    return Snapshot(**record)


def _failure(error: Exception, source: str, directory: Path, size_bytes: int) -> SourceError:
    free = shutil.disk_usage(directory).free if directory.is_dir() else 0
    full = (
        error.errno in (errno.ENOSPC, errno.EDQUOT)
        if isinstance(error, OSError)
        else getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
    )
    # SQLite does not always tell a full disk from a broken one.
    if full or (isinstance(error, sqlite3.Error) and free < _SPARE_BYTES):
        return SnapshotNoSpace(source, str(directory), size_bytes + _SPARE_BYTES, free)
    why = getattr(error, "strerror", None) or str(error)
    return SnapshotFailed(source, str(directory), why.lower())
