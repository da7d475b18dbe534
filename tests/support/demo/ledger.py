"""What happened, in a file that survives everything: a line a step's begin and end."""

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

BEGIN, END, CLEANED = "begin", "end", "cleaned"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line. `step` is 0 for what concerns the whole operation; `time` is of the wall clock."""

    operation: str
    attempt: int
    step: int
    what: str
    pid: int
    time: float = 0.0


def write(path: str, operation: str, attempt: int, step: int, what: str) -> None:
    """Append a line. Whole, whoever else writes; in the file once this returns."""
    line = f"{operation} {attempt} {step} {what} {os.getpid()} {time.time():.6f}\n"
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        written = os.write(fd, line.encode())
    finally:
        os.close(fd)
    if written != len(line):
        raise OSError(f"{path} took {written} of {len(line)} bytes")


def read(path: Path) -> list[Entry]:
    """All lines, in the order in which they were written; none without the file."""
    if not path.exists():
        return []
    return [_parse(line) for line in path.read_text().splitlines()]


def _parse(line: str) -> Entry:
    operation, attempt, step, what, pid, at = line.split()
    return Entry(operation, int(attempt), int(step), what, int(pid), float(at))


def of(operation: str, entries: Iterable[Entry]) -> list[Entry]:
    """Those of one operation."""
    return [entry for entry in entries if entry.operation == operation]
