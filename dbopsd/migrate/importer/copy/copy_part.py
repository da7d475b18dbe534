"""The task that copies a part of a table."""

import time
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from dbopsd.db.errors import ProgramLimitExceeded, UniqueViolation
from dbopsd.db.session import Session
from dbopsd.migrate.importer.conversion.digest import Digest
from dbopsd.migrate.importer.conversion.encoder import Encoded, Encoder, Reject
from dbopsd.migrate.importer.copy.refused_row import (
    HEADER,
    TRAILER,
    copy_statement,
    raise_refused_row,
)
from dbopsd.migrate.importer.copy.reject_buffer import RejectBuffer
from dbopsd.migrate.importer.model.report import RejectCount, RejectedValue
from dbopsd.migrate.importer.model.requests import BadRows
from dbopsd.migrate.importer.processes.context import Context
from dbopsd.migrate.importer.processes.messages import decode, encode
from dbopsd.migrate.importer.processes.tasks import Copied, CopyPart
from dbopsd.migrate.importer.records import import_records
from dbopsd.migrate.importer.snapshot.reader import read_table


async def copy_part(task: CopyPart, context: Context) -> Copied:
    """Copy a part and record it in one transaction. A recorded part is not copied again.

    Raises `RowTooLarge`.
    """
    session = await context.session()
    copied = await _recorded(session, task)
    if copied is not None:
        context.progress(copied.rows)
        return copied
    try:
        async with session.transaction():
            copied = await _Copying(task, context, session).run()
            await import_records.insert_part(
                session, task.import_id, task.table.source, task.part, encode(Copied, copied)
            )
    except UniqueViolation:
        # A process that died had sent its COMMIT already, and the server took its time with that.
        copied = await _recorded(session, task)
        if copied is None:
            raise
    except ProgramLimitExceeded as refusal:
        await raise_refused_row(task, session, refusal)
    return copied


async def _recorded(session: Session, task: CopyPart) -> Copied | None:
    found = await import_records.find_part(session, task.import_id, task.table.source, task.part)
    return None if found is None else decode(Copied, found)


@dataclass
class _Copying:
    task: CopyPart
    context: Context
    session: Session
    digest: Digest = field(default_factory=Digest)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: list[RejectedValue] = field(default_factory=list)
    rows: int = 0
    copied_bytes: int = 0
    rejected_rows: int = 0
    changed: int = 0

    async def run(self) -> Copied:
        task = self.task
        started = time.monotonic()
        keeps_all = task.bad_rows is BadRows.QUARANTINE
        columns = task.table.copied
        encoder = Encoder(
            columns,
            key_columns=task.table.key,
            max_rejects=None if keeps_all else task.max_examples,
        )
        snapshot = Path(task.snapshot)
        with closing(RejectBuffer(snapshot.parent)) as waiting:
            async with self.session.copy_in(copy_statement(task)) as stream:
                await stream.write(HEADER)
                with closing(read_table(snapshot, task.table, task.key_range)) as batches:
                    for batch in batches:
                        encoded = encoder.encode(batch)
                        await stream.write(encoded.data)
                        self._count(encoded)
                        if keeps_all:
                            waiting.add(encoded.rejects)
                        self.context.progress(batch.rows)
                await stream.write(TRAILER)
            if waiting.count:
                await self._keep(waiting)
        return Copied(
            rows=self.rows,
            copied_rows=self.digest.rows,
            copied_bytes=self.copied_bytes,
            rejected_rows=self.rejected_rows,
            changed_values=self.changed,
            seconds=time.monotonic() - started,
            digest=self.digest.to_json(),
            counts=[
                RejectCount(task.table.source, column, reason, count)
                for (column, reason), count in sorted(self.counts.items())
            ],
            rejects=self.examples,
        )

    def _count(self, encoded: Encoded) -> None:
        self.rows += encoded.rows + encoded.rejected_rows
        self.copied_bytes += len(encoded.data)
        self.rejected_rows += encoded.rejected_rows
        self.changed += encoded.changed
        self.digest.merge(encoded.digest)
        self.counts.update(encoded.reject_counts)
        room = self.task.max_examples - len(self.examples)
        self.examples.extend(
            RejectedValue(
                self.task.table.source, each.column, each.key, each.reason, _shown(each.value)
            )
            for each in encoded.rejects[:room]
        )

    async def _keep(self, rejects: Iterable[Reject]) -> None:
        # NULL has no bytes; an empty text has, which are none.
        found = (
            (
                *(_shown(each.key), each.column, each.reason, _shown(each.value)),
                None if each.storage_class == "null" else each.raw,
            )
            for each in rejects
        )
        await import_records.insert_rejects(
            self.session, self.task.import_id, self.task.table.source, found
        )


def _shown(text: str) -> str:
    """A text that PostgreSQL's text and JSON can hold."""
    return text.replace("\0", "\\0").encode(errors="replace").decode()
