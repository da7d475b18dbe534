"""Continue sequences after the largest number that rows have or ever had."""

from typing import Final

from dbopsd.db.session import Session
from dbopsd.db.statement import Statement
from dbopsd.migrate.importer.model.plan import PlannedTable
from dbopsd.migrate.importer.postgres.sql import statement

# Without parameters: names may have what stands for one.
_LARGEST: Final = Statement("SELECT pg_catalog.max({column}) FROM {table}", "SELECT max")


async def advance_sequences(session: Session, schema: str, table: PlannedTable) -> None:
    """Move each sequence that fills a column of the table past all numbers that were used.

    A sequence is never moved back. One that counts downwards is left alone.
    """
    located = {"schema": schema, "table": table.target}
    for column, sequence in await session.fetch_all(statement("sequences"), located):
        largest = await session.fetch_one(
            _LARGEST.with_identifiers(column=column, table=(schema, table.target))
        )
        used = largest[0] if largest else None
        if column == table.rowid_column:
            used = max(used or 0, table.last_number)
        if used is not None:
            await session.execute(statement("set_sequence"), {"sequence": sequence, "used": used})
