"""The errors of an import's processes."""

from dataclasses import dataclass
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

    def __post_init__(self) -> None:
        self.reason = self.cause  # type: ignore[misc]
        self.code = StatusCode[self.status]  # type: ignore[misc]

    @property
    def metadata(self) -> dict[str, str]:
        return {}

    @property
    def message(self) -> str:
        return self.text


@dataclass(eq=False)
class ProcessDied(DbopsError):
    """A process ended in the middle of a task, time and again."""

    reason: ClassVar[str] = "IMPORT_PROCESS_DIED"
    code: ClassVar[StatusCode] = StatusCode.ABORTED

    task: str
    exit_status: int
    said: str

    @property
    def message(self) -> str:
        how = f"signal {-self.exit_status}" if self.exit_status < 0 else f"exit {self.exit_status}"
        said = f": {self.said}" if self.said else ""
        return f"a process of the import died ({how}) at '{self.task}', time and again{said}"
