"""The rows of another tool's table, refused where that tool would never have written them."""

from typing import Final

from dbopsd.db.errors import InvalidData, StatementFailed
from dbopsd.db.session import Session
from dbopsd.migrate.versions.adopt.errors import HistoryUnclear
from dbopsd.migrate.versions.adopt.history import AdoptableTool, History, Rows
from dbopsd.migrate.versions.model.migration_file import Folder

MOST_ROWS: Final = 100_000


async def fetch_rows(session: Session, tool: AdoptableTool, schema: str, name: str) -> Rows:
    """All rows of a table that has the tool's columns.

    Raises `HistoryUnclear`: for NULL where the tool has a value, for what its types have and no
    program can hold (an infinite time), and for more rows than a history has.
    """
    place = f"{schema}.{name}"
    try:
        rows = await session.fetch_all(tool.select.with_identifiers(table=(schema, name)))
    except StatementFailed as error:
        # The former is the driver's, for a value that the server has sent.
        if type(error) in (StatementFailed, InvalidData):
            # Not the driver's words: they may quote the row.
            problem = f"{place} has a value that cannot be read"
            raise HistoryUnclear(tool.table.title, problem) from error
        raise
    if len(rows) > MOST_ROWS:
        raise HistoryUnclear(tool.table.title, f"{place} has more than {MOST_ROWS:,} rows")
    _refuse_nulls(tool, place, rows)
    return rows


def _refuse_nulls(tool: AdoptableTool, place: str, rows: Rows) -> None:
    cells = ((at, value) for row in rows for at, value in enumerate(row))
    if any(value is None and at not in tool.nullable for at, value in cells):
        problem = f"{place} has NULL where {tool.table.title} has a value"
        raise HistoryUnclear(tool.table.title, problem)


def understood(tool: AdoptableTool, rows: Rows, folder: Folder) -> History:
    """What the rows say of the files. Blocks. Raises `HistoryUnclear`."""
    try:
        return tool.understand(rows, folder)
    except OverflowError as error:
        problem = "a time or a duration in it is beyond all years"
        raise HistoryUnclear(tool.table.title, problem) from error
