"""The requests of the import operations."""

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
    """What happens to existing rows of the target tables."""

    REPLACE = "replace"
    """Replace them with the imported rows. The old tables are kept for a revert."""
    APPEND = "append"
    """Keep them and add the imported rows. A key that already exists is an error."""
    UPSERT = "upsert"
    """Replace rows that have the key of an imported row, and keep the others."""


class Target(Enum):
    """Where the tables come from."""

    CREATE = "create"
    """The import creates them from its plan."""
    EXISTING = "existing"
    """They already exist. Columns are matched by name."""


class BadRows(Enum):
    """What happens to rows with a value that its column cannot hold."""

    FAIL = "fail"
    """The import fails after it has found all such rows."""
    QUARANTINE = "quarantine"
    """Such rows are listed in a table and in the report; the others are published."""


class Integrity(Enum):
    """How thoroughly SQLite checks the file before it is read."""

    QUICK = "quick"
    """`PRAGMA quick_check`: checks pages and rows."""
    FULL = "full"
    """`PRAGMA integrity_check`: also checks indexes."""
    OFF = "off"


class IdentifierCase(Enum):
    """The case of names."""

    PRESERVE = "preserve"
    """Names stay as they are. Names with capitals need quotes in PostgreSQL."""
    LOWER = "lower"
    """Names become lower case, so that SQL needs no quotes."""


@dataclass(frozen=True)
class ImportRequest(Request):
    """The common fields of `PlanImport` and `RunImport`."""

    source: str
    """The SQLite file: a path on the worker's machine, inside the database's `import_roots`."""
    schema: str = "public"
    """The target schema, created if it does not exist."""
    target: Target = Target.CREATE
    mode: Mode = Mode.REPLACE
    delete_missing: bool = False
    """With UPSERT: rows whose key no imported row has are deleted."""
    tables: tuple[str, ...] = ()
    """The tables to import. Empty: all."""
    exclude_tables: tuple[str, ...] = ()
    bad_rows: BadRows = BadRows.FAIL
    integrity: Integrity = Integrity.QUICK
    identifier_case: IdentifierCase = IdentifierCase.PRESERVE
    mapping: str = ""
    """Overrides of the plan, in TOML (`docs/import.md`). A saved plan has the same format."""
    max_examples: int = 100
    """The maximum number of rejected values and of differences listed per table."""

    def check(self) -> None:
        """Raise `InvalidField`, or `InvalidMapping` for errors that show without the file."""
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
    """The request of `RunImport`."""

    processes: int = 0
    """How many processes copy in parallel. 0: one per processor, but at least 2 and at most 8."""
    skip_verification: bool = False
    """Publish without reading every value back."""

    def check(self) -> None:
        """Check the fields as `ImportRequest.check` does."""
        super().check()
        if not 0 <= self.processes <= _MAX_PROCESSES:
            raise InvalidField("processes", f"is not 0 to {_MAX_PROCESSES}")


@dataclass(frozen=True)
class VerifyImportRequest(Request):
    """The request of `VerifyImport`: compare an import with a SQLite file, value by value."""

    import_id: str
    """The operation that made it, `{operation}` of `operations/{operation}`."""
    source: str = ""
    """The file to compare with. Empty: the file that was imported."""
    max_examples: int = 100

    def check(self) -> None:
        """Raise `InvalidField`."""
        _check_max_examples(self.max_examples)


@dataclass(frozen=True)
class RevertImportRequest(Request):
    """The request of `RevertImport`."""

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
