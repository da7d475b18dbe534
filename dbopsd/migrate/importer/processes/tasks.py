"""The tasks of a child process, and their results."""

from dataclasses import dataclass, field
from typing import ClassVar

from dbopsd.migrate.importer.model.plan import Plan, PlannedTable
from dbopsd.migrate.importer.model.report import Difference, RejectCount, RejectedValue
from dbopsd.migrate.importer.model.requests import BadRows, ImportRequest, Integrity
from dbopsd.migrate.importer.model.source_profile import TableProfile
from dbopsd.migrate.importer.model.source_schema import SourceSchema, SourceTable


@dataclass(frozen=True)
class TakeSnapshot:
    """Copy the file, which must lie beneath one of the roots, into the operation's directory."""

    stage: ClassVar[str] = "snapshot"
    source: str
    roots: list[str]
    directory: str
    integrity: Integrity


@dataclass(frozen=True)
class SnapshotTaken:
    """The private copy."""

    path: str
    size_bytes: int
    recovered: str = ""
    """`wal` or `journal`, if the copy needed that."""
    unchecked: tuple[str, ...] = ()
    """What could not be checked, and why."""


@dataclass(frozen=True)
class InspectFile:
    """Read the schema, and find the parts in which tables are best profiled."""

    stage: ClassVar[str] = "inspect"
    snapshot: str
    request: ImportRequest
    processes: int


@dataclass(frozen=True)
class Inspected:
    """What is in the file."""

    schema: SourceSchema
    ranges: dict[str, list[tuple[int, int] | None]]
    """Of each table that is carried, the ranges of rowids; None: all rows."""


@dataclass(frozen=True)
class ProfileTable:
    """Look at what a table holds."""

    stage: ClassVar[str] = "profile"
    snapshot: str
    table: SourceTable
    key_range: tuple[int, int] | None


@dataclass(frozen=True)
class MakePlan:
    """Decide about everything in the file."""

    stage: ClassVar[str] = "plan"
    snapshot: str
    schema: SourceSchema
    profiles: dict[str, TableProfile]
    request: ImportRequest
    staging: str
    """The schema in which the plan's statements create everything."""


@dataclass(frozen=True)
class SplitTables:
    """Find the parts in which tables are copied."""

    stage: ClassVar[str] = "plan"
    snapshot: str
    plan: Plan
    processes: int


@dataclass(frozen=True)
class TableRanges:
    """The parts of each table, by its name in the file."""

    ranges: dict[str, list[tuple[int, int] | None]]


@dataclass(frozen=True)
class MeasureTables:
    """Find what the tables of a plan hold in another file, and the parts to compare them in."""

    stage: ClassVar[str] = "plan"
    snapshot: str
    source: str
    plan: Plan
    processes: int


@dataclass(frozen=True)
class Measured:
    """The plan for a file as it is by now, with its parts."""

    plan: Plan
    ranges: dict[str, list[tuple[int, int] | None]]


@dataclass(frozen=True)
class CopyPart:
    """Copy a part of a table, once: what is recorded as copied is not copied again."""

    stage: ClassVar[str] = "copy"
    snapshot: str
    table: PlannedTable
    key_range: tuple[int, int] | None
    part: int
    import_id: str
    staging: str
    bad_rows: BadRows
    max_examples: int


@dataclass(frozen=True)
class Copied:
    """What became of a part."""

    rows: int = 0
    """That were read."""
    copied_rows: int = 0
    copied_bytes: int = 0
    rejected_rows: int = 0
    changed_values: int = 0
    seconds: float = 0.0
    digest: str = ""
    counts: list[RejectCount] = field(default_factory=list)
    rejects: list[RejectedValue] = field(default_factory=list)


@dataclass(frozen=True)
class WriteRejects:
    """Write the values that did not arrive to a file, from their table."""

    stage: ClassVar[str] = "rejects"
    import_id: str
    path: str


@dataclass(frozen=True)
class RejectsWritten:
    """The file, as it was read back."""

    values: int
    size_bytes: int


@dataclass(frozen=True)
class DigestSource:
    """What a part of a table would be in PostgreSQL, all its columns, as a digest."""

    stage: ClassVar[str] = "verify"
    snapshot: str
    table: PlannedTable
    key_range: tuple[int, int] | None


@dataclass(frozen=True)
class DigestTarget:
    """What is in PostgreSQL, in a range of a table's pages, as a digest."""

    stage: ClassVar[str] = "verify"
    schema: str
    table: PlannedTable
    first_page: int
    pages: int
    """0: to the end."""


@dataclass(frozen=True)
class Digested:
    """The digest of some rows."""

    rows: int
    digest: str


@dataclass(frozen=True)
class FindDifferences:
    """Name the rows that differ, having found that some do."""

    stage: ClassVar[str] = "verify"
    snapshot: str
    schema: str
    table: PlannedTable
    source_digest: str
    target_digest: str
    max_examples: int


@dataclass(frozen=True)
class FindMissing:
    """Find the rows of the file that a table has not, whatever else is in it."""

    stage: ClassVar[str] = "verify"
    snapshot: str
    schema: str
    table: PlannedTable
    max_examples: int


@dataclass(frozen=True)
class Missing:
    """The rows that are not there as the file has them."""

    compared_rows: int
    """All that the file has."""
    rows: int
    examples: list[Difference] = field(default_factory=list)


@dataclass(frozen=True)
class Differences:
    """The rows that differ."""

    rows: int
    """The total number."""
    examples: list[Difference] = field(default_factory=list)
