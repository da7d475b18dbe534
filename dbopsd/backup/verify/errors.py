"""The errors of verification: what keeps it from finding out."""

from dataclasses import dataclass
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
            f"'{self.directory}' to be looked into, and {self.free_bytes // 2**20} MiB are free: "
            "make room, or set state_dir to a larger disk"
        )
