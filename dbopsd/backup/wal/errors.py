"""The errors of the WAL archive."""

from dataclasses import dataclass
from typing import ClassVar

from dbopsd.errors import DbopsError, StatusCode


@dataclass(eq=False)
class WalConflict(DbopsError):
    """WAL is to be stored under a name that other WAL has."""

    reason: ClassVar[str] = "WAL_CONFLICT"
    code: ClassVar[StatusCode] = StatusCode.ALREADY_EXISTS

    database: str
    object: str

    @property
    def message(self) -> str:
        return (
            f"'{self.object}' is stored with other content: two servers of database "
            f"'{self.database}' write WAL of the same name; nothing was overwritten; stop the one "
            "that is no longer the database, or give it a store of its own"
        )
