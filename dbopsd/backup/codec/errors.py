"""The errors of the codec and its keys."""

from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, Final

from dbopsd.errors import DbopsError, StatusCode


class Damage(Enum):
    """What is wrong with an object."""

    MISSING = "MISSING"
    TRUNCATED = "TRUNCATED"
    HASH = "HASH"
    """Its bytes are not those that were stored."""
    ORDER = "ORDER"
    """Its frames are those of the object, in another order."""
    FOREIGN = "FOREIGN"
    """It is another object, or one of another database."""


NOT_ENCRYPTED: Final = (
    "it is not encrypted, and there are keys: set `accept_unencrypted` in "
    "[databases.NAME.backup.keys] if it is older than they are"
)


@dataclass(eq=False)
class BackupDamaged(DbopsError):
    """An object of a backup or of the WAL archive is not what was stored."""

    reason: ClassVar[str] = "BACKUP_DAMAGED"
    code: ClassVar[StatusCode] = StatusCode.DATA_LOSS

    object: str
    problem: Damage
    detail: str

    @property
    def message(self) -> str:
        return (
            f"object '{self.object}' is damaged ({self.problem.value}: {self.detail}): restore "
            "another backup; `dbops backup verify --all` shows which are whole"
        )

    @property
    def metadata(self) -> dict[str, str]:
        return {"object": self.object, "problem": self.problem.value, "detail": self.detail}


@dataclass(eq=False)
class KeyMissing(DbopsError):
    """None of the configured keys opens a data key."""

    reason: ClassVar[str] = "KEY_MISSING"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    keys: tuple[str, ...]

    @property
    def message(self) -> str:
        if not self.keys:
            return (
                "the data key of the backup is gone: no wrap of it is in the store; restore another"
            )
        wanted = " or ".join(f"'{key}'" for key in self.keys)
        return (
            f"key {wanted} is needed, and is not configured: add it to [databases.NAME.backup.keys]"
        )

    @property
    def metadata(self) -> dict[str, str]:
        return {"keys": ",".join(self.keys)}


@dataclass(eq=False)
class KeyWrong(DbopsError):
    """A configured key has the name of the one that was used, and is another."""

    reason: ClassVar[str] = "KEY_WRONG"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    key: str

    @property
    def message(self) -> str:
        return (
            f"key '{self.key}' is not the key that the backup was encrypted with: name its file "
            "or variable in [databases.NAME.backup.keys]"
        )


@dataclass(eq=False)
class KeyUnreadable(DbopsError):
    """A configured key cannot be read, or is none."""

    reason: ClassVar[str] = "KEY_UNREADABLE"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    key: str
    problem: str

    @property
    def message(self) -> str:
        return (
            f"key '{self.key}' {self.problem}: a key is 32 bytes in base64, "
            "such as `openssl rand -base64 32` prints"
        )
