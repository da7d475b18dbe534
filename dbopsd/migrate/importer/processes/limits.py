"""Resource limits of a child process."""

import contextlib
import resource
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_CPU_MARGIN_S: Final = 3
"""How long before the kernel ends a process that has used up its time SQLite is interrupted."""

_OPEN_FILES: Final = 256
_FILE_BYTES: Final = 2**30
# A sort may write what it reads some times over; rejected values wait in files, with their keys.
_FILE_GROWTH: Final = 4
_BYTES_PER_CPU_S: Final = 1_000_000
"""Twenty times less than the slowest of our ways to read a file needs."""
_OOM_SCORE: Final = "500"


@dataclass(frozen=True)
class Limits:
    """The limits of one process."""

    memory_bytes: int
    """Of its own memory, as RLIMIT_DATA counts it."""
    cpu_s: float
    """Seconds of processor time without any progress, besides one for each MB of the file."""


def apply_limits(limits: Limits) -> None:
    """Limit this process, for good."""
    for which, most in (
        (resource.RLIMIT_DATA, limits.memory_bytes),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
        # It would hold rows, and what this process knows of how to log in.
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(which)
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(which, (least, least))
    # Where the machine's memory runs out before that, this process goes, and not its worker.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)


class Budget:
    """The time that this process has left until there must be some progress."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._seconds = limits.cpu_s

    def begin(self, file: str, *, writes: bool) -> None:
        """Begin with a task that reads `file`; empty: none. `writes`: it makes files to keep."""
        size = 0
        with contextlib.suppress(OSError):  # the task finds out why
            size = Path(file).stat().st_size if file else 0
        self._seconds = self._limits.cpu_s + size / _BYTES_PER_CPU_S
        _set(resource.RLIMIT_FSIZE, None if writes else _FILE_BYTES + _FILE_GROWTH * size)
        self.go_on()

    def go_on(self) -> None:
        """There is some progress. The kernel ends this process that much time from now."""
        _set(resource.RLIMIT_CPU, int(time.process_time() + self._seconds) + 1 + _CPU_MARGIN_S)


def is_out_of_time() -> bool:
    """Whether the kernel is about to end this process for the time that it has used."""
    soft, _ = resource.getrlimit(resource.RLIMIT_CPU)
    return soft != resource.RLIM_INFINITY and time.process_time() > soft - _CPU_MARGIN_S


def sqlite_heap_bytes() -> int:
    """What SQLite may have of this process's memory; 0: all that there is."""
    soft, _ = resource.getrlimit(resource.RLIMIT_DATA)
    return 0 if soft == resource.RLIM_INFINITY else soft // 2


def _set(which: int, value: int | None) -> None:
    """Set a soft limit. The hard one stays, so that the next task may have another."""
    _, hard = resource.getrlimit(which)
    most = resource.RLIM_INFINITY if value is None else value
    if hard != resource.RLIM_INFINITY and (most == resource.RLIM_INFINITY or most > hard):
        most = hard
    resource.setrlimit(which, (most, hard))
