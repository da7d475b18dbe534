"""Whether what is to be unpacked fits on the worker's disk: asked before anything is."""

import asyncio
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from dbopsd.errors import DbopsError, StatusCode


@dataclass(eq=False)
class ScratchTooSmall(DbopsError):
    """There is no room on the worker's machine for what has to be unpacked."""

    reason: ClassVar[str] = "SCRATCH_TOO_SMALL"
    code: ClassVar[StatusCode] = StatusCode.RESOURCE_EXHAUSTED

    backup: str
    directory: str
    needed_bytes: int
    free_bytes: int

    @property
    def message(self) -> str:
        return (
            f"backup '{self.backup}' needs {self.needed_bytes // 2**20} MiB of room below "
            f"'{self.directory}' to be unpacked, and {self.free_bytes // 2**20} MiB are free: "
            "make room, or set state_dir to a larger disk"
        )


async def require_room(directory: Path, backup_id: str, needed_bytes: int) -> None:
    """Raise `ScratchTooSmall` unless so much is free below `directory`, which exists."""
    free = (await asyncio.to_thread(shutil.disk_usage, directory)).free
    if free < needed_bytes:
        raise ScratchTooSmall(backup_id, str(directory), needed_bytes, free)
