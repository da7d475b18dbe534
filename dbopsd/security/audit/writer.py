"""Writes records to the files of the log: a batch is on disk and anchored, or was never there.

Everything here blocks; the journal runs it in a thread of its own.
"""

import contextlib
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dbopsd.security.audit import record
from dbopsd.security.audit.anchor import write_anchor
from dbopsd.security.audit.chain import GENESIS, Link, seal
from dbopsd.security.audit.files import (
    DIRECTORY_MODE,
    FILE_MODE,
    LogFiles,
    sync_directory,
    write_all,
)
from dbopsd.security.audit.lock import LogLock
from dbopsd.security.audit.record import Record
from dbopsd.security.audit.recovery import find
from dbopsd.security.audit.retention import Expired, Retention

_log = logging.getLogger(__name__)

_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Written:
    """A record that is on disk: its line, without the line break, and its place."""

    record: Record
    link: Link
    line: str


class Writer:
    """Appends to the log at `files`; one at a time in the world. Not safe for two threads."""

    def __init__(self, files: LogFiles, *, rotate_bytes: int, retention: Retention) -> None:
        self._files = files
        self._rotate_bytes = rotate_bytes
        self._retention = retention
        self._lock = LogLock(files.lock, files.path)
        self._link: Link | None = None
        self._descriptor: int | None = None
        self._size = 0
        self._dirty = False
        self._notes: list[Record] = []

    def open(self) -> None:
        """Take the lock and find where the log ends; does nothing once that is done.

        Raises `AuditLogInUse`, or OSError, after which it may be called again.
        """
        self._files.directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        self._lock.hold()
        if self._link is None:
            self._begin()

    def _begin(self) -> None:
        found = find(self._files)
        notes: list[Record] = []
        if found.problem:
            _log.error(
                "the audit log %s was changed behind the daemon's back: %s; "
                "`dbopsd audit verify` has more",
                self._files.path,
                found.problem,
            )
            notes.append(
                record.Break(
                    time=record.now(),
                    problem=found.problem,
                    anchored=found.anchored,
                    found=found.last,
                )
            )
            # Left unchanged for an investigation.
            self._put_aside(found.link)
        elif self._open_existing(found.size) and found.torn_bytes:
            notes.append(record.Recovered(time=record.now(), torn_bytes=found.torn_bytes))
            os.ftruncate(self._held(), found.size)
            os.fsync(self._held())
        if found.link == GENESIS and not found.problem:
            # There from the first line on, or a log without one could not be told from a cut one.
            write_anchor(self._files.anchor, GENESIS)
        self._notes = notes
        self._link = found.link

    def append(self, records: Sequence[Record]) -> list[Written]:
        """Write `records`, and what the log has to say of its own before them; returns them all.

        On return they are on disk and the anchor vouches for them. Raises OSError or
        `AuditLogInUse` where that could not be done: nothing of them is in the log then.
        """
        # Without making the directory: one that was taken away is somebody's decision.
        if self._link is None:
            self.open()
        else:
            self._lock.hold()
        link = self._intact()
        if self._size >= self._rotate_bytes:
            self._put_aside(link)
        if self._descriptor is None:
            self._create()
        expired = Expired()
        batch: list[Record] = []
        if self._size == 0:
            batch.append(record.Header(time=record.now()))
            expired = self._retention.expired(self._files)
            if expired.files:
                batch.append(
                    record.Retired(
                        time=record.now(),
                        files=len(expired.files),
                        through=expired.through.sequence,
                        through_hash=expired.through.hash,
                    )
                )
        batch += [*self._notes, *records]
        written = []
        for each in batch:
            line, link = seal(each, link)
            written.append(Written(each, link, line[:-1].decode("ascii")))
        if batch:
            self._commit("".join(f"{each.line}\n" for each in written).encode(), link)
        self._notes = []
        expired.remove()
        return written

    def close(self) -> None:
        """Let go of the files and the lock."""
        self._close_file()
        self._lock.release()

    def _commit(self, data: bytes, link: Link) -> None:
        descriptor = self._held()
        try:
            write_all(descriptor, data)
            os.fsync(descriptor)
            if self._size == 0:
                sync_directory(self._files.directory)
            write_anchor(self._files.anchor, link)
        except OSError:
            self._roll_back(descriptor)
            raise
        self._size += len(data)
        self._link = link

    def _roll_back(self, descriptor: int) -> None:
        try:
            os.ftruncate(descriptor, self._size)
            os.fsync(descriptor)
        except OSError:
            self._dirty = True

    def _intact(self) -> Link:
        """Where the chain stands; makes sure that the file at the path is ours and as we left it.

        What somebody else put there, or did to it, is put aside as it is and shows in `verify`.
        """
        link = self._link
        assert link is not None  # noqa: S101 - `open` has run
        if self._descriptor is None:
            return link
        mine = os.fstat(self._descriptor)
        try:
            there = self._files.path.lstat()
        except FileNotFoundError:
            self._lost(link, "it was removed")
            return link
        if not os.path.samestat(mine, there):
            self._lost(link, "another file is in its place")
        elif self._dirty:
            os.ftruncate(self._descriptor, self._size)
            os.fsync(self._descriptor)
            self._dirty = False
        elif mine.st_size != self._size:
            self._lost(link, f"it has {mine.st_size} bytes in place of {self._size}")
        return link

    def _lost(self, link: Link, problem: str) -> None:
        # Where there is no directory any more this fails, and calls are refused until there is.
        sync_directory(self._files.directory)
        _log.error(
            "the audit log %s was changed behind the daemon's back: %s; it goes on in a new file",
            self._files.path,
            problem,
        )
        self._notes.append(
            record.Break(
                time=record.now(), problem=problem, anchored=link.sequence, found=link.sequence
            )
        )
        self._put_aside(link)

    def _put_aside(self, link: Link) -> None:
        """Give the file at the path, if there is one, its name as a full one."""
        number = link.sequence
        while self._files.full(number).exists():
            number += 1  # only where somebody made files under our names
        with contextlib.suppress(FileNotFoundError):
            self._files.path.rename(self._files.full(number))
        self._close_file()
        sync_directory(self._files.directory)

    def _create(self) -> None:
        descriptor = os.open(self._files.path, _FLAGS | os.O_CREAT | os.O_EXCL, FILE_MODE)
        self._descriptor, self._size, self._dirty = descriptor, 0, False

    def _open_existing(self, size: int) -> bool:
        try:
            self._descriptor = os.open(self._files.path, _FLAGS)
        except FileNotFoundError:
            return False
        os.fchmod(self._descriptor, FILE_MODE)
        self._size, self._dirty = size, False
        return True

    def _held(self) -> int:
        assert self._descriptor is not None  # noqa: S101 - opened or created just before
        return self._descriptor

    def _close_file(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor, self._size, self._dirty = None, 0, False
