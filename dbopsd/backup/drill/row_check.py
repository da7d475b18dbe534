"""Counts the rows of the restored cluster, and compares them with those taken with the backup."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from dbopsd.backup.catalog.commit import RowCounts, TableRows
from dbopsd.backup.drill.scratch_server import superuser_session
from dbopsd.backup.restore.start import RestoredServer
from dbopsd.db.errors import DatabaseError
from dbopsd.db.statement import Statement
from dbopsd.operations.kind import Run

# Without parameters: a percent sign in a name would be one of theirs.
_COUNT: Final = Statement("SELECT pg_catalog.count(*) FROM ONLY {table}", "SELECT count of rows")
# An index and the visibility map would hide that a page of the table is empty.
_SCANS: Final = {
    "enable_indexscan": "off",
    "enable_indexonlyscan": "off",
    "enable_bitmapscan": "off",
    "row_security": "off",
}
_MOST_NAMED: Final = 5


async def compare_rows(run: Run, server: RestoredServer, counts: RowCounts) -> tuple[bool, str]:
    """Whether every table has as many rows as it had, and what there is to say about it."""
    by_database: dict[str, list[TableRows]] = defaultdict(list)
    for each in counts.tables:
        by_database[each.database].append(each)
    different: list[str] = []
    rows = done = 0
    for name, tables in sorted(by_database.items()):
        try:
            async with superuser_session(run, server, name, **_SCANS) as session:
                for table in tables:
                    run.progress("count rows", done, len(counts.tables), "{table}")
                    done += 1
                    identifier = (table.schema, table.table)
                    try:
                        ((found,),) = await session.fetch_all(
                            _COUNT.with_identifiers(table=identifier)
                        )
                    except DatabaseError as error:
                        different.append(f"{_named(table)} cannot be read: {error.message}")
                        continue
                    rows += found
                    if found != table.rows:
                        different.append(f"{_named(table)} has {found} rows, and had {table.rows}")
        except DatabaseError as error:
            different.append(f"database {name} cannot be read: {error.message}")
    return not different, _detail(different, rows, counts)


def _detail(different: Sequence[str], rows: int, counts: RowCounts) -> str:
    if different:
        more = len(different) - _MOST_NAMED
        text = "; ".join(different[:_MOST_NAMED]) + (f"; and {more} more" if more > 0 else "")
        return f"at {counts.lsn}: {text}"
    text = f"{rows} rows in {len(counts.tables)} tables, as at {counts.lsn} when they were counted"
    if counts.left_out:
        text += f"; {len(counts.left_out)} were not counted with the backup, such as "
        text += counts.left_out[0]
    return text


def _named(table: TableRows) -> str:
    return f"{table.database}.{table.schema}.{table.table}"
