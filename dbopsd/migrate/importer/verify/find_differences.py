"""The task that counts and names the rows that differ, after digests differed."""

from contextlib import aclosing, closing
from dataclasses import dataclass
from itertools import compress
from typing import Final

import numpy as np

from dbopsd.migrate.importer.conversion.digest import Digest, Hashes, buckets_of, hashes_of
from dbopsd.migrate.importer.model.report import Difference
from dbopsd.migrate.importer.processes.context import Context
from dbopsd.migrate.importer.processes.tasks import Differences, FindDifferences
from dbopsd.migrate.importer.verify import describe_differences
from dbopsd.migrate.importer.verify.hash_multiset import ExampleRows, RemainingHashes, count_pairs
from dbopsd.migrate.importer.verify.row_identity import RowIdentity
from dbopsd.migrate.importer.verify.table_rows import source_rows, target_rows

_ROWS_AT_ONCE: Final = 4_000_000
"""How many rows of both sides are compared in one round, about: each takes some 70 bytes."""


async def find_differences(
    task: FindDifferences, context: Context, *, rows_at_once: int = _ROWS_AT_ONCE
) -> Differences:
    """Read both sides again and match their rows. Counts all differences, names the first.

    Those that may differ are in the buckets that do. Where they are many they are taken in rounds,
    by the hashes of their keys, so that a row that has changed is in the round of what it was.
    Only hashes are held of them, and those rows of the file that are named, besides a batch of
    either side.
    """
    source = Digest.from_json(task.source_digest)
    target = Digest.from_json(task.target_digest)
    buckets = np.zeros(len(source.counts), bool)
    buckets[list(source.differing_buckets(target))] = True
    suspected = int(source.counts[buckets].sum() + target.counts[buckets].sum())
    rounds = max(1, -(-suspected // rows_at_once))
    rows = 0
    examples: list[Difference] = []
    for number in range(rounds):
        suspects = _Suspects(RowIdentity(task.table), buckets, rounds, number)
        wanted, surplus = await _unmatched(task, context, suspects)
        found = wanted.rows + surplus.rows
        if found and suspects.identity.keyed:
            found -= count_pairs(wanted, surplus)
        rows += found
        most = task.max_examples - len(examples)
        if found and most > 0:
            examples += await _examples(task, context, suspects, wanted, surplus, most)
        # Or they would be there still while the next round makes its own.
        del wanted, surplus
    return Differences(rows, examples[: task.max_examples])


@dataclass(frozen=True)
class _Some:
    rows: list[bytes]
    hashes: Hashes
    keys: Hashes


@dataclass(frozen=True)
class _Suspects:
    """The rows that a round compares."""

    identity: RowIdentity
    buckets: np.ndarray[tuple[int], np.dtype[np.bool_]]
    """Whether rows differ, in each."""
    rounds: int
    number: int

    def among(self, rows: list[bytes]) -> _Some:
        """The rows of this round among `rows`. Without a key a row is its own key."""
        hashes = hashes_of(rows)
        suspected = self.buckets[buckets_of(hashes)]
        rows = list(compress(rows, suspected.tolist()))
        forms = self.identity.forms(rows)
        hashes = hashes[suspected] if forms is rows else hashes_of(forms)
        keys = hashes_of(map(self.identity.key, rows)) if self.identity.keyed else hashes
        mine = keys % np.uint64(self.rounds) == self.number
        return _Some(list(compress(rows, mine.tolist())), hashes[mine], keys[mine])


async def _unmatched(
    task: FindDifferences, context: Context, suspects: _Suspects
) -> tuple[RemainingHashes, RemainingHashes]:
    """The rows that only the file has, and those that only PostgreSQL has."""
    hashes: list[Hashes] = []
    keys: list[Hashes] = []
    with closing(source_rows(task.snapshot, task.table)) as of_source:
        for rows in of_source:
            context.go_on()
            some = suspects.among(rows)
            hashes.append(some.hashes)
            keys.append(some.keys)
    wanted = RemainingHashes(hashes, keys)
    session = await context.session()
    async with aclosing(target_rows(session, task.schema, task.table)) as of_target:
        async for rows in of_target:
            context.go_on()
            some = suspects.among(rows)
            _, unwanted = wanted.count_off(some.hashes)
            hashes.append(some.hashes[unwanted])
            keys.append(some.keys[unwanted])
    return wanted, RemainingHashes(hashes, keys)


async def _examples(
    task: FindDifferences,
    context: Context,
    suspects: _Suspects,
    wanted: RemainingHashes,
    surplus: RemainingHashes,
    most: int,
) -> list[Difference]:
    """The first rows of the file that have no equal, each with its partner; then PostgreSQL's."""
    table, identity = task.table, suspects.identity
    picked = ExampleRows(most)
    with closing(source_rows(task.snapshot, table)) as of_source:
        for rows in of_source:
            context.go_on()
            if picked.full:
                break
            some = suspects.among(rows)
            picked.pick(wanted, some.rows, some.hashes)
    waiting: dict[bytes, list[int]] = {}
    for number, row in enumerate(picked.rows if identity.keyed else ()):
        waiting.setdefault(identity.key(row), []).append(number)
    told = [[describe_differences.describe_missing(table, row)] for row in picked.rows]
    extra: list[Difference] = []
    session = await context.session()
    async with aclosing(target_rows(session, task.schema, table)) as of_target:
        async for rows in of_target:
            context.go_on()
            some = suspects.among(rows)
            taken, _ = surplus.count_off(some.hashes)
            for row in (some.rows[at] for at in taken.tolist()):
                mine = waiting.get(identity.key(row)) if waiting else None
                if mine:
                    number = mine.pop()
                    told[number] = list(
                        describe_differences.describe_changed(
                            table, identity, picked.rows[number], row
                        )
                    )
                # Where not all were picked it may be the partner of another.
                elif not picked.full and len(told) + len(extra) < most:
                    extra.append(describe_differences.describe_surplus(table, row))
    return [difference for each in (*told, extra) for difference in each]
