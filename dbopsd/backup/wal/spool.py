"""The spool: the directory that `pg_receivewal` writes WAL to, until the store has it.

It belongs to one cluster and one process: a lock on the directory beside it keeps a second one out,
such as a worker that was taken for dead.
"""

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from dbopsd.backup.catalog.lsn import Lsn, Segment
from dbopsd.errors import DbopsError, StatusCode

_FILE: Final = re.compile(r"(?P<segment>[0-9A-F]{24})(?P<partial>\.partial)?")
_HISTORY: Final = re.compile(r"(?P<timeline>[0-9A-F]{8})\.history")
_FOLDER: Final = "wal"


@dataclass(eq=False)
class SpoolBusy(DbopsError):
    """Another process of this machine has the spool."""

    reason: ClassVar[str] = "WAL_SPOOL_BUSY"
    code: ClassVar[StatusCode] = StatusCode.UNAVAILABLE

    directory: str

    @property
    def message(self) -> str:
        return (
            f"another process receives WAL to '{self.directory}': it has yet to end; "
            "this is tried again by itself"
        )


@dataclass(frozen=True, slots=True)
class Gap:
    """WAL that the server does not have any more, up to where receiving may go on."""

    timeline: int
    start: Lsn
    end: Lsn
    cause: str


@dataclass(frozen=True, slots=True)
class SpoolFiles:
    """What is in a spool."""

    complete: tuple[Segment, ...] = ()
    """In order of their positions, then timelines."""
    partial: tuple[Segment, ...] = ()
    """Begun ones, in the same order: the last is written to, others are the ends of timelines."""
    histories: tuple[int, ...] = ()

    @property
    def highest(self) -> Segment | None:
        """The file after which `pg_receivewal` goes on."""
        return max((*self.complete, *self.partial), key=_order, default=None)


class Spool:
    """The spool of a cluster. Its methods block."""

    def __init__(self, directory: Path, segment_bytes: int) -> None:
        self.directory = directory
        self.segment_bytes = segment_bytes

    def files(self) -> SpoolFiles:
        """What is there now. A file of another length than a segment's is none."""
        complete, partial, histories = [], [], []
        for entry in os.scandir(self.directory):
            if found := _FILE.fullmatch(entry.name):
                segment = Segment.parse(found["segment"], self.segment_bytes)
                if found["partial"]:
                    partial.append(segment)
                elif _size(entry) == self.segment_bytes:
                    complete.append(segment)
            elif found := _HISTORY.fullmatch(entry.name):
                histories.append(int(found["timeline"], 16))
        return SpoolFiles(
            tuple(sorted(complete, key=_order)),
            tuple(sorted(partial, key=_order)),
            tuple(sorted(histories)),
        )

    def size_bytes(self) -> int:
        """How much it holds."""
        return sum(_size(entry) for entry in os.scandir(self.directory))

    def read(self, segment: Segment) -> bytes:
        """A complete segment."""
        return (self.directory / str(segment)).read_bytes()

    def read_partial(self, segment: Segment) -> bytes:
        """What there is of a segment that is begun: the rest is zeros."""
        return self._partial(segment).read_bytes()

    def changed_ns(self, segment: Segment) -> int:
        """When a segment that is begun was written to; 0: it is not there, or nothing is in it."""
        try:
            found = self._partial(segment).stat()
        except FileNotFoundError:
            return 0
        return found.st_mtime_ns if found.st_size else 0

    def read_history(self, timeline: int) -> bytes:
        """The history of a timeline, as the server sent it."""
        return (self.directory / f"{timeline:08X}.history").read_bytes()

    def remove_history(self, timeline: int) -> None:
        """Remove the history of a timeline."""
        (self.directory / f"{timeline:08X}.history").unlink(missing_ok=True)

    def remove(self, segment: Segment) -> None:
        """Remove a complete segment."""
        (self.directory / str(segment)).unlink(missing_ok=True)

    def remove_partial(self, segment: Segment) -> None:
        """Remove a segment that is begun."""
        self._partial(segment).unlink(missing_ok=True)

    def begin_at(self, segment: Segment) -> None:
        """Have `pg_receivewal` begin with `segment`.

        It begins with the highest file that is begun. Without one it would take the server's
        present position, and leave out what is before it.
        """
        self._partial(segment).touch(0o600)

    def expect_gap(self, gap: Gap) -> None:
        """Keep in mind that the WAL that comes next leaves a gap, even if this process dies."""
        fields = [gap.timeline, str(gap.start), str(gap.end), gap.cause]
        draft = self._gap.with_suffix(".draft")
        draft.write_text(json.dumps(fields), encoding="utf-8")
        draft.replace(self._gap)

    def expected_gap(self) -> Gap | None:
        """The gap that is expected."""
        try:
            fields = json.loads(self._gap.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        timeline, start, end, cause = fields
        return Gap(timeline, Lsn.parse(start), Lsn.parse(end), cause)

    def forget_gap(self) -> None:
        """The gap is recorded, or there is none."""
        self._gap.unlink(missing_ok=True)

    @property
    def _gap(self) -> Path:
        return self.directory.with_suffix(".gap")

    def _partial(self, segment: Segment) -> Path:
        return self.directory / f"{segment}.partial"


def spool_folder(state_dir: Path, database: str) -> Path:
    """The directory of all spools of a database."""
    return state_dir / "backup" / _FOLDER / database


@contextmanager
def open_spool(folder: Path, system_identifier: str, segment_bytes: int) -> Iterator[Spool]:
    """The spool of a cluster, for this process alone. Raises `SpoolBusy`. Blocks."""
    directory = folder / system_identifier
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(
        folder / f"{system_identifier}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
    )
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SpoolBusy(str(directory)) from None
        yield Spool(directory, segment_bytes)
    finally:
        os.close(lock)


def left_spools(folder: Path) -> list[tuple[str, int]]:
    """The clusters of which a spool has WAL, each with the size of its segments. Blocks."""
    found = []
    for directory in sorted(folder.glob("[0-9]*")):
        if not directory.name.isdigit() or not directory.is_dir():
            continue
        sizes = [_size(entry) for entry in os.scandir(directory) if _FILE.fullmatch(entry.name)]
        if any(sizes):
            found.append((directory.name, max(sizes)))
    return found


def _size(entry: "os.DirEntry[str]") -> int:
    try:
        return entry.stat().st_size
    except FileNotFoundError:
        return 0


def _order(segment: Segment) -> tuple[int, int]:
    return segment.number, segment.timeline
