"""A run of a migration as the ledger has it."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final

LEDGER_TABLES: Final = ("migration_runs", "schema_objects", "schema_fingerprint", "ledger_version")
LEDGER_RELATIONS: Final = (*LEDGER_TABLES, "migrations")
"""The tables of a ledger, and its view: they are no part of the schema that migrations make."""


class Direction(Enum):
    """What was done with a migration."""

    UP = "up"
    DOWN = "down"
    BASELINE = "baseline"
    """It was recorded as applied without being run."""
    ADOPT = "adopt"
    """It was taken over from another tool."""
    RESOLVE_APPLIED = "resolve-applied"
    """Somebody said that it is applied."""
    RESOLVE_NOT_APPLIED = "resolve-not-applied"
    """Somebody said that it is not applied."""

    @property
    def brings(self) -> bool:
        """Whether the database has the migration once this is done."""
        return self not in (Direction.DOWN, Direction.RESOLVE_NOT_APPLIED)


class Result(Enum):
    """How a run ended."""

    RUNNING = "running"
    """It began, and has not recorded its end: it still runs, or it was interrupted."""
    DONE = "done"
    FAILED = "failed"
    """It left nothing behind: its transaction was rolled back, or no statement of it was done."""
    INTERRUPTED = "interrupted"
    """It failed after some statements were done for good: it had no transaction, or ended it."""


@dataclass(frozen=True)
class LedgerRun:
    """One run of one direction of a migration: a row of `migration_runs`."""

    id: int
    set: str
    key: str
    """`MigrationFile.key`."""
    version: str
    """As the file wrote it; empty: it is repeatable."""
    name: str
    checksum: str
    """Of the bytes that ran, as `checksum_algorithm` has it; empty: not known."""
    checksum_algorithm: str
    """`sha256`; empty: not known."""
    direction: Direction
    result: Result
    started_at: datetime
    finished_at: datetime | None = None
    statements: int = 0
    statements_done: int = 0
    operation: str = ""
    """The id of the operation."""
    who: str = ""
    backend_pid: int = 0
    backend_start: datetime | None = None
    fingerprint: str = ""
    """Of the schema afterwards; empty: it was not taken."""
    reason: str = ""
    """Why it was baselined, resolved, or run in spite of findings."""
    backup: str = ""
    """The backup that was taken first."""
    problem: str = ""
    normalised_checksum: str = ""
    """Of the same bytes without a byte order mark and with LF as line ends; empty: not known."""
    in_doubt: bool = False
    """Whether the statement after those that are done was begun without a transaction: it may be
    done or not."""
    done_digest: str = ""
    """Of the texts of the statements that are done outside a transaction; empty: not known."""
    indexes_before: tuple[int, ...] | None = None
    """The oids of the indexes that its table had before the statement in doubt, if that creates one
    without a name, or the oid of the one that it drops."""
    request_id: str = ""
    """Of a resolution: the caller's id of the request; empty: none."""
