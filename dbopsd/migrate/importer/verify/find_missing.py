"""The task that finds the rows of a file that are missing in a table with rows of others."""

from collections.abc import Callable, Sequence
from contextlib import aclosing, closing
from typing import Final

import numpy as np

from dbopsd.migrate.importer.conversion.digest import hashes_of
from dbopsd.migrate.importer.conversion.rows import split_row
from dbopsd.migrate.importer.model.plan import PlannedTable
from dbopsd.migrate.importer.model.report import Difference
from dbopsd.migrate.importer.plan.existing_tables import key_of
from dbopsd.migrate.importer.postgres.sql import statement
from dbopsd.migrate.importer.processes.context import Context
from dbopsd.migrate.importer.processes.tasks import FindMissing, Missing
from dbopsd.migrate.importer.verify import describe_differences
from dbopsd.migrate.importer.verify.hash_multiset import ExampleRows, RemainingHashes
from dbopsd.migrate.importer.verify.row_identity import RowIdentity
from dbopsd.migrate.importer.verify.table_rows import source_rows, target_rows

_ROWS_AT_ONCE: Final = 4_000_000
"""How many of the file's rows are looked for in one round, about: each takes some 40 bytes."""

_Forms = Callable[[Sequence[bytes]], Sequence[bytes]]


async def find_missing(
    task: FindMissing, context: Context, *, rows_at_once: int = _ROWS_AT_ONCE
) -> Missing:
    """Look for each row as often as the file has it. Counts the missing rows, names the first.

    There may be many more rows in the table than in the file. What is held are hashes of the
    file's, some at a time, against which the table's are counted off as they come, and those rows
    of the file that are named, besides a batch of either side. A row whose key is there with other
    values is one that differs.
    """
    identity = RowIdentity(task.table)
    rounds = max(1, -(-task.table.rows // rows_at_once))
    picked = ExampleRows(task.max_examples if identity.by_bytes else 0)
    compared, missing = await _count_missing(task, context, rounds, _as_they_are, picked)
    if missing and not identity.by_bytes:
        # It costs much more to make the forms, and mostly all bytes are there.
        picked = ExampleRows(task.max_examples)
        compared, missing = await _count_missing(task, context, rounds, identity.forms, picked)
    examples = await _examples(task, context, identity, picked) if picked.rows else []
    return Missing(compared, missing, examples[: task.max_examples])


async def _count_missing(
    task: FindMissing, context: Context, rounds: int, forms: _Forms, picked: ExampleRows
) -> tuple[int, int]:
    """How many rows the file has, and how many of them are not there; picks the first of these."""
    compared = missing = 0
    session = await context.session()
    for number in range(rounds):
        mine = []
        with closing(source_rows(task.snapshot, task.table)) as of_source:
            for rows in of_source:
                context.go_on()
                hashes = hashes_of(forms(rows))
                mine.append(hashes[hashes % np.uint64(rounds) == number])
        wanted = RemainingHashes(mine)
        compared += wanted.rows
        if forms is _as_they_are:
            context.progress(wanted.rows)
        async with aclosing(target_rows(session, task.schema, task.table)) as of_target:
            async for rows in of_target:
                context.go_on()
                wanted.count_off(hashes_of(forms(rows)))
        missing += wanted.rows
        if wanted.rows:
            _pick_examples(task, forms, wanted, picked)
        # Or it would be there still while the next round makes its own.
        del wanted
    return compared, missing


def _pick_examples(
    task: FindMissing, forms: _Forms, wanted: RemainingHashes, picked: ExampleRows
) -> None:
    with closing(source_rows(task.snapshot, task.table)) as of_source:
        for rows in of_source:
            if picked.full:
                break
            picked.pick(wanted, rows, hashes_of(forms(rows)))


async def _examples(
    task: FindMissing, context: Context, identity: RowIdentity, picked: ExampleRows
) -> list[Difference]:
    """The differences of the example rows."""
    table = task.table
    told = [[describe_differences.describe_missing(table, row)] for row in picked.rows]
    session = await context.session()
    keys = await session.fetch_all(statement("unique_keys"), (task.schema, [table.target]))
    # Else there may be any number of rows with a key, and each of them somebody else's.
    if not identity.keyed or not any(set(key_of(table)) == set(key) for _, key in keys):
        return [difference for each in told for difference in each]
    waiting: dict[bytes, list[int]] = {}
    for number, row in enumerate(picked.rows):
        if not _has_null_key(table, row):
            waiting.setdefault(identity.key(row), []).append(number)
    async with aclosing(target_rows(session, task.schema, table)) as of_target:
        async for rows in of_target:
            context.go_on()
            for row in rows:
                for number in waiting.pop(identity.key(row), ()):
                    changes = describe_differences.describe_changed(
                        table, identity, picked.rows[number], row
                    )
                    # One that is the same stands for another of the file's.
                    told[number] = list(changes) or told[number]
    return [difference for each in told for difference in each]


def _has_null_key(table: PlannedTable, row: bytes) -> bool:
    """Whether a row has NULL in its key: several rows may have that in unique columns."""
    fields = zip(table.columns, split_row(row), strict=True)
    return any(field is None for column, field in fields if column.source in table.key)


def _as_they_are(rows: Sequence[bytes]) -> Sequence[bytes]:
    return rows
