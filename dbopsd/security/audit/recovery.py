"""What a daemon finds of the log when it starts, and where the chain goes on from there.

A crash may leave less than a whole line at the end, and whole lines that the anchor does not know
yet: neither was acknowledged to anybody, and neither is a break. Everything else is one.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dbopsd.security.audit.anchor import AnchorDamaged, read_anchor
from dbopsd.security.audit.chain import (
    GENESIS,
    MAX_LINE_BYTES,
    Link,
    NotARecord,
    Sealed,
    unseal,
)
from dbopsd.security.audit.files import LogFiles

MAX_BATCH: Final = 128
"""How many records are written at once at most; the anchor is never further behind the log."""

# A batch, what the journal adds of its own, and a line cut in two by the start of the window.
_WINDOW_BYTES: Final = (MAX_BATCH + 8) * MAX_LINE_BYTES


@dataclass(frozen=True, slots=True)
class Found:
    """The state of the log on disk."""

    link: Link
    """What the next record holds on to."""

    size: int
    """The bytes of whole lines in the file that is being written; 0 where there is none."""

    torn_bytes: int
    """The bytes after them, that a crash left."""

    problem: str = ""
    """What was done to the log behind the daemon's back; empty where nothing was."""

    anchored: int = 0
    last: int = 0
    """The numbers of the last record by the anchor, and of the last one that is there."""


@dataclass(frozen=True, slots=True)
class _Tail:
    """The end of a file: its last records, as far as the window goes and lines are records."""

    size: int
    torn_bytes: int
    records: tuple[Sealed, ...]
    damage: str


def find(files: LogFiles) -> Found:
    """Look at the end of the log. Raises OSError."""
    full = files.all_full()
    tail = _read_tail(files.path)
    size, torn_bytes, damage = tail.size, tail.torn_bytes, tail.damage
    records = tail.records
    if not records and not damage and full:
        before = _read_tail(full[-1][1])
        records, damage = before.records, before.damage
        if before.torn_bytes and not damage:
            damage = f"{full[-1][1].name} ends within a line"
    last = records[-1].link if records else GENESIS
    try:
        anchor = read_anchor(files.anchor)
        problem = damage or _against(anchor, records, exists=bool(full or size))
    except AnchorDamaged:
        anchor = None
        problem = "the anchor is damaged"
    if not problem:
        return Found(last, size, torn_bytes)
    numbers = [last.sequence, anchor.sequence if anchor else 0, full[-1][0] if full else 0]
    return Found(
        Link(max(numbers), last.hash if records or anchor is None else anchor.hash),
        size,
        torn_bytes,
        problem=problem,
        anchored=anchor.sequence if anchor else 0,
        last=last.sequence,
    )


def _against(anchor: Link | None, records: tuple[Sealed, ...], *, exists: bool) -> str:
    """What the anchor has against the records at the log's end; empty for nothing."""
    if anchor is None:
        return "the anchor is missing" if exists else ""
    last = records[-1].link.sequence if records else 0
    if anchor.sequence > last:
        return "records are missing at its end"
    known = {record.link for record in records}
    known |= {Link(record.link.sequence - 1, record.previous) for record in records}
    if anchor in known or anchor == GENESIS == Link(last, GENESIS.hash):
        return ""
    return "the record that the anchor vouches for is another"


def _read_tail(path: Path) -> _Tail:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return _Tail(0, 0, (), "")
    with os.fdopen(descriptor, "rb") as file:
        length = file.seek(0, os.SEEK_END)
        start = max(0, length - _WINDOW_BYTES)
        file.seek(start)
        window = file.read(length - start)
    lines = window.split(b"\n")
    torn_bytes = len(lines.pop())
    if start:
        if not lines:
            return _Tail(length, 0, (), f"{path.name} ends in what is no line")
        lines.pop(0)
    records: list[Sealed] = []
    damage = ""
    for line in reversed(lines):
        try:
            records.append(unseal(line + b"\n"))
        except NotARecord as exc:
            # A line further up does no harm here: `verify` is there to look at all of them.
            damage = "" if records else f"the last line of {path.name} was changed: {exc}"
            break
    return _Tail(length - torn_bytes, torn_bytes, tuple(reversed(records)), damage)
