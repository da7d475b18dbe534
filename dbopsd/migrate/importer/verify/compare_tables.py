"""Read back every value of the imported columns and compare it with the file."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from dbopsd.db.session import Session
from dbopsd.migrate.importer.conversion.digest import Digest
from dbopsd.migrate.importer.model.plan import PlannedTable
from dbopsd.migrate.importer.model.report import Difference
from dbopsd.migrate.importer.postgres import schemas
from dbopsd.migrate.importer.processes.pool import OnProgress, Processes
from dbopsd.migrate.importer.processes.tasks import (
    Differences,
    Digested,
    DigestSource,
    DigestTarget,
    FindDifferences,
    FindMissing,
    Missing,
)
from dbopsd.migrate.importer.snapshot.key_ranges import KeyRange
from dbopsd.operations.gather_or_cancel import gather_or_cancel

_PART_PAGES: Final = 8192
"""64 MiB at PostgreSQL's usual page size."""


@dataclass(frozen=True)
class VerifiedTable:
    """The result of comparing a table."""

    table: PlannedTable
    rows: int
    """That were compared: those that PostgreSQL has; among others, those that the file has."""
    differing_rows: int = 0
    examples: list[Difference] = field(default_factory=list)


@dataclass(frozen=True)
class Expected:
    """A table to compare, and what it should hold."""

    table: PlannedTable
    ranges: Sequence[KeyRange | None]
    digest: Digest | None = None
    """The digest of the file's rows; None: the file is read again to make it."""


async def compare_table(
    pool: Processes,
    session: Session,
    snapshot: str,
    schema: str,
    expected: Expected,
    max_examples: int,
    on_progress: OnProgress,
) -> VerifiedTable:
    """Compare a table in `schema` with the file, value by value."""
    table = expected.table
    wanted = expected.digest
    if wanted is None:
        wanted = await _of_source(pool, snapshot, expected)
    found, rows = await _of_target(pool, session, schema, table, on_progress)
    if wanted == found:
        return VerifiedTable(table, rows)
    task = FindDifferences(snapshot, schema, table, wanted.to_json(), found.to_json(), max_examples)
    differences = await pool.run_task(task, Differences)
    return VerifiedTable(table, rows, differences.rows, differences.examples)


async def compare_among_others(
    pool: Processes,
    snapshot: str,
    schema: str,
    table: PlannedTable,
    max_examples: int,
    on_progress: OnProgress,
) -> VerifiedTable:
    """Look for the file's rows in a table in `schema` that also has rows of others."""
    task = FindMissing(snapshot, schema, table, max_examples)
    missing = await pool.run_task(task, Missing, on_progress)
    return VerifiedTable(table, missing.compared_rows, missing.rows, missing.examples)


async def _of_source(pool: Processes, snapshot: str, expected: Expected) -> Digest:
    tasks = [DigestSource(snapshot, expected.table, each) for each in expected.ranges]
    return _merged(await gather_or_cancel(pool.run_task(task, Digested) for task in tasks))


async def _of_target(
    pool: Processes,
    session: Session,
    schema: str,
    table: PlannedTable,
    on_progress: OnProgress,
) -> tuple[Digest, int]:
    pages = await schemas.fetch_page_count(session, schema, table)
    firsts = range(0, max(pages, 1), _PART_PAGES)
    # The last one goes on to the end, wherever that is by then.
    tasks = [
        DigestTarget(schema, table, first, _PART_PAGES if first != firsts[-1] else 0)
        for first in firsts
    ]
    found = await gather_or_cancel(pool.run_task(task, Digested, on_progress) for task in tasks)
    return _merged(found), sum(each.rows for each in found)


def _merged(parts: Sequence[Digested]) -> Digest:
    digest = Digest()
    for part in parts:
        digest.merge(Digest.from_json(part.digest))
    return digest
