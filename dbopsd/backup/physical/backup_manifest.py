"""What a backup's manifest says about the WAL it needs, read while the manifest passes.

https://www.postgresql.org/docs/current/backup-manifest-wal-ranges.html. A manifest lists every file
and may be large: only its end is kept, which has the ranges.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any, Final

from dbopsd.backup.catalog.lsn import Lsn
from dbopsd.backup.store.base import Content

_KEPT_BYTES: Final = 64 * 2**10
_END: Final = re.compile(rb'"WAL-Ranges":\s*(?P<ranges>\[.*\]),\s*"Manifest-Checksum":', re.DOTALL)


@dataclass(frozen=True, slots=True)
class NeededWal:
    """WAL of a timeline that a backup needs to become consistent."""

    timeline: int
    start: Lsn
    end: Lsn


class ManifestReader:
    """Takes the bytes of a manifest as they come."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._tail = bytearray()

    def feed(self, content: Content) -> None:
        """Take the next bytes."""
        self._hash.update(content)
        self._tail += content
        if len(self._tail) > 2 * _KEPT_BYTES:
            del self._tail[:-_KEPT_BYTES]

    @property
    def sha256(self) -> str:
        """The hash of what has come, in hexadecimal."""
        return self._hash.hexdigest()

    def needed_wal(self) -> list[NeededWal]:
        """The ranges, that of the oldest timeline first. Raises ValueError if there is none."""
        found = _END.search(self._tail)
        if found is None:
            raise ValueError("the manifest does not end with the WAL that the backup needs")
        ranges: list[dict[str, Any]] = json.loads(found["ranges"])
        needed = [
            NeededWal(
                int(each["Timeline"]),
                Lsn.parse(each["Start-LSN"]),
                Lsn.parse(each["End-LSN"]),
            )
            for each in ranges
        ]
        if not needed:
            raise ValueError("the manifest names no WAL")
        return sorted(needed, key=lambda each: (each.timeline, each.start))
