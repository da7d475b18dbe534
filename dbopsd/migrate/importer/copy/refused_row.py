"""The search for the row that PostgreSQL does not take, once it is known that there is one."""

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
    """The COPY that takes rows of the part, with `HEADER` before and `TRAILER` behind."""
    names = columns_of(column.target for column in task.table.copied)
    target = quoted(task.staging, task.table.target)
    return Statement(
        f"COPY {target} ({names}) FROM STDIN (FORMAT binary)", f"COPY {task.table.target}"
    )


async def raise_refused_row(
    task: CopyPart, session: Session, refusal: ProgramLimitExceeded
) -> NoReturn:
    """Raise `RowTooLarge` for the part's first row that PostgreSQL refuses as it did the part.

    What PostgreSQL says of it is where it was in the stream when it found out: COPY puts rows into
    a table some hundreds at a time. So the part is copied anew, and undone, in ever smaller pieces.
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
        """Raise `RowTooLarge` for the first row of a batch that is refused."""
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
        """Why PostgreSQL does not take the rows of a batch; None: it does."""
        try:
            async with self._session.transaction(), self._session.copy_in(self._copy) as stream:
                await stream.write(HEADER + self._encoder.encode(batch).data + TRAILER)
        except ProgramLimitExceeded as error:
            return error
        return None


def _slice(batch: Batch, start: int, end: int) -> Batch:
    """Some rows of a batch, to be encoded: without what names them."""
    return replace(
        batch,
        rows=end - start,
        columns=tuple(
            Values({each: array[start:end] for each, array in values.arrays.items()})
            for values in batch.columns
        ),
    )
