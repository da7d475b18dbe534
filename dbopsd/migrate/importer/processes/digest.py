"""The tasks that make digests of what both sides have."""

from contextlib import aclosing, closing
from pathlib import Path

from dbopsd.migrate.importer.conversion.digest import Digest
from dbopsd.migrate.importer.conversion.encoder import Encoder
from dbopsd.migrate.importer.processes.context import Context
from dbopsd.migrate.importer.processes.rows import target_rows
from dbopsd.migrate.importer.processes.tasks import Digested, DigestSource, DigestTarget
from dbopsd.migrate.importer.source.reader import read


async def digest_source(task: DigestSource, context: Context) -> Digested:
    """What the file's rows would be, those that can be at all."""
    digest = Digest()
    columns = task.table.columns
    encoder = Encoder(columns, key_columns=task.table.key, max_rejects=0)
    path = Path(task.snapshot)
    with closing(read(path, task.table, task.key_range, columns=columns)) as batches:
        for batch in batches:
            digest.merge(encoder.encode(batch).digest)
            context.progress(batch.rows)
    return Digested(digest.rows, digest.to_json())


async def digest_target(task: DigestTarget, context: Context) -> Digested:
    """What PostgreSQL's rows are."""
    digest = Digest()
    session = await context.session()
    rows = target_rows(session, task.schema, task.table, task.first_page, task.pages)
    async with aclosing(rows) as batches:
        async for batch in batches:
            digest.add_rows(batch)
            context.progress(len(batch))
    return Digested(digest.rows, digest.to_json())
