"""Parts of tables: together every row, and each of them once."""

import sqlite3
from bisect import bisect_left, bisect_right
from contextlib import closing

from hypothesis import given, settings
from hypothesis import strategies as st

from dbopsd.migrate.importer.model.plan import PlannedTable
from dbopsd.migrate.importer.snapshot.key_ranges import KeyRange, split_table

_MOST = 2**63 - 1


def parts_of(
    rowids: list[int], processes: int, *, rows: int | None = None
) -> list[KeyRange | None]:
    """The parts of a table with those rowids; `rows` of them, where the file has others."""
    table = PlannedTable(
        *('T "x"', "t", ()),
        rows=len(rowids) if rows is None else rows,
        rowid="rowid",
        min_rowid=min(rowids, default=None),
        max_rowid=max(rowids, default=None),
    )
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute('CREATE TABLE "T ""x""" (id INTEGER PRIMARY KEY)')
        connection.executemany('INSERT INTO "T ""x""" VALUES (?)', ((each,) for each in rowids))
        return split_table(connection, table, processes)


def assert_each_once(rowids: list[int], parts: list[KeyRange | None]) -> None:
    if parts == [None]:
        return
    ordered = sorted(rowids)
    taken = 0
    before = None
    for part in parts:
        assert part is not None
        low, high = part
        assert low <= high
        assert before is None or low > before
        before = high
        taken += bisect_right(ordered, high) - bisect_left(ordered, low)
    assert taken == len(ordered)


@settings(max_examples=25, deadline=None)
@given(
    first=st.integers(-(2**63), _MOST - 400_000),
    step=st.sampled_from([1, 1, 2, 7, 10**6]),
    count=st.integers(100_001, 200_000),
    far=st.none() | st.integers(-(2**63), _MOST),
    processes=st.integers(1, 8),
)
def test_every_rowid_is_in_one_part(
    first: int, step: int, count: int, far: int | None, processes: int
) -> None:
    rowids = [first + each * step for each in range(count) if first + each * step <= _MOST]
    if far is not None and (far < rowids[0] or far > rowids[-1]):
        rowids.append(far)
    parts = parts_of(rowids, processes)
    assert_each_once(rowids, parts)
    if len(rowids) > 100_000:
        assert len(parts) > 1


def test_ends_of_the_rowids() -> None:
    for rowids in ([-(2**63), _MOST], [*range(-(2**63), -(2**63) + 120_000), _MOST]):
        assert_each_once(rowids, parts_of(rowids, 2, rows=120_000))


def test_a_small_table_is_one_part() -> None:
    assert parts_of([], 2) == [None]
    assert parts_of([1, 2, 3], 2) == [None]
    assert parts_of(list(range(50_000)), 2) == [None]


def test_a_table_without_rowids_is_one_part() -> None:
    table = PlannedTable("t", "t", (), rows=10**9, min_rowid=1, max_rowid=10**9)
    with closing(sqlite3.connect(":memory:")) as connection:
        assert split_table(connection, table, 4) == [None]
