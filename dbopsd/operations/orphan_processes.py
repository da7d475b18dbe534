"""Processes of an operation that nobody looks after any more, found in /proc and ended.

The last resort: as long as a program's guardian lives, there are none. They are known by what
`children.py` puts into their environment, which a program hands on unless it takes care not to;
with a guardian that was killed, by its session too.
"""

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

OPERATION_VARIABLE: Final = "DBOPS_OPERATION"
CHILD_VARIABLE: Final = "DBOPS_CHILD"

_POLL_S = 0.01
_PATIENCE_S = 5.0

_log = logging.getLogger(__name__)


async def sweep(operation: str) -> list[int]:
    """Kill what an operation's earlier attempts left on this host, guardians too.

    For a worker that begins an attempt, before its first child. Returns the process ids found;
    what belongs to other accounts, or in another container, is not seen.
    """
    marker = f"{OPERATION_VARIABLE}={operation}".encode()
    return await asyncio.to_thread(_end, operation, lambda pid: _is_marked(pid, marker))


async def sweep_child(operation: str, child: str, guardian: int) -> list[int]:
    """Kill what a killed guardian looked after: what is marked with `child`, and its session."""
    marker = f"{CHILD_VARIABLE}={child}".encode()
    return await asyncio.to_thread(
        _end, operation, lambda pid: _is_marked(pid, marker) or _session(pid) == guardian
    )


def _end(operation: str, ours: Callable[[int], bool]) -> list[int]:
    found: set[int] = set()
    deadline = time.monotonic() + _PATIENCE_S
    while pids := [pid for pid in _processes() if ours(pid)]:
        found.update(pids)
        for pid in pids:
            _kill(pid, ours)
        if time.monotonic() > deadline:
            _log.error("processes %s of operation %s do not end by SIGKILL", pids, operation)
            break
        time.sleep(_POLL_S)
    if found:
        _log.warning("ended processes %s that operation %s left behind", sorted(found), operation)
    return sorted(found)


def _kill(pid: int, ours: Callable[[int], bool]) -> None:
    with contextlib.suppress(OSError):
        handle = os.pidfd_open(pid)
        try:
            # The number may have gone to another process since we looked, and no more from here.
            if ours(pid):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        finally:
            os.close(handle)


def _processes() -> list[int]:
    own = os.getpid()
    numbers = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return [pid for pid in numbers if pid != own]


def _is_marked(pid: int, marker: bytes) -> bool:
    # One that has ended, and waits to be reaped, has an empty environment.
    with contextlib.suppress(OSError):
        return marker in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return False


def _session(pid: int) -> int | None:
    """The session of a process that runs; None if it does not."""
    with contextlib.suppress(OSError):
        state, _, _, session = (
            Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[:4]
        )
        return None if state in (b"Z", b"X") else int(session)
    return None
