"""Who holds a connection, since when, and from where: how a leak is found.

A connection that is not given back is invisible until the pool is empty, far from its cause. So
each lease remembers the stack that took it, and one held for too long is logged with it.
"""

import asyncio
import itertools
import logging
import sys
import time
from dataclasses import dataclass, field
from types import CodeType, FrameType

_log = logging.getLogger(__name__)

_STACK_DEPTH = 16
_LOOP = asyncio.events.__file__


@dataclass(eq=False, slots=True)
class Lease:
    """One connection in somebody's hands. `taken_at` is time.monotonic()."""

    number: int
    taken_at: float
    stack: list[tuple[CodeType, int]] = field(repr=False)
    reported: bool = False

    def describe_stack(self) -> str:
        """Where it was taken, on one line of the log, the innermost call first."""
        return " < ".join(
            f"{code.co_filename}:{line} {code.co_qualname}" for code, line in self.stack
        )


class LeaseBook:
    """The leases of one pool."""

    def __init__(self, database: str, leak_after_s: float) -> None:
        self._database = database
        self._leak_after_s = leak_after_s
        self._numbers = itertools.count(1)
        self._leases: dict[int, Lease] = {}
        self.leaks_total = 0

    def __len__(self) -> int:
        return len(self._leases)

    def take(self) -> Lease:
        """Note that the caller takes a connection now."""
        lease = Lease(next(self._numbers), time.monotonic(), _stack())
        self._leases[lease.number] = lease
        return lease

    def give_back(self, lease: Lease) -> float:
        """Note that the connection is back; for how long it was held, in seconds."""
        del self._leases[lease.number]
        held_s = time.monotonic() - lease.taken_at
        if lease.reported:
            _log.warning(
                "a leaked connection of database '%s' came back after %.1f s",
                self._database,
                held_s,
            )
        return held_s

    def leaked(self) -> list[Lease]:
        """The leases held for longer than allowed, oldest first; each is logged once."""
        deadline = time.monotonic() - self._leak_after_s
        leaked = [lease for lease in list(self._leases.values()) if lease.taken_at <= deadline]
        for lease in leaked:
            if not lease.reported:
                lease.reported = True
                self.leaks_total += 1
                _log.warning(
                    "a connection of database '%s' is held for more than %g s; it was taken at %s",
                    self._database,
                    self._leak_after_s,
                    lease.describe_stack(),
                )
        return leaked


def _stack() -> list[tuple[CodeType, int]]:
    # traceback.extract_stack() reads source files and costs a hundred times as much.
    frames: list[tuple[CodeType, int]] = []
    # Past this module and the pool's context manager.
    frame: FrameType | None = sys._getframe(3)  # noqa: SLF001
    # Below the task there is only the event loop.
    while frame is not None and frame.f_code.co_filename != _LOOP and len(frames) < _STACK_DEPTH:
        frames.append((frame.f_code, frame.f_lineno))
        frame = frame.f_back
    return frames
