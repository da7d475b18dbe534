"""The task that names the rows that differ, once it is known that some do."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import aclosing, closing
from pathlib import Path
from typing import Final

from dbopsd.migrate.importer.conversion.canonical import canonicalise, kinds
from dbopsd.migrate.importer.conversion.decode import decode_field, decode_row
from dbopsd.migrate.importer.conversion.digest import Digest, bucket
from dbopsd.migrate.importer.conversion.encoder import Encoder
from dbopsd.migrate.importer.conversion.rows import split_row, split_rows
from dbopsd.migrate.importer.planning.plan import PlannedTable
from dbopsd.migrate.importer.processes.context import Context
from dbopsd.migrate.importer.processes.rows import target_rows
from dbopsd.migrate.importer.processes.tasks import Differences, FindDifferences
from dbopsd.migrate.importer.report import Difference
from dbopsd.migrate.importer.source.reader import read

_ROWS_AT_ONCE: Final = 200_000
"""How many rows of either side are held in memory, about."""

Key = tuple[bytes | None, ...]


async def find_differences(task: FindDifferences, context: Context) -> Differences:
    """Read both sides again, some buckets of rows at a time, and match what is left over.

    A bucket has rows by their hash: one that differs is in one bucket of the file's and in
    another of PostgreSQL's. Rows without a partner are paired by their key, where they have one.
    """
    source = Digest.from_json(task.source_digest)
    target = Digest.from_json(task.target_digest)
    only_source: Counter[bytes] = Counter()
    only_target: Counter[bytes] = Counter()
    for group in _groups(source, target):
        rows = Counter(_of_source(task, group))
        rows.subtract(Counter(await _of_target(task, context, group)))
        only_source.update({row: count for row, count in rows.items() if count > 0})
        only_target.update({row: -count for row, count in rows.items() if count < 0})
    return matched(task.table, only_source, only_target, task.max_examples)


def _groups(source: Digest, target: Digest) -> Iterator[frozenset[int]]:
    group: set[int] = set()
    rows = 0
    for number in sorted(source.differing_buckets(target)):
        group.add(number)
        rows += int(source.counts[number] + target.counts[number])
        if rows > _ROWS_AT_ONCE:
            yield frozenset(group)
            group, rows = set(), 0
    if group:
        yield frozenset(group)


def _of_source(task: FindDifferences, group: frozenset[int]) -> Iterator[bytes]:
    columns = task.table.columns
    encoder = Encoder(columns, key_columns=task.table.key, max_rejects=0)
    with closing(read(Path(task.snapshot), task.table, columns=columns)) as batches:
        for batch in batches:
            for row in split_rows(encoder.encode(batch).data):
                if bucket(row) in group:
                    yield row


async def _of_target(task: FindDifferences, context: Context, group: frozenset[int]) -> list[bytes]:
    found: list[bytes] = []
    session = await context.session()
    async with aclosing(target_rows(session, task.schema, task.table)) as batches:
        async for batch in batches:
            found.extend(row for row in batch if bucket(row) in group)
    return found


def matched(
    table: PlannedTable, source: Counter[bytes], target: Counter[bytes], most: int
) -> Differences:
    """Pair the rows that one side only has by their key, and name what differs."""
    canonical = kinds([column.type for column in table.columns])
    by_key: dict[Key, list[bytes]] = {}
    for row in target.elements():
        by_key.setdefault(key_of(table, row), []).append(row)
    rows = 0
    examples: list[Difference] = []
    for row in source.elements():
        partners = by_key.get(key_of(table, row)) if table.key else None
        partner = partners.pop() if partners else None
        if partner is not None and canonicalise(row, canonical) == canonicalise(partner, canonical):
            continue  # other bytes, the same meaning
        rows += 1
        if len(examples) < most:
            examples.extend(_told(table, row, partner))
    for row in (row for left in by_key.values() for row in left):
        rows += 1
        if len(examples) < most:
            examples.append(Difference(table.source, "", _name(table, row), "", _shown(table, row)))
    return Differences(rows, examples[:most])


def _told(table: PlannedTable, row: bytes, partner: bytes | None) -> Iterator[Difference]:
    name = _name(table, row)
    if partner is None:
        yield Difference(table.source, "", name, _shown(table, row), "")
        return
    for column, mine, other in zip(table.columns, split_row(row), split_row(partner), strict=True):
        if mine != other:
            yield Difference(
                table.source,
                column.source,
                name,
                _text(mine, column.type),
                _text(other, column.type),
            )


def key_of(table: PlannedTable, row: bytes) -> Key:
    """The fields of a row's key."""
    fields = split_row(row)
    return tuple(
        field
        for column, field in zip(table.columns, fields, strict=True)
        if column.source in table.key
    )


def _name(table: PlannedTable, row: bytes) -> str:
    """What a row is called: by its key, or by all that it has."""
    named = [
        f"{column.source}={'NULL' if text is None else text}"
        for column, text in zip(
            table.columns, decode_row(row, [each.type for each in table.columns]), strict=True
        )
        if not table.key or column.source in table.key
    ]
    return ", ".join(named)


def _shown(table: PlannedTable, row: bytes) -> str:
    fields: Sequence[str | None] = decode_row(row, [each.type for each in table.columns])
    return ", ".join("NULL" if field is None else field for field in fields)


def _text(field: bytes | None, type_name: str) -> str:
    return "NULL" if field is None else decode_field(field, type_name)
