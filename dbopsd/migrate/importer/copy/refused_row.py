"""Searches for the row that makes PostgreSQL refuse a COPY."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Final, NoReturn

from dbopsd.db.errors import ProgramLimitExceeded
from dbopsd.db.identifiers import quoted
from dbopsd.db.session import Session
from dbopsd.db.statement import Statement
from dbopsd.migrate.importer.conversion.encoder import Encoder
from dbopsd.migrate.importer.conversion.values import Batch, Values
from dbopsd.migrate.importer.model.errors import RowTooLarge
from dbopsd.migrate.importer.plan.ddl import columns_of
from dbopsd.migrate.importer.processes.tasks import CopyPart
from dbopsd.migrate.importer.snapshot.reader import read_table

# https://www.postgresql.org/docs/current/sql-copy.html: signature, flags, length of extensions.
HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER: Final = b"\xff\xff"


def copy_statement(task: CopyPart) -> Statement:
    """The COPY for rows of the part. They need `HEADER` before and `TRAILER` after them."""
    names = columns_of(column.target for column in task.table.copied)
    target = quoted(task.staging, task.table.target)
    return Statement(
        f"COPY {target} ({names}) FROM STDIN (FORMAT binary)", f"COPY {task.table.target}"
    )


async def raise_refused_row(
    task: CopyPart, session: Session, refusal: ProgramLimitExceeded
) -> NoReturn:
    """Raise `RowTooLarge` for the part's first row that PostgreSQL refuses.

    PostgreSQL does not name the row: COPY inserts rows some hundreds at a time. So the part is
    copied again in ever smaller pieces, and rolled back.
    """
    async with session.transaction():
        search = _Search(task, session)
        with closing(read_table(Path(task.snapshot), task.table, task.key_range)) as batches:
            for batch in batches:
                if refused := await search.refusal(batch):
                    await search.name(batch, refused)
        # It went in this time. From within the transaction, which is undone by it.
        raise refusal


class _Search:
    def __init__(self, task: CopyPart, session: Session) -> None:
        self._task = task
        self._session = session
        self._copy = copy_statement(task)
        self._encoder = Encoder(task.table.copied, key_columns=task.table.key, max_rejects=0)

    async def name(self, batch: Batch, refused: ProgramLimitExceeded) -> NoReturn:
        """Raise `RowTooLarge` for the first refused row of a batch."""
        # What is before `low` goes in, what is before `high` does not.
        low, high = 0, batch.rows
        while high - low > 1:
            middle = (low + high) // 2
            found = await self.refusal(_slice(batch, low, middle))
            if found is None:
                low = middle
            else:
                high, refused = middle, found
        table = self._task.table.source
        raise RowTooLarge(table, batch.name(low), refused.cause) from refused

    async def refusal(self, batch: Batch) -> ProgramLimitExceeded | None:
        """The error for the rows of a batch; None: PostgreSQL accepts them."""
        try:
            async with self._session.transaction(), self._session.copy_in(self._copy) as stream:
                await stream.write(HEADER + self._encoder.encode(batch).data + TRAILER)
        except ProgramLimitExceeded as error:
            return error
        return None


def _slice(batch: Batch, start: int, end: int) -> Batch:
    """Some rows of a batch, to be encoded, without their names."""
    return replace(
        batch,
        rows=end - start,
        columns=tuple(
            Values({each: array[start:end] for each, array in values.arrays.items()})
            for values in batch.columns
        ),
    )
