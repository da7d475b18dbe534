"""The rows of a table on both sides, as tuples of a binary COPY, and their digests."""

from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, closing
from pathlib import Path
from typing import Final

from dbopsd.db.identifiers import quoted
from dbopsd.db.session import Session
from dbopsd.db.statement import Statement
from dbopsd.migrate.importer.conversion.digest import Digest
from dbopsd.migrate.importer.conversion.encoder import Encoder
from dbopsd.migrate.importer.conversion.rows import split_rows
from dbopsd.migrate.importer.model.plan import PlannedTable
from dbopsd.migrate.importer.plan.ddl import columns_of
from dbopsd.migrate.importer.processes.context import Context
from dbopsd.migrate.importer.processes.tasks import Digested, DigestSource, DigestTarget
from dbopsd.migrate.importer.snapshot.reader import read_table

_HEADER_BYTES: Final = 19
_TRAILER: Final = b"\xff\xff"


def source_rows(snapshot: str, table: PlannedTable) -> Generator[list[bytes], None, None]:
    """Batches of the file's rows as PostgreSQL would have them, without rejected ones."""
    encoder = Encoder(table.columns, key_columns=table.key, max_rejects=0)
    with closing(read_table(Path(snapshot), table, columns=table.columns)) as batches:
        for batch in batches:
            yield list(split_rows(encoder.encode(batch).data))


async def target_rows(
    session: Session,
    schema: str,
    table: PlannedTable,
    first_page: int = 0,
    pages: int = 0,
) -> AsyncGenerator[list[bytes], None]:
    """Batches of PostgreSQL's rows in some of the table's pages; 0 `pages`: all that follow."""
    names = columns_of(column.target for column in table.columns)
    condition = f"ctid >= '({first_page},0)'"
    if pages:
        condition += f" AND ctid < '({first_page + pages},0)'"
    target = quoted(schema, table.target)
    text = f"COPY (SELECT {names} FROM {target} WHERE {condition}) TO STDOUT (FORMAT binary)"  # noqa: S608
    copy = Statement(text, f"COPY {table.target} TO STDOUT")
    first = True
    async with aclosing(session.copy_out_rows(copy)) as batches:
        async for rows in batches:
            if first:
                rows[0] = rows[0][_HEADER_BYTES:]
                first = False
            # With no rows at all header and trailer are one message.
            if rows[-1] == _TRAILER:
                rows.pop()
            if rows and not rows[0]:
                rows.pop(0)
            if rows:
                yield rows


async def digest_source(task: DigestSource, context: Context) -> Digested:
    """The digest of the file's rows as PostgreSQL would have them, without rejected ones."""
    digest = Digest()
    columns = task.table.columns
    encoder = Encoder(columns, key_columns=task.table.key, max_rejects=0)
    path = Path(task.snapshot)
    with closing(read_table(path, task.table, task.key_range, columns=columns)) as batches:
        for batch in batches:
            digest.merge(encoder.encode(batch).digest)
            context.progress(batch.rows)
    return Digested(digest.rows, digest.to_json())


async def digest_target(task: DigestTarget, context: Context) -> Digested:
    """The digest of PostgreSQL's rows."""
    digest = Digest()
    session = await context.session()
    rows = target_rows(session, task.schema, task.table, task.first_page, task.pages)
    async with aclosing(rows) as batches:
        async for batch in batches:
            digest.add_rows(batch)
            context.progress(len(batch))
    return Digested(digest.rows, digest.to_json())
