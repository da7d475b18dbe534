"""The results of the import operations."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from dbopsd.migrate.importer.model.plan import PlannedObject

STAGES: Final = (
    *("snapshot", "plan", "stage", "copy", "verify", "keys and indexes", "statistics"),
    *("rejects", "publish"),
)
"""The stages of an import, in order."""


class Outcome(Enum):
    """The outcome of an import."""

    SUCCEEDED = "SUCCEEDED"
    SUCCEEDED_WITH_REJECTS = "SUCCEEDED_WITH_REJECTS"
    """The rows were published, except the rejected ones."""
    FAILED = "FAILED"
    """Nothing was published, and nothing was changed."""


@dataclass(frozen=True)
class RejectedValue:
    """A rejected value. Its row was not imported."""

    table: str
    """The source table."""
    column: str
    """The source column. Empty: the whole row was rejected."""
    key: str
    """The row's primary key, or `rowid=5`: `id=5`, `auth='EPSG', code=4326`."""
    reason: str
    """For programs: NOT_AN_INTEGER, INVALID_UTF8, NUL_CHARACTER, …."""
    value: str
    """The value for people: a SQLite literal, truncated to 200 characters."""


@dataclass(frozen=True)
class RejectCount:
    """The number of values rejected for one reason, in one column."""

    table: str
    column: str
    reason: str
    count: int


@dataclass(frozen=True)
class Difference:
    """A difference between PostgreSQL and the file."""

    table: str
    column: str
    """Empty: only one side has the row."""
    key: str
    source: str
    """The value in the file, for people. Empty: the file has no such row."""
    target: str
    """The value in PostgreSQL, for people. Empty: PostgreSQL has no such row."""


@dataclass(frozen=True)
class TableReport:
    """The row counts of one table."""

    source: str
    target: str
    """Its name in PostgreSQL, without the schema."""
    rows: int
    """The rows of the file that the plan includes."""
    copied_rows: int = 0
    copied_bytes: int = 0
    """The size in binary COPY."""
    rejected_rows: int = 0
    changed_values: int = 0
    """Values that a policy of the mapping changed: NULL, CLAMP, REPLACE."""
    copy_duration_s: float = 0.0
    """Summed over all processes."""
    verified_rows: int = 0
    """Rows compared, with all columns. 0: not verified."""
    differing_rows: int = 0
    merged_rows: int = 0
    """With APPEND and UPSERT: rows that were added or changed in the target."""
    deleted_rows: int = 0


@dataclass(frozen=True)
class ImportPlan:
    """The result of `PlanImport`."""

    source: str
    schema: str
    mapping: str
    """The whole plan in TOML. Edit it and pass it as `mapping`."""
    tables: list["PlannedTableReport"] = field(default_factory=list)
    objects: list[PlannedObject] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    rows: int = 0
    source_size_bytes: int = 0
    estimated_duration_s: float = 0.0
    estimated_bytes: int = 0
    """The estimated size in PostgreSQL, including indexes."""


@dataclass(frozen=True)
class PlannedColumnReport:
    """A column of the plan."""

    source: str
    target: str
    type: str
    conversion: str
    evidence: str


@dataclass(frozen=True)
class PlannedTableReport:
    """A table of the plan."""

    source: str
    target: str
    rows: int
    columns: list[PlannedColumnReport] = field(default_factory=list)


@dataclass(frozen=True)
class ImportStage:
    """How long a stage took, in seconds."""

    stage: str
    duration_s: float


@dataclass(frozen=True)
class ImportReport:
    """The result of `RunImport`."""

    import_id: str
    outcome: Outcome
    source: str
    schema: str
    tables: list[TableReport] = field(default_factory=list)
    objects: list[PlannedObject] = field(default_factory=list)
    reject_counts: list[RejectCount] = field(default_factory=list)
    """The counts of all rejected values."""
    rejects: list[RejectedValue] = field(default_factory=list)
    """Up to the request's `max_examples` per table."""
    differences: list[Difference] = field(default_factory=list)
    """Up to the request's `max_examples` per table."""
    notes: list[str] = field(default_factory=list)
    problem: str = ""
    """The reason for the failure, in one line. Empty if it did not fail."""
    rows: int = 0
    copied_rows: int = 0
    rejected_rows: int = 0
    verified_rows: int = 0
    stages: list[ImportStage] = field(default_factory=list)
    """The duration of each stage, in order."""
    rejects_table: str = ""
    """The table with the rejected values, `schema.table`. Empty: none were rejected."""
    rejects_file: str = ""
    """The path of the same values in a file on the worker's machine. Empty: none were rejected."""
    previous_schema: str = ""
    """The schema that keeps replaced tables or rows for a revert. Empty: there are none."""


@dataclass(frozen=True)
class VerifyReport:
    """The result of `VerifyImport`."""

    import_id: str
    source: str
    schema: str
    equal: bool
    """Whether no difference was found."""
    tables: list[TableReport] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    verified_rows: int = 0
    differing_rows: int = 0


@dataclass(frozen=True)
class RevertedTable:
    """The row counts of a table that existed before the import and stayed."""

    target: str
    """Its name in PostgreSQL, without the schema."""
    removed_rows: int = 0
    """After APPEND and UPSERT: rows that the import had added; otherwise all rows."""
    restored_rows: int = 0
    """Rows that the import had changed or deleted, and that were restored."""


@dataclass(frozen=True)
class RevertReport:
    """The result of `RevertImport`."""

    import_id: str
    schema: str
    restored_tables: list[str] = field(default_factory=list)
    """The tables that were restored."""
    removed_tables: list[str] = field(default_factory=list)
    """The imported tables that were removed."""
    tables: list[RevertedTable] = field(default_factory=list)
    """Tables that stayed, with deleted or restored rows."""
