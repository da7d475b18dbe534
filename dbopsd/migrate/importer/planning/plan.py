"""The plan of an import: every decision with its reason, as a person may read and change it."""

from dataclasses import dataclass, field
from enum import Enum


class Fate(Enum):
    """What becomes of an object."""

    CARRIED = "CARRIED"
    CHANGED = "CHANGED"
    """It arrives in another form; the reason says which."""
    NOT_CARRIED = "NOT_CARRIED"


class BadValue(Enum):
    """What becomes of a value that its column in PostgreSQL cannot hold."""

    REJECT = "reject"
    """Its row does not arrive: the import fails, or keeps the row apart, as was asked."""
    NULL = "null"
    """NULL stands in its place."""
    CLAMP = "clamp"
    """The nearest number that the type holds."""
    REPLACE = "replace"
    """U+FFFD stands for a NUL character and for each byte that is not UTF-8."""


@dataclass(frozen=True)
class PlannedColumn:
    """A column that is carried."""

    source: str
    target: str
    """Its name in PostgreSQL."""
    type: str
    """PostgreSQL's, as DDL has it: `bigint`, `numeric(10,2)`."""
    conversion: str
    """How its values are made: the name of one of `conversion`'s."""
    evidence: str
    """Why, for people: what is declared and what was found."""
    storage_class: str = ""
    """`integer`, `real`, `text` or `blob` where all values were found to be of it; empty: mixed."""
    not_null: bool = False
    unit: str = ""
    """Of numbers that are times: `s`, `ms`, `us`, `julian`, or empty."""
    on_bad: BadValue = BadValue.REJECT
    expression: str = ""
    """An SQLite expression that is read instead of the column."""
    value_map: dict[str, str | None] = field(default_factory=dict)
    """Text of a value to the text that stands for it; None: NULL."""


@dataclass(frozen=True)
class PlannedObject:
    """What becomes of something other than a column's values: an index, a CHECK, a view, …."""

    kind: str
    """`table`, `column`, `primary key`, `unique`, `foreign key`, `check`, `default`, `index`,
    `generated column`, `view`, `trigger`, `virtual table`, `collation`, `sequence`."""
    name: str
    fate: Fate
    reason: str = ""
    """Empty where it is carried as it is."""
    ddl: str = ""
    """What makes it in PostgreSQL; empty where nothing does, or its table's own statement."""
    table: str = ""
    """The source table that it belongs to."""
