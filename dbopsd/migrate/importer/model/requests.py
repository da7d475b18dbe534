"""What is asked of an import: the requests of its kinds of operation."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from dbopsd.errors import InvalidField
from dbopsd.operations.kind import Request

_MAX_NAME_BYTES: Final = 63  # NAMEDATALEN - 1
_OWN_SCHEMAS: Final = ("dbops_new_", "dbops_old_", "dbops_try_")
_MAX_EXAMPLES: Final = 10_000
_MAX_PROCESSES: Final = 64


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


class IdentifierCase(Enum):
    """What names become."""

    PRESERVE = "preserve"
    """They stay as they are, and need quotes in PostgreSQL where they have capitals."""
    LOWER = "lower"
    """Lower case, so that unquoted SQL finds them."""


@dataclass(frozen=True)
class ImportRequest(Request):
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
    identifier_case: IdentifierCase = IdentifierCase.PRESERVE
    mapping: str = ""
    """Overrides of the plan, in TOML (`docs/import.md`); a saved plan is one too."""
    max_examples: int = 100
    """How many rejected values and differences the report names at most, of each table."""

    def check(self) -> None:
        """Raise `InvalidField`, or `InvalidMapping` for what shows without the file."""
        _check_schema(self.schema)
        _check_tables("tables", self.tables)
        _check_tables("exclude_tables", self.exclude_tables)
        _check_max_examples(self.max_examples)
        if self.delete_missing and self.mode is not Mode.UPSERT:
            raise InvalidField("delete_missing", "goes with mode UPSERT only")
        if self.delete_missing and self.bad_rows is BadRows.QUARANTINE:
            problem = "does not go with bad_rows QUARANTINE: rows kept apart would be deleted"
            raise InvalidField("delete_missing", problem)
        if self.mapping:
            # Loaded with the first mapping: most that a daemon is asked has none.
            from dbopsd.migrate.importer.model.mapping import read_mapping  # noqa: PLC0415

            read_mapping(self.mapping)


@dataclass(frozen=True)
class RunImportRequest(ImportRequest):
    """What `RunImport` does."""

    processes: int = 0
    """How many processes copy side by side; 0: one for each processor, at least 2, at most 8."""
    skip_verification: bool = False
    """Publish without having read every value back."""

    def check(self) -> None:
        """As `ImportRequest.check`."""
        super().check()
        if not 0 <= self.processes <= _MAX_PROCESSES:
            raise InvalidField("processes", f"is not 0 to {_MAX_PROCESSES}")


@dataclass(frozen=True)
class VerifyImportRequest(Request):
    """Compares what an import made with a SQLite file, value by value."""

    import_id: str
    """The operation that made it, `{operation}` of `operations/{operation}`."""
    source: str = ""
    """The file to compare with; empty: the import's own."""
    max_examples: int = 100

    def check(self) -> None:
        """Raise `InvalidField`."""
        _check_max_examples(self.max_examples)


@dataclass(frozen=True)
class RevertImportRequest(Request):
    """Puts back what an import replaced."""

    import_id: str


def _check_schema(schema: str) -> None:
    if "\0" in schema or not 0 < len(schema.encode()) <= _MAX_NAME_BYTES:
        raise InvalidField("schema", f"is no name of PostgreSQL: 1 to {_MAX_NAME_BYTES} bytes")
    if not schema.strip():
        raise InvalidField("schema", "is blank")
    if schema.startswith("pg_") or schema == "information_schema":
        raise InvalidField("schema", "is one of PostgreSQL's own")
    if schema == "dbops" or schema.startswith(_OWN_SCHEMAS):
        raise InvalidField("schema", "is one of dbopsd's own")


def _check_tables(field: str, tables: tuple[str, ...]) -> None:
    for index, table in enumerate(tables):
        if not table:
            raise InvalidField(f"{field}[{index}]", "is empty")


def _check_max_examples(max_examples: int) -> None:
    if not 0 <= max_examples <= _MAX_EXAMPLES:
        raise InvalidField("max_examples", f"is not 0 to {_MAX_EXAMPLES}")
