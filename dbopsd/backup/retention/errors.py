"""Why a backup is not deleted."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from dbopsd.errors import DbopsError, StatusCode


@dataclass(eq=False)
class BackupKept(DbopsError):
    """The base: a backup is not deleted, and nothing was."""

    reason: ClassVar[str] = "BACKUP_KEPT"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    backup: str


@dataclass(eq=False)
class BackupHeld(BackupKept):
    """A backup is held."""

    reason: ClassVar[str] = "BACKUP_HELD"

    until: datetime

    @property
    def message(self) -> str:
        return (
            f"backup '{self.backup}' is held until {self.until:%Y-%m-%d %H:%M} UTC: "
            f"`dbops backup release {self.backup}` lets go of it"
        )


@dataclass(eq=False)
class BackupHasChildren(BackupKept):
    """Other backups rest on a backup."""

    reason: ClassVar[str] = "BACKUP_HAS_CHILDREN"

    children: tuple[str, ...]

    @property
    def message(self) -> str:
        return (
            f"{len(self.children)} incremental backups rest on '{self.backup}', such as "
            f"'{self.children[0]}': `--with-children` deletes them too"
        )

    @property
    def metadata(self) -> dict[str, str]:
        return {"backup": self.backup, "children": ",".join(self.children)}


@dataclass(eq=False)
class BackupInUse(BackupKept):
    """Somebody reads a backup."""

    reason: ClassVar[str] = "BACKUP_IN_USE"

    holder: str
    until: datetime

    @property
    def message(self) -> str:
        return (
            f"backup '{self.backup}' is read by '{self.holder}': wait until that has ended; if it "
            f"was killed, its lease ends at {self.until:%Y-%m-%d %H:%M} UTC"
        )


@dataclass(eq=False)
class BackupIsNewest(BackupKept):
    """A backup is the newest one from which the cluster can be restored."""

    reason: ClassVar[str] = "BACKUP_IS_NEWEST"

    @property
    def message(self) -> str:
        return (
            f"backup '{self.backup}' is the newest good one, from which the cluster is restored: "
            "take another one first"
        )
