"""Splits tables into parts, which child processes take one by one."""

import sqlite3
from typing import Final

from dbopsd.migrate.importer.model.plan import PlannedTable
from dbopsd.migrate.importer.model.source_schema import quote_sqlite

# Enough that all processes end at about the same time, few enough that a part's own costs (a COPY,
# a commit) do not count.
_ROUNDS: Final = 4
_LEAST_ROWS: Final = 50_000
_MOST_ROWS: Final = 500_000
# From so many numbers a row on, ranges of numbers say nothing about rows.
_SPARSE: Final = 8

KeyRange = tuple[int, int]


def split_table(
    connection: sqlite3.Connection, table: PlannedTable, processes: int
) -> list[KeyRange | None]:
    """Ranges of rowids, both ends included, that together are the table; None: all of it."""
    low, high = table.min_rowid, table.max_rowid
    if not table.rowid or low is None or high is None:
        return [None]
    rows = max(table.rows, 1)
    wanted = min(max(rows // (_ROUNDS * processes), _LEAST_ROWS), _MOST_ROWS)
    count = -(-rows // wanted)
    if count <= 1:
        return [None]
    if (high - low + 1) / rows > _SPARSE:
        firsts = _every(connection, table, wanted)
    else:
        width = -(-(high - low + 1) // count)
        firsts = list(range(low, high + 1, width))
    return list(zip(firsts, [*(first - 1 for first in firsts[1:]), high], strict=True))


def _every(connection: sqlite3.Connection, table: PlannedTable, rows: int) -> list[int]:
    """The first rowid, and then that of each row after `rows` others."""
    query = (
        f"SELECT r FROM (SELECT {table.rowid} AS r, "  # noqa: S608 # its name, and a rowid's
        f"row_number() OVER (ORDER BY {table.rowid}) AS n FROM {quote_sqlite(table.source)}) "
        "WHERE (n - 1) % ? = 0"
    )
    return [int(rowid) for (rowid,) in connection.execute(query, (rows,))]
