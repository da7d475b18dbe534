"""What a process can be told to do, and what it answers."""

from dataclasses import dataclass, field

from dbopsd.migrate.importer.model.plan import PlannedTable
from dbopsd.migrate.importer.model.report import Difference, RejectCount, RejectedValue
from dbopsd.migrate.importer.model.requests import BadRows, Integrity
from dbopsd.migrate.importer.model.source_schema import SourceTable


@dataclass(frozen=True)
class TakeSnapshot:
    """Copy the file into the operation's directory."""

    source: str
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
class ProfileTable:
    """Look at what a table holds."""

    snapshot: str
    table: SourceTable
    key_range: tuple[int, int] | None


@dataclass(frozen=True)
class CopyPart:
    """Copy a part of a table, once: what is recorded as copied is not copied again."""

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

    snapshot: str
    table: PlannedTable
    key_range: tuple[int, int] | None


@dataclass(frozen=True)
class DigestTarget:
    """What is in PostgreSQL, in a range of a table's pages, as a digest."""

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

    snapshot: str
    schema: str
    table: PlannedTable
    source_digest: str
    target_digest: str
    max_examples: int


@dataclass(frozen=True)
class FindMissing:
    """Find the rows of the file that a table has not, whatever else is in it."""

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
    """All of them."""
    examples: list[Difference] = field(default_factory=list)
