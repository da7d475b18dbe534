"""What an expression is in PostgreSQL, while SQLite's SQL is being translated.

A column's values are what the documented mapping makes of SQLite's (`docs/import.md`), and a
literal that a column is compared with is mapped in the same way: `deleted = 0` of a column that
became boolean is `deleted = false`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, Final

from sqlglot import exp

from dbopsd.db.identifiers import literal, quoted
from dbopsd.errors import DbopsError, StatusCode
from dbopsd.migrate.importer.conversion.postgres_type import read_type
from dbopsd.migrate.importer.model.source_schema import Affinity, folded

MAX_INTEGER: Final = 2**63 - 1
MAX_SQL: Final = 256 * 1024
"""How long SQL may be that stands for one text of SQLite's, in characters."""
_SHOWN: Final = 120
_ROWIDS: Final = frozenset({"rowid", "oid", "_rowid_"})


@dataclass(eq=False)
class NotTranslatable(DbopsError):
    """SQL of SQLite's that has no certain equal in PostgreSQL."""

    reason: ClassVar[str] = "NOT_TRANSLATABLE"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    construct: str
    """What it is about, as short as it can be named: a function, an operator, a column."""
    problem: str

    @property
    def message(self) -> str:
        construct = cut(without_catalog(self.construct), _SHOWN)
        problem = cut(without_catalog(self.problem), 2 * _SHOWN)
        return f"{construct} is not translated: {problem}"


@dataclass(eq=False)
class UnknownRelation(NotTranslatable):
    """A query reads a table or a view that is not there, or not yet; `construct` is its name."""

    reason: ClassVar[str] = "RELATION_NOT_TRANSLATED"


def without_catalog(sql: str) -> str:
    """SQL as people write it, where they read it."""
    return sql[: 8 * _SHOWN].replace("pg_catalog.", "")


def cut(text: str, length: int = 60) -> str:
    """The beginning of a text, in one line, for people."""
    line = " ".join(text[: 2 * length].split())
    return line if len(line) <= length and len(text) <= 2 * length else f"{line[: length - 1]}…"


class Kind(Enum):
    """A family of PostgreSQL types that behave alike."""

    NULL = "NULL"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    DOUBLE = "double precision"
    NUMERIC = "numeric"
    """Integers and reals in one column: which of the two a value is cannot be told."""
    TEXT = "text"
    BYTES = "bytea"
    DATE = "date"
    TIMESTAMP = "timestamp without time zone"
    TIMESTAMPTZ = "timestamp with time zone"
    TIME = "time without time zone"
    JSON = "json"
    JSONB = "jsonb"
    UUID = "uuid"
    JSON_PART = "PART OF JSON"
    """What json_extract gives: a text, a number or NULL, as text."""


NUMBERS: Final = frozenset({Kind.INTEGER, Kind.DOUBLE, Kind.NUMERIC})
MOMENTS: Final = frozenset({Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ})
_BY_NAME: Final = {kind.value: kind for kind in Kind if kind.value.islower()} | {
    "smallint": Kind.INTEGER,
    "bigint": Kind.INTEGER,
    "character varying": Kind.TEXT,
}
_AFFINITIES: Final = {
    Kind.INTEGER: Affinity.INTEGER,
    Kind.DOUBLE: Affinity.REAL,
    Kind.TEXT: Affinity.TEXT,
    Kind.BYTES: Affinity.BLOB,
}


def kind_of(type_name: str) -> Kind:
    """The kind of a type as DDL has it, `numeric(10,2)`. Raises `NotTranslatable`."""
    kind = _BY_NAME.get(read_type(type_name).name)
    if kind is None:
        raise NotTranslatable(type_name, "expressions with that type are not known here")
    return kind


@dataclass(frozen=True)
class Column:
    """What became of a source's column, and what of the source matters for expressions."""

    name: str
    """In PostgreSQL."""
    type: str
    """PostgreSQL's."""
    affinity: Affinity | None = None
    """SQLite's; None: the one that goes with the type."""
    collation: str = "BINARY"
    storage_class: str = ""
    """The only class of the values found, as `PlannedColumn` has it; empty: not known, or mixed."""
    unit: str = ""
    """Of numbers that are times: `s`, `ms`, `us`, `julian`, or empty."""
    carried: bool = True
    """False: it is not there in PostgreSQL, and whatever names it is refused."""

    @property
    def kind(self) -> Kind:
        """Raises `NotTranslatable`."""
        if not self.carried:
            raise NotTranslatable(self.name, "the column is not carried")
        return kind_of(self.type)

    @property
    def own_affinity(self) -> Affinity:
        """SQLite's, or the one that goes with the type."""
        return self.affinity or _AFFINITIES.get(self.kind, Affinity.NUMERIC)


@dataclass(frozen=True)
class Relation:
    """A table or a view that SQL may name."""

    name: str
    """In PostgreSQL, quoted, with its schema: `"public"."users"`."""
    columns: dict[str, Column]
    """By the source's names, in the order of the source."""
    key: tuple[str, ...] = ()
    """The source's names of the primary key columns that it has in PostgreSQL too."""


class Clock(Enum):
    """How a date function of SQLite's shows a moment."""

    SECONDS = "YYYY-MM-DD HH:MM:SS"
    DATE = "YYYY-MM-DD"
    TIME = "HH:MM:SS"
    EPOCH = "seconds since 1970"


@dataclass(frozen=True)
class ShownMoment:
    """The moment that a text or a number shows: a timestamp without time zone, in UTC."""

    sql: str
    clock: Clock


@dataclass(frozen=True)
class Typed:
    """A translated expression. Its SQL can stand anywhere: what would need parentheses has them."""

    sql: str
    kind: Kind
    type: str = ""
    """PostgreSQL's, without arguments, of an INTEGER and where it is not the kind's."""
    column: Column | None = None
    """The column that it is, and nothing else."""
    affinity: Affinity | None = None
    """None: it is no column and no CAST, and SQLite converts nothing for it."""
    collation: str | None = None
    """Of a column or a COLLATE."""
    explicit: bool = False
    """Whether the collation is a COLLATE's."""
    constant: int | float | str | bytes | None = None
    """The value of a literal; TRUE and FALSE are 1 and 0."""
    nonnegative: bool = False
    integral: bool = False
    """Whether it is a real without anything behind its point."""
    digits: bool = False
    """Whether it is a text of decimal digits, and not empty."""
    mixed: bool = False
    """Whether it is a TEXT that SQLite may have as a number, which compares otherwise there."""
    moment: ShownMoment | None = None
    volatile: bool = False

    def __post_init__(self) -> None:
        if len(self.sql) > MAX_SQL:
            raise NotTranslatable(self.sql, "it becomes too long in PostgreSQL")

    @property
    def wide(self) -> bool:
        """Whether it is an INTEGER of 64 bits."""
        return self.type == "bigint"

    @property
    def unit(self) -> str:
        """The column's."""
        return self.column.unit if self.column else ""

    @property
    def storage_class(self) -> str:
        """The column's."""
        return self.column.storage_class if self.column else ""


Arguments = Sequence[Typed]
Function = tuple[int, int, Callable[[Arguments], Typed]]
"""The least and the most arguments of a function of SQLite's, and how it is translated."""


def null() -> Typed:
    """NULL."""
    return Typed("NULL", Kind.NULL)


def integer(value: int) -> Typed:
    """A constant, which is a real where SQLite's integers end."""
    if not -MAX_INTEGER - 1 <= value <= MAX_INTEGER:
        return real(float(value))
    sql = str(value) if value >= 0 else f"({value})"
    wide = not -(2**31) <= value < 2**31
    kind = "bigint" if wide else "integer"
    return Typed(sql, Kind.INTEGER, kind, constant=value, nonnegative=value >= 0)


def real(value: float) -> Typed:
    """A constant."""
    text = repr(value).replace("inf", "Infinity")
    return Typed(f"'{text}'::pg_catalog.float8", Kind.DOUBLE, constant=value)


def text(value: str) -> Typed:
    """A constant."""
    if "\0" in value:
        raise NotTranslatable("a NUL character", "PostgreSQL's text has none")
    digits = value.isascii() and value.isdigit()
    return Typed(literal(value).strip(), Kind.TEXT, constant=value, digits=digits)


def blob(value: bytes) -> Typed:
    """A constant."""
    return Typed(f"'\\x{value.hex()}'::pg_catalog.bytea", Kind.BYTES, constant=value)


def boolean(sql: str) -> Typed:
    """A condition's outcome; SQLite has 1 and 0 for it."""
    return Typed(sql, Kind.BOOLEAN, nonnegative=True)


def truth(value: bool) -> Typed:
    """TRUE or FALSE."""
    return Typed(str(value).lower(), Kind.BOOLEAN, constant=int(value), nonnegative=True)


def of_column(column: Column, qualifier: str = "") -> Typed:
    """A column by itself. `qualifier` is a quoted name, or empty."""
    name = quoted(column.name)
    kind = column.kind
    textual = kind in {Kind.TEXT, Kind.JSON, Kind.JSONB}
    pure = column.own_affinity is Affinity.TEXT or column.storage_class == "text"
    return Typed(
        f"{qualifier}.{name}" if qualifier else name,
        kind,
        read_type(column.type).name,
        column=column,
        affinity=column.own_affinity,
        collation=column.collation,
        mixed=textual and not pure,
    )


def number_of(value: str) -> int | float | None:
    """What SQLite's numeric affinity makes of a text; None: it stays a text."""
    stripped = value.strip(" \t\n\v\f\r")
    if not stripped.isascii() or "_" in stripped or stripped[-1:].isalpha():
        return None
    try:
        number = float(stripped)
    except ValueError:
        return None
    try:
        exact = int(stripped)
    except ValueError:
        exact = int(number) if number.is_integer() else 0
        return exact if number.is_integer() and abs(exact) < 2**51 else number
    return exact if -MAX_INTEGER - 1 <= exact <= MAX_INTEGER else number


def unknown_name(node: exp.Column) -> Typed:
    """What a name means that is no column's. Raises `NotTranslatable`."""
    if folded(node.name) in _ROWIDS:
        raise NotTranslatable(node.name, "PostgreSQL's rows have no such number")
    if not node.this.args.get("quoted") or node.table:
        raise NotTranslatable(node.sql("sqlite"), "there is no such column in PostgreSQL")
    # SQLite takes a name in double quotes for a text then.
    return text(node.name)


def find(columns: dict[str, Column], name: str) -> Column | None:
    """The column of that name, in any case that SQLite takes for the same."""
    wanted = folded(name)
    return next((column for key, column in columns.items() if folded(key) == wanted), None)
