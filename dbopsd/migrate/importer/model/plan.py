"""The plan of an import: every decision with its reason, as a person may read and change it."""

from dataclasses import dataclass, field, replace
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
    doubt: str = ""
    """Why the unit may be another one, for people; empty: no reason to think so."""
    on_bad: BadValue = BadValue.REJECT
    expression: str = ""
    """An SQLite expression that is read instead of the column."""
    value_map: dict[str, str | None] = field(default_factory=dict)
    """Text of a value to the text that stands for it; None: NULL."""
    generated: str = ""
    """The PostgreSQL expression that makes it there; such a column is compared, not copied."""
    default: str = ""
    """The PostgreSQL expression of its default; empty: none."""

    @property
    def changed(self) -> bool:
        """Whether values may be others than the file's, as the mapping wants it."""
        return bool(self.expression or self.value_map) or self.on_bad is not BadValue.REJECT


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
    validate: str = ""
    """What has PostgreSQL look at all rows, of a constraint that `ddl` makes without that."""
    target: str = ""
    """What it is called in PostgreSQL, where `ddl` makes it."""
    violations: str = ""
    """The query that counts the rows for which `validate` fails."""
    fallback: str = ""
    """What is made where the rows do not allow `ddl`; empty: nothing."""


@dataclass(frozen=True)
class PlannedTable:
    """A table that is carried."""

    source: str
    target: str
    columns: tuple[PlannedColumn, ...]
    rows: int = 0
    """That are carried: those of the file that `where` lets through."""
    key: tuple[str, ...] = ()
    """The source's primary key columns, by which a row is named."""
    rowid: str = ""
    """What SQLite calls the rowid in it: a name that no column has; empty: there is none."""
    min_rowid: int | None = None
    max_rowid: int | None = None
    where: str = ""
    """An SQLite condition: the rows that are carried; empty: all."""
    identity: str = ""
    """The target column whose numbers PostgreSQL goes on with; empty: none."""
    last_number: int = 0
    """The largest number that `identity` ever had."""
    max_value_bytes: int = 0
    """The longest value found, where it was looked for; 0: it was not."""

    @property
    def copied(self) -> tuple[PlannedColumn, ...]:
        """The columns whose values are sent."""
        return tuple(column for column in self.columns if not column.generated)

    @property
    def comparable(self) -> "PlannedTable":
        """The table with the columns of which the file says what is to be there.

        What PostgreSQL computes of values that the mapping changes is not in the file.
        """
        if not any(column.changed for column in self.copied):
            return self
        return replace(self, columns=self.copied)


@dataclass(frozen=True)
class Plan:
    """What becomes of a whole file."""

    tables: tuple[PlannedTable, ...]
    objects: tuple[PlannedObject, ...] = ()
    """In the order in which they can be made."""
    notes: tuple[str, ...] = ()

    def table(self, source: str) -> PlannedTable:
        """The table of that name in the source. Raises KeyError."""
        for table in self.tables:
            if table.source == source:
                return table
        raise KeyError(source)
