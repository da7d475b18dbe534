"""The errors of a whole process."""

from dataclasses import dataclass
from typing import ClassVar

from dbopsd.errors import DbopsError, StatusCode


@dataclass(eq=False)
class LostWorker(DbopsError):
    """Others count this worker as gone and have its operations; it ends (exit 3)."""

    reason: ClassVar[str] = "WORKER_LOST"
    code: ClassVar[StatusCode] = StatusCode.ABORTED

    worker: str

    @property
    def message(self) -> str:
        return f"worker {self.worker} was not heard of for too long: others have its operations"
