"""A versioned migration as callers see it."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final

ROLLBACK_WITHOUT_MIGRATION: Final = "ROLLBACK_WITHOUT_MIGRATION"
"""The reason of a problem: a file rolls back what the folder does not have."""


class State(Enum):
    """The state of a migration in the database."""

    PENDING = "PENDING"
    APPLIED = "APPLIED"
    CHANGED = "CHANGED"
    MISSING = "MISSING"
    OUT_OF_ORDER = "OUT_OF_ORDER"
    FAILED = "FAILED"
    INTERRUPTED = "INTERRUPTED"
    RUNNING = "RUNNING"
    BASELINED = "BASELINED"
    ADOPTED = "ADOPTED"


class Phase(Enum):
    """When a migration may run in a blue-green deployment."""

    EXPAND = "EXPAND"
    CONTRACT = "CONTRACT"


@dataclass(frozen=True)
class Migration:
    """What a set has for one version, or for one repeatable migration, and its state."""

    set: str
    version: str
    """As its file writes it; empty: it is repeatable."""
    name: str
    state: State
    checksum: str = ""
    """SHA-256 of the file's bytes in hexadecimal; empty: the folder does not have it."""
    applied_checksum: str = ""
    transactional: bool = False
    phase: Phase | None = None
    repeatable: bool = False
    has_rollback: bool = False
    path: str = ""
    """Below the directory of its set; empty: the folder does not have it."""
    apply_time: datetime | None = None
    duration_s: float | None = None
    applied_by: str = ""
    operation: str = ""
    """`operations/{operation}` of its last run; empty: none."""
    statements_done: int = 0
    statements: int = 0
    problem: str = ""


@dataclass(frozen=True)
class MigrationSet:
    """A folder of migrations."""

    set: str
    layout: str
    directory: str
    current_version: str = ""
    pending: int = 0


@dataclass(frozen=True)
class MigrationProblem:
    """What is wrong with files or the ledger. Line and column (in characters) count from 1."""

    reason: str
    message: str
    set: str = ""
    version: str = ""
    path: str = ""
    line: int = 0
    column: int = 0
    blocking: bool = False
    """Whether nothing can be applied until it is mended."""


@dataclass(frozen=True)
class MigrationList:
    """The migrations of a database."""

    migrations: tuple[Migration, ...] = ()
    current_version: str = ""
    """The newest version that is applied; empty: none, or there are several sets."""
    pending: int = 0
    problems: tuple[MigrationProblem, ...] = ()
    fingerprint: str = ""
    drifted: bool = False
    sets: tuple[MigrationSet, ...] = ()
