"""Which rotated files have expired."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dbopsd.security.audit.chain import GENESIS, MAX_LINE_BYTES, Link, NotARecord, unseal
from dbopsd.security.audit.files import LogFiles

_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Expired:
    """Files to remove, oldest first, and the last record in them."""

    files: tuple[Path, ...] = ()
    through: Link = GENESIS

    def remove(self) -> None:
        """Remove them. What cannot be removed is tried again at the next rotation."""
        for path in self.files:
            try:
                path.unlink()
            except OSError:
                return  # in order, so that no hole is left


@dataclass(frozen=True, slots=True)
class Retention:
    """How many rotated files are kept, and for how many days. None: all, for ever."""

    keep_files: int | None = None
    keep_days: float | None = None
    clock: Callable[[], float] = time.time
    """Seconds since 1970."""

    def expired(self, files: LogFiles) -> Expired:
        """The files that one of the limits lets go. Raises OSError."""
        full = [path for _, path in files.all_full()]
        count = 0
        if self.keep_files is not None:
            count = max(0, len(full) - self.keep_files)
        if self.keep_days is not None:
            oldest = self.clock() - self.keep_days * _DAY_S
            while count < len(full) and full[count].stat().st_mtime < oldest:
                count += 1
        # The first one kept tells where the ones before it ended; the newest is always kept, for
        # the chain goes on from it.
        count = min(count, len(full) - 1)
        if count <= 0:
            return Expired()
        through = _before(full[count])
        return Expired(tuple(full[:count]), through) if through else Expired()


def _before(path: Path) -> Link | None:
    """The record before the first one of a file; None where that is none, and nothing is safe."""
    with path.open("rb") as file:
        line = file.readline(MAX_LINE_BYTES + 1)
    try:
        first = unseal(line)
    except NotARecord:
        return None
    return Link(first.link.sequence - 1, first.previous)
