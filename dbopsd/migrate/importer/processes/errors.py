"""The errors of an import's processes."""

import signal
from dataclasses import dataclass, field
from typing import ClassVar

from dbopsd.errors import DbopsError, StatusCode


@dataclass(eq=False)
class TaskFailed(DbopsError):
    """A process could not do what it was told, for a reason that it knows."""

    reason: ClassVar[str] = "IMPORT_TASK_FAILED"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    cause: str
    """The reason of the process's own error, which is this one's too."""
    status: str
    """The name of its status code, which is this one's too."""
    text: str
    transient: bool = False
    """Whether the same again may well succeed."""
    fields: dict[str, str] = field(default_factory=dict)
    """What the process's own error is about."""

    def __post_init__(self) -> None:
        self.reason = self.cause  # type: ignore[misc]
        self.code = StatusCode[self.status]  # type: ignore[misc]

    @property
    def metadata(self) -> dict[str, str]:
        return self.fields

    @property
    def message(self) -> str:
        return self.text


@dataclass(eq=False)
class ProcessDied(DbopsError):
    """A process ended in the middle of a task, time and again."""

    reason: ClassVar[str] = "IMPORT_PROCESS_DIED"
    code: ClassVar[StatusCode] = StatusCode.ABORTED

    stage: str
    exit_status: int
    said: str

    @property
    def message(self) -> str:
        how = f"exit {self.exit_status}"
        if self.exit_status < 0:
            how = signal.Signals(-self.exit_status).name
        said = f": {self.said}" if self.said else ""
        return (
            f"a process of the import died ({how}) repeatedly at '{self.stage}'{said}; something "
            "in the file or the mapping may be the cause: leave out tables or SQL one by one"
        )


@dataclass(eq=False)
class MemoryUsedUp(DbopsError):
    """A process needed more memory than one of an import may have."""

    reason: ClassVar[str] = "IMPORT_MEMORY_LIMIT"
    code: ClassVar[StatusCode] = StatusCode.RESOURCE_EXHAUSTED

    stage: str
    limit_bytes: int

    @property
    def message(self) -> str:
        return (
            f"at '{self.stage}' a process of the import exceeded its memory limit of "
            f"{self.limit_bytes:,} bytes: check the mapping's SQL and the file's generated columns "
            "and CHECKs, or raise the database's import_memory_limit"
        )


@dataclass(eq=False)
class CpuTimeUsedUp(DbopsError):
    """A process computed for longer than one of an import may without getting anywhere."""

    reason: ClassVar[str] = "IMPORT_CPU_LIMIT"
    code: ClassVar[StatusCode] = StatusCode.RESOURCE_EXHAUSTED

    stage: str
    limit_s: float

    @property
    def message(self) -> str:
        return (
            f"at '{self.stage}' a process of the import used more than {self.limit_s:g} s of "
            "processor time, plus a second for each MB of the file, without progress: check the "
            "mapping's SQL and the file's generated columns and CHECKs, or raise the database's "
            "import_cpu_limit_s"
        )
