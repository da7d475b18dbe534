"""What an import tells of itself: the results of its kinds of operation."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from dbopsd.migrate.importer.model.plan import PlannedObject

STAGES: Final = (
    *("snapshot", "plan", "stage", "copy", "verify", "keys and indexes", "statistics"),
    *("rejects", "publish"),
)
"""Of an import, in their order."""


class Outcome(Enum):
    """How an import ended."""

    SUCCEEDED = "SUCCEEDED"
    SUCCEEDED_WITH_REJECTS = "SUCCEEDED_WITH_REJECTS"
    """It was published without the rows that were kept apart."""
    FAILED = "FAILED"
    """Nothing was published; everything is as it was before."""


@dataclass(frozen=True)
class RejectedValue:
    """A value that did not arrive, and with it its row."""

    table: str
    """The source table."""
    column: str
    """The source column; empty: it is about the whole row."""
    key: str
    """The row's primary key, or `rowid=5`: `id=5`, `auth='EPSG', code=4326`."""
    reason: str
    """For programs: NOT_AN_INTEGER, INVALID_UTF8, NUL_CHARACTER, …."""
    value: str
    """What is there, for people: SQLite's literal of it, cut to 200 characters."""


@dataclass(frozen=True)
class RejectCount:
    """How many values did not arrive for one reason, in one column."""

    table: str
    column: str
    reason: str
    count: int


@dataclass(frozen=True)
class Difference:
    """A place where PostgreSQL holds something else than the file."""

    table: str
    column: str
    """Empty: the row is on one side only."""
    key: str
    source: str
    """What the file has, for people; empty: no such row."""
    target: str
    """What PostgreSQL has, for people; empty: no such row."""


@dataclass(frozen=True)
class TableReport:
    """What became of one table's rows."""

    source: str
    target: str
    """Its name in PostgreSQL, without the schema."""
    rows: int
    """That the file has, and the plan carries."""
    copied_rows: int = 0
    copied_bytes: int = 0
    """As binary COPY has them."""
    rejected_rows: int = 0
    changed_values: int = 0
    """Values that a policy of the mapping changed: NULL, CLAMP, REPLACE."""
    copy_duration_s: float = 0.0
    """Summed over the processes that copied it side by side."""
    verified_rows: int = 0
    """Rows compared, each with all its columns; 0: not verified."""
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
    """The whole plan in TOML: edit it and give it back as `mapping`."""
    tables: list["PlannedTableReport"] = field(default_factory=list)
    objects: list[PlannedObject] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    rows: int = 0
    source_size_bytes: int = 0
    estimated_duration_s: float = 0.0
    estimated_bytes: int = 0
    """In PostgreSQL, with indexes."""


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
    """Of all of them."""
    rejects: list[RejectedValue] = field(default_factory=list)
    """Up to the request's `max_examples` of each table."""
    differences: list[Difference] = field(default_factory=list)
    """Up to the request's `max_examples` of each table."""
    notes: list[str] = field(default_factory=list)
    problem: str = ""
    """Why it failed, in one line; empty: it did not."""
    rows: int = 0
    copied_rows: int = 0
    rejected_rows: int = 0
    verified_rows: int = 0
    stages: list[ImportStage] = field(default_factory=list)
    """How long each stage took, in their order."""
    rejects_table: str = ""
    """Where the rows are that were kept apart, `schema.table`; empty: there are none."""
    rejects_file: str = ""
    """The same values in a file on the worker's machine, its path; empty: there are none."""
    previous_schema: str = ""
    """Where the tables or rows are kept that gave way, and what a revert needs; empty: nothing."""


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
    """What became of the rows of a table that was there before the import, and stayed."""

    target: str
    """Its name in PostgreSQL, without the schema."""
    removed_rows: int = 0
    """After APPEND and UPSERT those that the import had added, else all that were there."""
    restored_rows: int = 0
    """That the import had changed or deleted, and are as they were before."""


@dataclass(frozen=True)
class RevertReport:
    """The result of `RevertImport`."""

    import_id: str
    schema: str
    restored_tables: list[str] = field(default_factory=list)
    """That stood there before the import, and stand there again."""
    removed_tables: list[str] = field(default_factory=list)
    """That the import had brought, and are gone."""
    tables: list[RevertedTable] = field(default_factory=list)
    """Those that stayed, and had rows taken out or put back."""
