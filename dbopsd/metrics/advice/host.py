"""The memory and the disk of a server's host, where that is the daemon's own."""

import os
from dataclasses import dataclass
from pathlib import Path

import psutil

from dbopsd.metrics.server_facts import ServerFacts
from dbopsd.metrics.sources.host import runs_here


@dataclass(frozen=True, slots=True)
class Host:
    """None: not known."""

    memory_bytes: int | None = None
    rotational: bool | None = None
    """Whether the disk of the data directory turns: one with platters, not a solid-state drive."""


def host_of(facts: ServerFacts) -> Host:
    """What is known of the host. It blocks, for a moment."""
    if not runs_here(facts):
        return Host()
    return Host(_memory_bytes(), _rotational(facts.data_directory))


def _memory_bytes() -> int:
    """What there is for this machine, or for the container that the daemon shares with it."""
    total = int(psutil.virtual_memory().total)
    try:
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return total
    return min(total, limit)


def _rotational(data_directory: str | None) -> bool | None:
    if data_directory is None:
        return None
    try:
        device = Path(data_directory).stat().st_dev
        block = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve(strict=True)
        # A partition has its disk above it.
        for place in (block, block.parent):
            queue = place / "queue" / "rotational"
            if queue.exists():
                return queue.read_text(encoding="ascii").strip() == "1"
    except OSError:
        pass
    return None
