"""The memory of a process and all that it has started, over time."""

import threading
from dataclasses import dataclass
from typing import Self

from bench.proc import family, pss_mb, rss_mb

_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class Memory:
    """What some processes take together, in MB of 10^6 bytes.

    `rss_mb` has a page once for each process that has it, `pss_mb` once in all.
    """

    processes: int = 0
    rss_mb: float = 0.0
    pss_mb: float = 0.0


class MemoryWatcher:
    """Looks at a process and its descendants all the time; a context manager around the work."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory watcher", daemon=True)
        self.most = Memory()
        """The most of each that was seen, not all at the same moment."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(_EVERY_S):
            now = memory_of(self._pid)
            self.most = Memory(
                max(self.most.processes, now.processes),
                max(self.most.rss_mb, now.rss_mb),
                max(self.most.pss_mb, now.pss_mb),
            )


def memory_of(pid: int) -> Memory:
    """That of a process and its descendants now."""
    processes, rss, pss = 0, 0.0, 0.0
    for each in family(pid):
        try:
            rss += rss_mb(each)
            pss += pss_mb(each)
        except (OSError, IndexError):
            continue  # it has ended meanwhile
        processes += 1
    return Memory(processes, rss, pss)
