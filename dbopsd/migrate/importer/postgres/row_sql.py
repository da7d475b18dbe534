"""Parts of statements that compare rows and put them in order."""

from collections.abc import Sequence
from typing import Final

from dbopsd.db.identifiers import quoted
from dbopsd.migrate.importer.conversion.postgres_type import read_type
from dbopsd.migrate.importer.model.plan import PlannedColumn, PlannedTable

# Of two columns that are not of one collation `=` does not know which to go by, and their order is
# a collation's.
TEXTS: Final = ("text", "character varying")


def drop_table(kept: str) -> str:
    """Drop a table."""
    return f"DROP TABLE {kept}"


def differ_as_text(names: Sequence[str], one: str, other: str) -> str:
    """The condition that values differ as text: for foreign keys 1.0 is not 1.00."""
    mine, theirs = (
        ", ".join(f"{row}.{quoted(name)}::pg_catalog.text" for name in names)
        for row in (one, other)
    )
    return f"({mine}) IS DISTINCT FROM ({theirs})"


def key_order(
    key: Sequence[str], table: PlannedTable, row: str, *, last_first: bool = False
) -> str:
    """The ORDER BY that sorts rows by their key, the same in every database."""
    types = {column.target: column.type for column in table.columns}
    return ", ".join(
        f"{row}.{quoted(name)}"
        + (' COLLATE pg_catalog."C"' if read_type(types[name]).name in TEXTS else "")
        + (" DESC" if last_first else "")
        for name in key
    )


def same_key(key: Sequence[str], one: str, other: str) -> str:
    """The condition that two rows have the same key."""
    return " AND ".join(
        f"{one}.{quoted(name)} OPERATOR(pg_catalog.=) {other}.{quoted(name)}" for name in key
    )


def columns_besides(key: Sequence[str], table: PlannedTable) -> list[PlannedColumn]:
    """The columns that an import writes besides the key."""
    return [column for column in table.columns if column.target not in key]
