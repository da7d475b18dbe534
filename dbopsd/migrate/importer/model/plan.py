"""The plan of an import: every decision with its reason."""

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final

LARGEST_NUMBERS: Final = {"smallint": 2**15 - 1, "integer": 2**31 - 1, "bigint": 2**63 - 1}
"""The types that an identity can have, with the largest number of each."""


class Fate(Enum):
    """Whether an object is carried over."""

    CARRIED = "CARRIED"
    CHANGED = "CHANGED"
    """It is imported in another form; the reason says which one."""
    NOT_CARRIED = "NOT_CARRIED"


class BadValue(Enum):
    """What to do with a value that its column in PostgreSQL cannot hold."""

    REJECT = "reject"
    """Its row does not arrive: the import fails, or keeps the row apart, as was asked."""
    NULL = "null"
    """NULL stands in its place."""
    CLAMP = "clamp"
    """The nearest number that the type holds."""
    REPLACE = "replace"
    """U+FFFD stands for a NUL character and for each byte that is not UTF-8.

    JSON that jsonb alters arrives as jsonb has it.
    """


@dataclass(frozen=True)
class PlannedColumn:
    """A column that is carried."""

    source: str
    target: str
    """Its name in PostgreSQL."""
    type: str
    """PostgreSQL's, as DDL has it: `bigint`, `numeric(10,2)`."""
    conversion: str
    """The name of the conversion that makes its values."""
    evidence: str
    """Why, for people: what is declared and what was found."""
    storage_class: str = ""
    """`integer`, `real`, `text` or `blob` where all values were found to be of it; empty: mixed."""
    not_null: bool = False
    unit: str = ""
    """The unit of numbers that are times: `s`, `ms`, `us`, `julian`; empty: they are no times."""
    doubt: str = ""
    """Why the unit may be another one, for people; empty: no reason to think so."""
    on_bad: BadValue = BadValue.REJECT
    expression: str = ""
    """An SQLite expression that is read instead of the column."""
    value_map: dict[str, str | None] = field(default_factory=dict)
    """The replacements of values: text to text, or to None for NULL."""
    generated: str = ""
    """The PostgreSQL expression of a generated column. It is compared, not copied."""
    default: str = ""
    """The PostgreSQL expression of its default; empty: none."""

    @property
    def changed(self) -> bool:
        """Whether the mapping changes values."""
        return bool(self.expression or self.value_map) or self.on_bad is not BadValue.REJECT


@dataclass(frozen=True)
class PlannedObject:
    """An object other than a column's values, and its fate: an index, a CHECK, a view, …."""

    kind: str
    """`table`, `column`, `primary key`, `unique`, `foreign key`, `check`, `default`, `index`,
    `generated column`, `view`, `trigger`, `virtual table`, `collation`, `sequence`."""
    name: str
    fate: Fate
    reason: str = ""
    """Why it is changed or not carried; empty: it is carried as it is."""
    ddl: str = ""
    """The statement that creates it; empty: none does, or CREATE TABLE does."""
    table: str = ""
    """The source table that it belongs to."""
    validate: str = ""
    """The statement that validates a constraint which `ddl` creates NOT VALID."""
    target: str = ""
    """Its name in PostgreSQL, if `ddl` creates it."""
    violations: str = ""
    """The query that counts the rows for which `validate` fails."""
    fallback: str = ""
    """The statement to run if the rows do not allow `ddl`; empty: none."""


def values_only(table: str, column: str, why: str) -> PlannedObject:
    """The note on a generated column that becomes an ordinary one."""
    reason = f"its values are carried, and PostgreSQL does not compute them: {why}"
    return PlannedObject("generated column", f"{table}.{column}", Fate.CHANGED, reason, table=table)


@dataclass(frozen=True)
class PlannedTable:
    """A table that is carried."""

    source: str
    target: str
    columns: tuple[PlannedColumn, ...]
    rows: int = 0
    """The number of rows to carry: those that match `where`."""
    key: tuple[str, ...] = ()
    """The source's primary key columns. They name a row."""
    rowid: str = ""
    """SQLite's name of the rowid that no column has; empty: there is none."""
    min_rowid: int | None = None
    max_rowid: int | None = None
    where: str = ""
    """An SQLite condition for the rows to carry; empty: all."""
    rowid_column: str = ""
    """The target column of the INTEGER PRIMARY KEY, which SQLite numbers; empty: none."""
    identity: str = ""
    """`rowid_column` where the plan makes it an identity, which goes on counting; empty: no."""
    last_number: int = 0
    """The largest number that `rowid_column` ever had, be its row there or not."""
    own_collation: bool = False
    """Whether the key's collation is the application's own, which other SQLites cannot open."""
    max_value_bytes: int = 0
    """The longest value found, where it was looked for; 0: it was not."""

    @property
    def copied(self) -> tuple[PlannedColumn, ...]:
        """The columns whose values are sent."""
        return tuple(column for column in self.columns if not column.generated)

    @property
    def comparable(self) -> "PlannedTable":
        """The table with the columns that can be compared with the file.

        Values that PostgreSQL computes from changed values are not in the file.
        """
        if not any(column.changed for column in self.copied):
            return self
        return replace(self, columns=self.copied)


@dataclass(frozen=True)
class Plan:
    """The plan for a whole file."""

    tables: tuple[PlannedTable, ...]
    objects: tuple[PlannedObject, ...] = ()
    """The objects in the order in which they can be created."""
    notes: tuple[str, ...] = ()

    def table(self, source: str) -> PlannedTable:
        """The table of that name in the source. Raises KeyError."""
        for table in self.tables:
            if table.source == source:
                return table
        raise KeyError(source)
