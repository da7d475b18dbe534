"""The results of the operations on migrations."""

from dataclasses import dataclass
from enum import Enum

from dbopsd.migrate.versions.model.migration import Migration, State


class Severity(Enum):
    """How bad a finding is."""

    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


@dataclass(frozen=True)
class Finding:
    """Something that a check found in a file. Line and column (in characters) count from 1."""

    rule: str
    severity: Severity
    set: str
    path: str
    message: str
    version: str = ""
    line: int = 0
    column: int = 0
    advice: str = ""
    allowed: str = ""
    """Why the file allows it; empty: it does not."""


class Change(Enum):
    """What differs between two schemas."""

    ADDED = "ADDED"
    REMOVED = "REMOVED"
    CHANGED = "CHANGED"


class Aspect(Enum):
    """What part of an object differs."""

    DEFINITION = "DEFINITION"
    COLUMN_ORDER = "COLUMN_ORDER"
    OWNER_OR_GRANTS = "OWNER_OR_GRANTS"


@dataclass(frozen=True)
class Difference:
    """A difference between two schemas."""

    kind: str
    identity: str
    change: Change
    aspect: Aspect = Aspect.DEFINITION
    expected: str = ""
    actual: str = ""


class RoundtripResult(Enum):
    """What the round trip of one migration showed."""

    RESTORED = "RESTORED"
    ONLY_ORDER_OR_GRANTS = "ONLY_ORDER_OR_GRANTS"
    NOT_RESTORED = "NOT_RESTORED"
    NO_ROLLBACK = "NO_ROLLBACK"
    FAILED = "FAILED"
    NOT_TRIED = "NOT_TRIED"


@dataclass(frozen=True)
class Roundtrip:
    """The round trip of one migration."""

    set: str
    version: str
    name: str
    result: RoundtripResult
    differences: tuple[Difference, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class CheckReport:
    """What a check found."""

    ok: bool
    findings: tuple[Finding, ...] = ()
    drift: tuple[Difference, ...] = ()
    roundtrip: tuple[Roundtrip, ...] = ()
    files: int = 0
    notes: tuple[str, ...] = ()
    drift_left_out: int = 0


class Outcome(Enum):
    """How an apply or a rollback ended."""

    SUCCEEDED = "SUCCEEDED"
    NOTHING_TO_DO = "NOTHING_TO_DO"
    VALIDATED = "VALIDATED"
    FAILED = "FAILED"


@dataclass(frozen=True)
class MigrationRun:
    """What an operation did with one migration."""

    set: str
    version: str
    name: str
    state: State
    statements_done: int = 0
    statements: int = 0
    duration_s: float | None = None
    lock_attempts: int = 0
    lock_wait_s: float | None = None
    problem: str = ""
    detail: str = ""
    """What the server said of the problem, as far as it may quote rows."""


@dataclass(frozen=True)
class Blocker:
    """A session that is in the way. `relation`, `mode`: what it has locked, and how."""

    pid: int
    application: str = ""
    user: str = ""
    state: str = ""
    age_s: float | None = None
    query: str = ""
    relation: str = ""
    mode: str = ""


@dataclass(frozen=True)
class MigrationReport:
    """What an apply or a rollback did."""

    operation: str
    """`operations/{operation}`."""
    outcome: Outcome
    problem: str = ""
    migrations: tuple[MigrationRun, ...] = ()
    fingerprint_before: str = ""
    fingerprint_after: str = ""
    backup: str = ""
    """The backup that was taken first; empty: none."""
    blockers: tuple[Blocker, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class BaselineReport:
    """What was recorded as applied."""

    migrations: tuple[Migration, ...] = ()
    fingerprint: str = ""


@dataclass(frozen=True)
class AdoptEntry:
    """A row of the other tool's table, or a file, that does not fit."""

    version: str
    name: str = ""
    problem: str = ""


@dataclass(frozen=True)
class AdoptReport:
    """What was taken over from another tool."""

    adopted: tuple[Migration, ...] = ()
    unknown: tuple[AdoptEntry, ...] = ()
    mismatched: tuple[AdoptEntry, ...] = ()
    failed: tuple[AdoptEntry, ...] = ()
    source_table: str = ""
    notes: tuple[str, ...] = ()
