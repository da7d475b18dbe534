"""The requests of the operations on migrations, and the rules of their values."""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from dbopsd.errors import InvalidField
from dbopsd.migrate.versions.model.migration import Phase
from dbopsd.operations.kind import Request

_SCHEMA_AND_TABLE: Final = re.compile(r"[^.\0]{1,63}\.[^\0]{1,63}")
_MOST_REASON_CHARS: Final = 500
_MOST_VERSION_CHARS: Final = 255
_MOST_COUNT: Final = 100_000
_MOST_LOCK_WAIT_S: Final = 86_400.0
_MOST_ROUNDTRIP_S: Final = 604_800.0


class Resolution(Enum):
    """What is so of a migration whose end is not known."""

    APPLIED = "APPLIED"
    NOT_APPLIED = "NOT_APPLIED"


class Tool(Enum):
    """A tool whose history can be adopted."""

    FLYWAY = "FLYWAY"
    GOLANG_MIGRATE = "GOLANG_MIGRATE"
    DBMATE = "DBMATE"
    RAILS = "RAILS"
    GOOSE = "GOOSE"
    SQLX = "SQLX"
    PRISMA = "PRISMA"
    DRIZZLE = "DRIZZLE"
    ATLAS = "ATLAS"
    DIESEL = "DIESEL"


@dataclass(frozen=True)
class CheckMigrationsRequest(Request):
    """Check the files of pending migrations. `set`: of this one only; empty: of all."""

    set: str = ""
    drift: bool = False
    roundtrip: bool = False
    strict: bool = False
    roundtrip_limit_s: float | None = None
    """How long round trips may take in all, in seconds; None: no limit."""

    def check(self) -> None:
        """Raise `InvalidField`."""
        limit_s = self.roundtrip_limit_s
        if limit_s is not None and not 0 < limit_s <= _MOST_ROUNDTRIP_S:
            raise InvalidField("roundtrip_limit", "is not above 0 s and at most 7 days")


@dataclass(frozen=True)
class ApplyMigrationsRequest(Request):
    """Apply migrations. `validate_only`: in a transaction that is rolled back."""

    validate_only: bool = False
    set: str = ""
    to: str = ""
    """The last version to apply; empty: all."""
    count: int = 0
    """How many at most; 0: all."""
    phase: Phase | None = None
    """None: all but CONTRACT, up to the first of these."""
    out_of_order: bool = False
    override_findings: str = ""
    """Why findings that are errors are no reason not to apply; empty: they are."""
    lock_wait_s: float | None = None
    """How long each migration tries to get its locks, in seconds; None: as configured."""

    def check(self) -> None:
        """Raise `InvalidField`."""
        _check_extent(self.to, self.count)
        _check_lock_wait(self.lock_wait_s)
        if self.override_findings:
            check_reason("override_findings", self.override_findings)


@dataclass(frozen=True)
class RollbackMigrationsRequest(Request):
    """Roll migrations back, the newest first. Without `to` and `count`: one."""

    validate_only: bool = False
    set: str = ""
    to: str = ""
    """The newest version that stays."""
    count: int = 0
    lock_wait_s: float | None = None

    def check(self) -> None:
        """Raise `InvalidField`."""
        _check_extent(self.to, self.count)
        _check_lock_wait(self.lock_wait_s)


@dataclass(frozen=True)
class BaselineMigrationsRequest(Request):
    """Record migrations up to the version `to` as applied, without running them."""

    to: str = ""
    reason: str = ""
    validate_only: bool = False
    set: str = ""

    def check(self) -> None:
        """Raise `InvalidField`."""
        check_reason("reason", self.reason)
        check_version("to", self.to)


@dataclass(frozen=True)
class AdoptMigrationsRequest(Request):
    """Take over the history of another tool. `table`: `schema.table`; empty: the tool's own."""

    tool: Tool
    table: str = ""
    validate_only: bool = False
    set: str = ""

    def check(self) -> None:
        """Raise `InvalidField`."""
        if self.table and not _SCHEMA_AND_TABLE.fullmatch(self.table):
            raise InvalidField("table", "is not SCHEMA.TABLE, without quotes")


def _check_extent(to: str, count: int) -> None:
    check_version("to", to)
    if to and count:
        raise InvalidField("count", "does not go with to")
    if not 0 <= count <= _MOST_COUNT:
        raise InvalidField("count", f"is not 0 to {_MOST_COUNT}")


def _check_lock_wait(lock_wait_s: float | None) -> None:
    if lock_wait_s is not None and not 0 < lock_wait_s <= _MOST_LOCK_WAIT_S:
        raise InvalidField("lock_wait", "is not above 0 s, or above 1 day")


def check_version(field: str, version: str) -> None:
    """Raise `InvalidField` for what no file can have in its name."""
    if len(version) > _MOST_VERSION_CHARS:
        raise InvalidField(field, f"is longer than {_MOST_VERSION_CHARS} characters")


def check_reason(field: str, reason: str) -> None:
    """Raise `InvalidField` for a reason that is empty, too long, or would not stay on its line."""
    if not reason.strip() or len(reason) > _MOST_REASON_CHARS or not reason.isprintable():
        raise InvalidField(field, f"is not 1 to {_MOST_REASON_CHARS} printable characters")
