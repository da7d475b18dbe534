"""The schema of a SQLite file, as SQLite understands it."""

import string
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

SQLITE_COLLATIONS: Final = frozenset({"BINARY", "NOCASE", "RTRIM"})
"""The collations that every SQLite has; others are an application's own."""


class Affinity(Enum):
    """What SQLite tries to store in a column (https://sqlite.org/datatype3.html#type_affinity)."""

    INTEGER = "INTEGER"
    TEXT = "TEXT"
    BLOB = "BLOB"
    REAL = "REAL"
    NUMERIC = "NUMERIC"


@dataclass(frozen=True)
class SourceColumn:
    """A column of a table. Expressions are SQL as it was written."""

    name: str
    declared_type: str
    """As written, `VARCHAR(20)`; empty where none is declared."""
    affinity: Affinity
    not_null: bool = False
    default: str | None = None
    """The default's expression; None: there is none."""
    generated: str | None = None
    """The expression of a generated column; None: it is an ordinary one."""
    stored: bool = False
    """Whether the generated column is STORED; VIRTUAL otherwise."""
    collation: str = "BINARY"
    """BINARY, NOCASE, RTRIM, or an application's own."""


@dataclass(frozen=True)
class IndexedColumn:
    """A column of an index, or an expression in its place."""

    name: str | None
    """None: an expression."""
    expression: str | None = None
    descending: bool = False
    collation: str = "BINARY"


@dataclass(frozen=True)
class SourceIndex:
    """An index that was created as one, or that stands for a UNIQUE constraint."""

    name: str
    columns: tuple[IndexedColumn, ...]
    unique: bool = False
    where: str | None = None
    """The condition of a partial index."""
    constraint: bool = False
    """Whether it stands for a UNIQUE constraint of the table."""


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key, in the order of its columns."""

    columns: tuple[str, ...]
    target: str
    """The referenced table's name, in the case of the table if there is one."""
    target_columns: tuple[str, ...]
    """Resolved: an implicit target is the target's primary key. Empty where there is none."""
    on_update: str = "NO ACTION"
    on_delete: str = "NO ACTION"
    deferred: bool = False
    """Whether it is DEFERRABLE INITIALLY DEFERRED."""
    name: str | None = None
    problem: str | None = None
    """Why it can hold for no row as declared: its table is missing, or its columns are."""


@dataclass(frozen=True)
class CheckConstraint:
    """A CHECK of a table, be it written at a column or at the table."""

    expression: str
    name: str | None = None


@dataclass(frozen=True)
class SourceTable:
    """An ordinary table."""

    name: str
    columns: tuple[SourceColumn, ...]
    primary_key: tuple[str, ...] = ()
    primary_key_name: str | None = None
    primary_key_collations: tuple[str, ...] = ()
    """Of its columns, as the key compares them; empty where there is none."""
    rowid_alias: str | None = None
    """The INTEGER PRIMARY KEY column, which is the rowid."""
    without_rowid: bool = False
    strict: bool = False
    autoincrement: bool = False
    sequence: int | None = None
    """The largest rowid ever used, as `sqlite_sequence` has it."""
    indexes: tuple[SourceIndex, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    checks: tuple[CheckConstraint, ...] = ()
    conflicts: tuple[str, ...] = ()
    """ON CONFLICT clauses that do not raise an error, `UNIQUE of a, b ON CONFLICT REPLACE`."""
    sql: str = ""

    def column(self, name: str) -> SourceColumn:
        """The column of that name, in any case. Raises KeyError."""
        for column in self.columns:
            if column.name.lower() == name.lower():
                return column
        raise KeyError(name)


@dataclass(frozen=True)
class SourceView:
    """A view, with the names of its columns where SQLite can tell them."""

    name: str
    sql: str
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class SourceTrigger:
    """A trigger. `table` is the table or the view that it is on."""

    name: str
    table: str
    sql: str


@dataclass(frozen=True)
class VirtualTable:
    """A virtual table, with the tables in which its module keeps what it holds."""

    name: str
    module: str
    sql: str
    shadow_tables: tuple[str, ...] = ()


@dataclass(frozen=True)
class SourceSchema:
    """Everything that the file's schema has, apart from SQLite's own tables."""

    tables: tuple[SourceTable, ...]
    views: tuple[SourceView, ...] = ()
    triggers: tuple[SourceTrigger, ...] = ()
    virtual_tables: tuple[VirtualTable, ...] = ()
    encoding: str = "UTF-8"
    user_version: int = 0
    application_id: int = 0
    unreadable: dict[str, str] = field(default_factory=dict)
    """Objects that SQLite lists and cannot work with, and why: a module is missing, say."""

    def table(self, name: str) -> SourceTable | None:
        """The table of that name, in any case."""
        return next((each for each in self.tables if each.name.lower() == name.lower()), None)


_AFFINITIES: Final = (
    (Affinity.INTEGER, ("INT",)),
    (Affinity.TEXT, ("CHAR", "CLOB", "TEXT")),
    (Affinity.BLOB, ("BLOB",)),
    (Affinity.REAL, ("REAL", "FLOA", "DOUB")),
)
_LOWER: Final = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def affinity_of(declared: str, *, strict: bool = False) -> Affinity:
    """https://sqlite.org/datatype3.html#determination_of_column_affinity, its five rules.

    `strict`: the table is STRICT, where ANY keeps every value as it is.
    """
    upper = declared.upper()
    if not upper or (strict and upper == "ANY"):
        return Affinity.BLOB
    for affinity, parts in _AFFINITIES:
        if any(part in upper for part in parts):
            return affinity
    return Affinity.NUMERIC


def folded(name: str) -> str:
    """The same text for all names that SQLite takes for one: `É` and `é` are two."""
    return name.translate(_LOWER)


def quote_sqlite(name: str) -> str:
    """A quoted name, whatever it holds."""
    return '"' + name.replace('"', '""') + '"'
