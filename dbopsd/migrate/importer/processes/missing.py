"""The task that finds the rows of a file that a table has not, among rows of others.

There may be many more of those than the file has. None of them is held in memory: of the file's
rows there are the hashes, and the table's rows are counted off against them as they come.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import aclosing, closing
from pathlib import Path
from typing import Any, Final

import numpy as np
import xxhash

from dbopsd.migrate.importer.conversion.encoder import Encoder
from dbopsd.migrate.importer.conversion.rows import split_rows
from dbopsd.migrate.importer.processes.compare import key_of, matched
from dbopsd.migrate.importer.processes.context import Context
from dbopsd.migrate.importer.processes.rows import target_rows
from dbopsd.migrate.importer.processes.tasks import FindMissing, Missing
from dbopsd.migrate.importer.source.reader import read

_HASHES_AT_ONCE: Final = 16_000_000
"""How many of the file's rows are looked for at once, about: each takes 16 bytes."""

_Hashes = np.ndarray[Any, np.dtype[np.uint64]]


async def find_missing(task: FindMissing, context: Context) -> Missing:
    """Look for each row as often as the file has it, and then for what has the key of the missing.

    A row that is there with other values under its key is one that differs.
    """
    parts = max(1, -(-task.table.rows // _HASHES_AT_ONCE))
    compared = 0
    wanted: Counter[int] = Counter()
    for part in range(parts):
        mine = [hashes[hashes % np.uint64(parts) == part] for hashes in _of_source(task)]
        sought = _Sought(mine)
        compared += sought.rows
        context.progress(sought.rows)
        session = await context.session()
        async with aclosing(target_rows(session, task.schema, task.table)) as batches:
            async for batch in batches:
                sought.count_off(_hashes(batch))
        wanted.update(sought.left())
    if not wanted:
        return Missing(compared, 0)
    missing = _taken(wanted, _rows_of_source(task))
    found = matched(task.table, missing, await _partners(task, context, missing), task.max_examples)
    return Missing(compared, found.rows, found.examples)


class _Sought:
    """How often rows of each hash are wanted still."""

    def __init__(self, parts: list[_Hashes]) -> None:
        everything = np.concatenate(parts) if parts else np.zeros(0, np.uint64)
        self.rows = len(everything)
        self._hashes, self._wanted = np.unique(everything, return_counts=True)

    def count_off(self, found: _Hashes) -> None:
        """Rows of these hashes are there."""
        hashes, counts = np.unique(found, return_counts=True)
        places = np.searchsorted(self._hashes, hashes)
        inside = places < len(self._hashes)
        places, hashes, counts = places[inside], hashes[inside], counts[inside]
        known = self._hashes[places] == hashes
        self._wanted[places[known]] -= counts[known]

    def left(self) -> dict[int, int]:
        """The hashes of rows that are not there, or not often enough, and how many are missing."""
        missing = self._wanted > 0
        return dict(
            zip(self._hashes[missing].tolist(), self._wanted[missing].tolist(), strict=True)
        )


def _taken(wanted: Counter[int], rows: Iterable[bytes]) -> Counter[bytes]:
    """The rows of the wanted hashes, as many as are wanted."""
    taken: Counter[bytes] = Counter()
    for row in rows:
        number = xxhash.xxh3_64_intdigest(row)
        if wanted[number] > 0:
            wanted[number] -= 1
            taken[row] += 1
    return taken


async def _partners(task: FindMissing, context: Context, missing: Counter[bytes]) -> Counter[bytes]:
    """The table's rows that have the key of one that is missing, one of each key."""
    keys = {key_of(task.table, row) for row in missing} if task.table.key else set()
    partners: Counter[bytes] = Counter()
    if not keys:
        return partners
    session = await context.session()
    async with aclosing(target_rows(session, task.schema, task.table)) as batches:
        async for batch in batches:
            for row in batch:
                # Those that are the same have been counted off for others of the file's.
                if row not in missing and (key := key_of(task.table, row)) in keys:
                    keys.remove(key)
                    partners[row] += 1
    return partners


def _of_source(task: FindMissing) -> Iterator[_Hashes]:
    for data in _encoded(task):
        yield _hashes(split_rows(data))


def _rows_of_source(task: FindMissing) -> Iterator[bytes]:
    for data in _encoded(task):
        yield from split_rows(data)


def _encoded(task: FindMissing) -> Iterator[bytes]:
    columns = task.table.columns
    encoder = Encoder(columns, key_columns=task.table.key, max_rejects=0)
    with closing(read(Path(task.snapshot), task.table, columns=columns)) as batches:
        for batch in batches:
            yield encoder.encode(batch).data


def _hashes(rows: Iterable[bytes]) -> _Hashes:
    return np.fromiter(map(xxhash.xxh3_64_intdigest, rows), np.uint64)
