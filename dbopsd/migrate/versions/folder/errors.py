"""Why a folder of migrations cannot be read at all."""

from dataclasses import dataclass
from typing import ClassVar

from dbopsd.errors import DbopsError, StatusCode


@dataclass(eq=False)
class FolderUnreadable(DbopsError):
    """The directory of a set is not there, or may not be read, or has too much in it."""

    reason: ClassVar[str] = "MIGRATIONS_UNREADABLE"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    set: str
    directory: str
    problem: str

    @property
    def message(self) -> str:
        return (
            f"the directory '{self.directory}' of set '{self.set}' cannot be read: {self.problem}"
        )


@dataclass(eq=False)
class LayoutAmbiguous(DbopsError):
    """Two layouts fit the files, and they would not be run alike."""

    reason: ClassVar[str] = "LAYOUT_AMBIGUOUS"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    set: str
    directory: str
    layouts: str
    """Which, with a file that each knows and another one does not."""

    @property
    def message(self) -> str:
        return (
            f"the files in '{self.directory}' of set '{self.set}' fit several layouts, "
            f"{self.layouts}: set the database's migrations.layout to the right one"
        )


@dataclass(eq=False)
class LayoutUnknown(DbopsError):
    """No layout fits the files."""

    reason: ClassVar[str] = "LAYOUT_UNKNOWN"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    set: str
    directory: str
    seen: str

    @property
    def message(self) -> str:
        return (
            f"no layout fits the files in '{self.directory}' of set '{self.set}', such as "
            f"{self.seen}: name them as docs/migrations.md shows, or set the database's "
            "migrations.layout"
        )
