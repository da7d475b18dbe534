"""Why the ledger cannot be used."""

from dataclasses import dataclass
from typing import ClassVar

from dbopsd.errors import DbopsError, StatusCode


@dataclass(eq=False)
class LedgerNewer(DbopsError):
    """A newer dbopsd has changed the ledger's tables."""

    reason: ClassVar[str] = "LEDGER_NEWER"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    database: str
    schema: str
    version: int
    known: int

    @property
    def message(self) -> str:
        return (
            f"the ledger of migrations in schema '{self.schema}' of database '{self.database}' has "
            f"version {self.version}, and this dbopsd knows up to {self.known}: update this dbopsd"
        )


@dataclass(eq=False)
class LedgerPermissionMissing(DbopsError):
    """The role of the DSN may not create or use the ledger. `statement` is what it cannot do."""

    reason: ClassVar[str] = "LEDGER_PERMISSION_MISSING"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    database: str
    schema: str
    cause: str
    grant: str
    """The statement that helps."""

    @property
    def message(self) -> str:
        return (
            f"the ledger of migrations in schema '{self.schema}' of database '{self.database}' "
            f"cannot be used: {self.cause}; this helps: {self.grant}"
        )


@dataclass(eq=False)
class LedgerNotOurs(DbopsError):
    """The ledger's schema or tables belong to a role that this one does not trust."""

    reason: ClassVar[str] = "LEDGER_NOT_OURS"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    database: str
    schema: str
    strangers: str
    """What belongs to whom."""

    @property
    def message(self) -> str:
        return (
            f"the ledger of migrations in schema '{self.schema}' of database '{self.database}' is "
            f"not trusted: {self.strangers}, who could have code run with the rights of dbopsd's "
            "role; give it to that role with ALTER … OWNER TO, or set another migrations.schema"
        )


@dataclass(eq=False)
class LedgerDamaged(DbopsError):
    """The ledger is not as dbopsd writes it: what it says of the migrations cannot be relied on."""

    reason: ClassVar[str] = "LEDGER_DAMAGED"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    database: str
    schema: str
    damage: str
    remedy: str
    """What helps."""

    @property
    def message(self) -> str:
        return (
            f"the ledger of migrations in schema '{self.schema}' of database '{self.database}' is "
            f"damaged: {self.damage}; {self.remedy}"
        )


@dataclass(eq=False)
class MigrationsBusy(DbopsError):
    """Somebody else changes the database by migrations now."""

    reason: ClassVar[str] = "MIGRATIONS_BUSY"
    code: ClassVar[StatusCode] = StatusCode.ABORTED

    database: str
    holder: str

    @property
    def message(self) -> str:
        return (
            f"migrations of database '{self.database}' are being changed by {self.holder}: "
            "try again when it has ended"
        )
