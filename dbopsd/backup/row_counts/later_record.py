"""Writes a record into the WAL: a recovery that is to end before it can see that it has."""

from typing import Final

from dbopsd.backup.catalog.lsn import Lsn
from dbopsd.backup.row_counts.count_rows import APPLICATION
from dbopsd.db.database import Database
from dbopsd.db.dsn import CATALOG_ONLY
from dbopsd.db.statement import load_sql

_EMIT: Final = load_sql(__package__, "emit_message.sql").statement
_SWITCH: Final = load_sql(__package__, "switch_wal.sql").statement
_POSITION: Final = load_sql(__package__, "position.sql").statement
_TIMEOUT_S: Final = 15.0
# Not held up by a standby that does not answer.
_SETTINGS: Final = {**CATALOG_ONLY, "synchronous_commit": "local", "statement_timeout": "10000"}


async def write_later_record(database: Database) -> Lsn:
    """Write a message that nobody reads; the position after it.

    Where the role may, the segment is ended, so that it is stored at once. Raises `DatabaseError`.
    """
    async with database.dedicated_session(
        "write", application_name=APPLICATION, query_timeout_s=_TIMEOUT_S, settings=_SETTINGS
    ) as session:
        await session.fetch_all(_EMIT)
        ((position,),) = await session.fetch_all(_POSITION)
        await session.fetch_all(_SWITCH)
    return Lsn.parse(position)
