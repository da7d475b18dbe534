"""What the kernel knows of a process (`man 5 proc`)."""

import os
from pathlib import Path


def cpu_s(pid: int) -> float:
    """The processor time that all its threads have used, in seconds, to about 10 ms."""
    # After the program's name in parentheses, which may hold blanks.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user, system = int(fields[11]), int(fields[12])
    return (user + system) / os.sysconf("SC_CLK_TCK")


def rss_mb(pid: int) -> float:
    """Its resident memory, in MB of 10^6 bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def pss_mb(pid: int) -> float:
    """The same, with a page that several processes have shared out among them."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def command(pid: int) -> list[bytes]:
    """Its program and arguments; none once it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]
    except OSError:
        return []


def children(pid: int) -> list[int]:
    """The processes that it has started and that are still there."""
    return [
        child
        for child in (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
        if _parent(child) == pid
    ]


def family(pid: int) -> list[int]:
    """The process, what it has started, what that has started, and so on."""
    by_parent: dict[int | None, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            by_parent.setdefault(_parent(int(entry.name)), []).append(int(entry.name))
    found = [pid]
    for each in found:
        found += by_parent.get(each, [])
    return found


def _parent(pid: int) -> int | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[1])
