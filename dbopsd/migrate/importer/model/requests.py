"""What is asked of an import: the requests of its kinds of operation."""

from dataclasses import dataclass
from enum import Enum


class Mode(Enum):
    """What becomes of the rows that the target tables have."""

    REPLACE = "replace"
    """They give way to the imported ones; the tables are kept for a revert."""
    APPEND = "append"
    """They stay, and the imported ones come to them. A key that is there already is an error."""
    UPSERT = "upsert"
    """Those with the key of an imported row give way to it, the others stay."""


class Target(Enum):
    """Where the tables come from."""

    CREATE = "create"
    """The plan makes them."""
    EXISTING = "existing"
    """They are there, made by migrations; columns are found by their names."""


class BadRows(Enum):
    """What becomes of rows with a value that its column cannot hold."""

    FAIL = "fail"
    """The import fails, after it has found all of them."""
    QUARANTINE = "quarantine"
    """They are kept apart, in a table and in the report; the rest arrives."""


class Integrity(Enum):
    """How closely SQLite checks the file before it is read."""

    QUICK = "quick"
    """`PRAGMA quick_check`: the pages and the rows."""
    FULL = "full"
    """`PRAGMA integrity_check`: the indexes too."""
    OFF = "off"


class Names(Enum):
    """What names become."""

    PRESERVE = "preserve"
    """They stay as they are, and need quotes in PostgreSQL where they have capitals."""
    LOWER = "lower"
    """Lower case, so that unquoted SQL finds them."""


@dataclass(frozen=True)
class ImportRequest:
    """What `PlanImport` and `RunImport` have in common."""

    source: str
    """The SQLite file: a path on the worker's machine, inside the database's `import_roots`."""
    schema: str = "public"
    """The target schema; made where it is not there."""
    target: Target = Target.CREATE
    mode: Mode = Mode.REPLACE
    delete_missing: bool = False
    """With UPSERT: rows whose key no imported row has are deleted."""
    tables: tuple[str, ...] = ()
    """The only tables that are carried; empty: all."""
    exclude_tables: tuple[str, ...] = ()
    bad_rows: BadRows = BadRows.FAIL
    integrity: Integrity = Integrity.QUICK
    names: Names = Names.PRESERVE
    mapping: str = ""
    """Overrides of the plan, in TOML (`docs/import.md`); a saved plan is one too."""
    max_examples: int = 100
    """How many rejected values and differences the report names at most, of each table."""


@dataclass(frozen=True)
class RunImportRequest(ImportRequest):
    """What `RunImport` does."""

    processes: int = 0
    """How many processes copy side by side; 0: one for each processor, at least 2, at most 8."""
    verify: bool = True
    """Whether every value is read back and compared."""


@dataclass(frozen=True)
class VerifyImportRequest:
    """Compares what an import made with a SQLite file, value by value."""

    import_id: str
    """The operation that made it, `{operation}` of `operations/{operation}`."""
    source: str = ""
    """The file to compare with; empty: the import's own."""
    max_examples: int = 100


@dataclass(frozen=True)
class RevertImportRequest:
    """Puts back what an import replaced."""

    import_id: str
