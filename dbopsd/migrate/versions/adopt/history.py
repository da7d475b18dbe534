"""What a tool's history is, whatever the tool: its table, and what its rows say of the files."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

from dbopsd.db.statement import Statement
from dbopsd.migrate.versions.model.ledger_run import Result
from dbopsd.migrate.versions.model.migration_file import Folder, MigrationFile
from dbopsd.migrate.versions.model.requests import Tool


class ColumnKind(Enum):
    """The types that a column of a history may have, as `format_type` writes them."""

    TEXT = ("text", "character varying", "character")
    INTEGER = ("bigint", "integer", "smallint", "numeric")
    BOOLEAN = ("boolean",)
    TIME = ("timestamp without time zone", "timestamp with time zone")
    BYTES = ("bytea",)


Columns = Mapping[str, str]
"""The columns of a table with their types, without modifiers; "": somebody made the type."""


@dataclass(frozen=True)
class HistoryTable:
    """How the table of a tool's history is known, and where it is if nobody says otherwise."""

    title: str
    """The tool's name as its users write it."""
    names: tuple[str, ...]
    columns: Mapping[str, ColumnKind]
    """It has all of these."""
    optional: Mapping[str, ColumnKind] | None = field(default_factory=dict)
    """What else it may have; None: anything, of which the query then names nothing."""
    schemas: tuple[str, ...] = ("public",)
    """Where the tool puts it, besides the current schema."""
    beside: str = ""
    """A table that is in the same schema; empty: none need be."""
    never_beside: str = ""
    """A table that is not in the same schema, where the columns alone are another tool's, too."""

    def fits(self, columns: Columns) -> bool:
        """Whether a table with these columns can be it.

        To cast a value of a type that somebody made runs that person's code: what a query reads is
        of the server's own types.
        """
        if not columns.keys() >= self.columns.keys():
            return False
        known = {**(self.optional or {}), **self.columns}
        if any(columns[name] not in known[name].value for name in columns.keys() & known.keys()):
            return False
        return self.optional is None or columns.keys() <= known.keys()


@dataclass(frozen=True)
class Recorded:
    """What a tool's history says of one migration. `version` and `name` are the table's."""

    version: str
    file: MigrationFile | None
    """None: the folder does not have it."""
    name: str = ""
    result: Result = Result.DONE
    agrees: bool | None = None
    """Whether the file is the one that was applied, by the tool's checksum; None: not known."""
    checksum: str = ""
    """The tool's own."""
    checksum_algorithm: str = ""
    started_at: datetime | None = None
    """None: the table does not say."""
    finished_at: datetime | None = None
    who: str = ""
    statements: int = 0
    statements_done: int = 0
    problem: str = ""


@dataclass(frozen=True)
class History:
    """All that a tool's table says, in the order in which the migrations were applied."""

    recorded: tuple[Recorded, ...] = ()
    notes: tuple[str, ...] = ()
    """What the table cannot tell, a line each."""


Rows = Sequence[tuple[Any, ...]]


@dataclass(frozen=True)
class AdoptableTool:
    """A tool whose history can be taken over."""

    tool: Tool
    table: HistoryTable
    select: Statement
    """Reads all rows of `{table}`."""
    understand: Callable[[Rows, Folder], History]
    """Compares the rows with the files. Blocks: it may read further files of the folder."""
    nullable: frozenset[int] = frozenset()
    """The places of a row, from 0, that the tool may leave NULL."""
