"""Whether a whole audit log is what the daemon wrote, all of it.

Each line holds on to the one before, so an edit, a line put in, left out or moved shows where it
was done. That the newest lines are missing shows only against the anchor. Whoever may write the
log and the anchor can make both anew, whole: only a copy elsewhere shows that.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from dbopsd.security.audit.anchor import AnchorDamaged, read_anchor
from dbopsd.security.audit.chain import (
    GENESIS,
    MAX_LINE_BYTES,
    Link,
    NotARecord,
    Sealed,
    unseal,
)
from dbopsd.security.audit.errors import AuditUnreadable
from dbopsd.security.audit.files import LogFiles

EDITED: Final = "edited"
MISSING: Final = "missing"
CUT: Final = "cut"

# A daemon that writes may begin a new file while the files are being opened.
_ATTEMPTS: Final = 10
# After so many, more of them help nobody.
_MAX_PROBLEMS: Final = 100


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it was written. `kind`: `edited`, `missing` or `cut`.

    `line` counts from 1; 0 where it is about no line. `sequence` is the number of the record that
    is wrong, or of the first one that is missing; 0 where it is not known.
    """

    kind: str
    file: str
    line: int
    sequence: int
    text: str


@dataclass(slots=True)
class Report:
    """What was found. `notes` are what the log itself tells, and no problems."""

    files: int = 0
    records: int = 0
    first: int = 0
    last: int = 0
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether all is as it was written."""
        return not self.problems


def verify(path: Path) -> Report:
    """Check the log whose newest file is `path`. A daemon may be writing it meanwhile.

    Raises `AuditUnreadable` where it is not there at all or cannot be read.
    """
    files = LogFiles(path)
    try:
        with ExitStack() as stack:
            try:
                anchor, damaged = read_anchor(files.anchor), False
            except AnchorDamaged:
                anchor, damaged = None, True
            opened = _open(files, stack)
            if not opened and anchor is None and not damaged:
                raise AuditUnreadable(str(path), "there is none")
            check = _Check(anchor)
            for name, file in opened:
                check.file(name, file, newest=name == path.name)
            check.end(files.anchor.name, path.name, damaged=damaged)
            return check.report
    except OSError as exc:
        raise AuditUnreadable(str(path), exc.strerror or "the system says no more") from exc


def _open(files: LogFiles, stack: ExitStack) -> list[tuple[str, BinaryIO]]:
    """The files of the log, oldest first, as they were at one moment."""
    for _ in range(_ATTEMPTS):
        with ExitStack() as attempt:
            full = files.all_full()
            opened: list[tuple[str, BinaryIO]] = []
            try:
                for path in [path for _, path in full] + [files.path]:
                    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
                    file = os.fdopen(os.open(path, flags), "rb")
                    opened.append((path.name, attempt.enter_context(file)))
            except FileNotFoundError:
                # The newest may be missing for good; another was just removed, as configured.
                if len(opened) < len(full):
                    continue
            if files.all_full() == full:
                stack.push(attempt.pop_all())
                return opened
    raise AuditUnreadable(str(files.path), "its files change faster than they can be opened")


class _Check:
    """Goes through the lines in their order and keeps what is wrong with them."""

    def __init__(self, anchor: Link | None) -> None:
        self.report = Report()
        self._anchor = anchor
        self._at: Link | None = None
        self._broken = False  # the line before was no record, which says enough
        self._start: tuple[str, Sealed] | None = None
        self._retired = GENESIS
        self._anchored = anchor == GENESIS
        self._torn = 0

    def file(self, name: str, file: BinaryIO, *, newest: bool) -> None:
        """Go through a file."""
        self.report.files += 1
        number = 0
        for number, line in enumerate(_lines(file), 1):
            if not line.endswith(b"\n") and len(line) <= MAX_LINE_BYTES:
                self._ends_within(name, number, line, newest=newest)
                return
            self._line(name, number, line)
        if number == 0 and not newest:
            self._problem(CUT, name, 0, self._next(), "the file is empty")

    def _line(self, name: str, number: int, line: bytes) -> None:
        try:
            sealed = unseal(line)
        except NotARecord as exc:
            self._problem(EDITED, name, number, self._next(), f"not as it was written: {exc}")
            # Its own number is gone with it: the next line tells where the chain stands.
            self._at = None if self._at is None else Link(self._at.sequence + 1, "")
            self._broken = True
            return
        self._follows(name, number, sealed)
        self._reads(name, number, sealed)
        self._at, self._broken = sealed.link, False
        if sealed.link == self._anchor:
            self._anchored = True
        self.report.records += 1
        self.report.first = self.report.first or sealed.link.sequence
        self.report.last = sealed.link.sequence

    def _follows(self, name: str, number: int, sealed: Sealed) -> None:
        """Whether the record holds on to the one before it."""
        sequence = sealed.link.sequence
        if (number == 1) != (sealed.event == "header"):
            what = "the first line is missing" if number == 1 else "a file's first line is here"
            self._problem(MISSING, name, number, sequence, what)
        if self._start is None:
            self._start = (name, sealed)
        if self._at is None:
            return
        expected = self._at.sequence + 1
        if sequence > expected:
            kind = CUT if number == 1 else MISSING
            text = f"records {expected} to {sequence - 1} are missing before this one"
            self._problem(kind, name, number, expected, text)
        elif sequence < expected:
            text = f"record {sequence} stands where {expected} belongs"
            self._problem(MISSING, name, number, expected, text)
        elif sealed.previous != self._at.hash and not self._broken:
            text = "the record before it is another than the one it was written after"
            self._problem(EDITED, name, number, sequence, text)

    def _reads(self, name: str, number: int, sealed: Sealed) -> None:
        """What the log says of itself."""
        fields = sealed.fields
        time = fields.get("time")
        if sealed.event == "gap":
            self.report.notes.append(
                f"{name} line {number}: {fields.get('results')} results and "
                f"{fields.get('refused')} refusals were not written, from "
                f"{fields.get('since')} to {time}"
            )
        elif sealed.event == "recovered":
            self.report.notes.append(
                f"{name} line {number}: a crash had left {fields.get('torn_bytes')} bytes of a "
                f"line, cut off at {time}"
            )
        elif sealed.event == "break":
            text = f"the daemon found its log changed at {time}: {fields.get('problem')}"
            self._problem(CUT, name, number, sealed.link.sequence, text)
        elif sealed.event == "retired":
            through, through_hash = fields.get("through"), fields.get("through_hash")
            if type(through) is int and isinstance(through_hash, str):
                self._retired = Link(through, through_hash)

    def _ends_within(self, name: str, number: int, line: bytes, *, newest: bool) -> None:
        if not newest:
            self._problem(CUT, name, number, self._next(), "the file ends within a line")
            return
        self._torn = len(line)

    def end(self, anchor_file: str, newest: str, *, damaged: bool) -> None:
        """What shows only once all was seen."""
        last = self._at.sequence if self._at else 0
        if self._start is not None:
            self._begins_right(*self._start)
        if damaged:
            self._problem(EDITED, anchor_file, 0, last, "not as it was written")
        elif self._anchor is None:
            text = "not there: records that are missing at the log's end would not show"
            self._problem(MISSING, anchor_file, 0, last, text)
        elif self._anchor.sequence > last:
            text = f"records {last + 1} to {self._anchor.sequence} are missing at the log's end"
            self._problem(CUT, newest, 0, last + 1, text)
        elif not self._anchored:
            text = f"record {self._anchor.sequence} is another than the one that it vouches for"
            self._problem(EDITED, anchor_file, 0, self._anchor.sequence, text)
        if self._torn and self.report.whole:
            self.report.notes.append(
                f"{newest} ends with {self._torn} bytes of a line that is being written, or that "
                "a crash cut off; the daemon was not told that it is there"
            )

    def _begins_right(self, name: str, first: Sealed) -> None:
        """Whether what came before the first record was removed as configured, or is none."""
        before = Link(first.link.sequence - 1, first.previous)
        if before.sequence > self._retired.sequence:
            first_missing = self._retired.sequence + 1
            text = f"records {first_missing} to {before.sequence} are missing before this one"
            self._problem(MISSING, name, 1, first_missing, text)
        elif before.sequence == self._retired.sequence and before != self._retired:
            text = "the record before it is another than the one it was written after"
            self._problem(EDITED, name, 1, first.link.sequence, text)
        elif self._retired.sequence:
            self.report.notes.append(
                f"records up to {self._retired.sequence} were removed as configured"
            )

    def _next(self) -> int:
        return self._at.sequence + 1 if self._at else 0

    def _problem(self, kind: str, file: str, line: int, sequence: int, text: str) -> None:
        if len(self.report.problems) < _MAX_PROBLEMS:
            self.report.problems.append(Problem(kind, file, line, sequence, text))


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines with their breaks; of one that is too long to be a record, only that much."""
    while line := file.readline(MAX_LINE_BYTES + 1):
        yield line
        while len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
            line = file.readline(MAX_LINE_BYTES + 1)
            if not line:
                return
