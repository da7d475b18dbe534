"""Profiles the columns of a table at about the speed of a scan.

Tables can be shared out by ranges of rowids, and the parts put together with `merge`.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from functools import reduce
from typing import Any, Final, TypeVar

from dbopsd.migrate.importer.model.source_profile import ColumnProfile, TableProfile, TextShapes
from dbopsd.migrate.importer.model.source_schema import SourceColumn, SourceTable
from dbopsd.migrate.importer.profile.column_scan import ColumnScan
from dbopsd.migrate.importer.profile.row_queries import Question, Rows
from dbopsd.migrate.importer.profile.text_shapes import add_shapes

# An SQL statement has room for the questions about so many.
_COLUMNS_AT_ONCE: Final = 100
# A process takes longer to begin with fewer than to look at them.
_FEWEST_ROWS_OF_A_RANGE: Final = 100_000
_ROWS: Final = Question("count(*)")

T = TypeVar("T", int, float)


def profile_table(
    connection: sqlite3.Connection,
    table: SourceTable,
    *,
    deep: bool = False,
    rowid_range: tuple[int, int] | None = None,
) -> TableProfile:
    """What is in the columns of `table`, in all rows or those with a rowid in `rowid_range`.

    Counts, least and greatest numbers and lengths are exact. Which of them are looked for depends
    on the declared types: what the types in PostgreSQL do not depend on is left out, unless
    `deep`, which looks at each text value. The file must not change meanwhile. A virtual column
    whose expression SQLite cannot work out for every row is left out of the result. Ranges include
    both ends, and only tables with a rowid have them. Raises `sqlite3.DatabaseError`.
    """
    rows = Rows(connection, table, rowid_range)
    (count,) = rows.ask([_ROWS])
    bounds = rows.bounds() or (None, None)
    columns: dict[str, ColumnProfile] = {}
    if table.rowid_alias is not None:
        columns[table.rowid_alias] = ColumnProfile(
            rows=count,
            integers=count,
            min_integer=bounds[0],
            max_integer=bounds[1],
            shapes=TextShapes() if deep else None,
        )
    computed = [column for column in table.columns if _is_virtual(column)]
    stored = [
        column for column in table.columns if column.name not in columns and not _is_virtual(column)
    ]
    for start in range(0, len(stored), _COLUMNS_AT_ONCE):
        columns |= _profile(rows, count, stored[start : start + _COLUMNS_AT_ONCE], deep=deep)
    for column in computed:
        try:
            columns |= _profile(rows, count, [column], deep=deep)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_ERROR:
                raise
    in_order = {each.name: columns[each.name] for each in table.columns if each.name in columns}
    return TableProfile(count, in_order, *bounds)


def rowid_ranges(
    connection: sqlite3.Connection, table: SourceTable, most: int
) -> list[tuple[int, int] | None]:
    """Ranges of rowids with as many rows each, no more than `most`, that have all rows together.

    [None], which is all rows, for a table that is small or has no rowid to ask for.
    """
    rows = Rows(connection, table)
    bounds = rows.bounds()
    (count,) = rows.ask([_ROWS])
    parts = min(most, count // _FEWEST_ROWS_OF_A_RANGE)
    if bounds is None or parts < 2:
        return [None]
    first, last = bounds
    starts = [first]
    for _ in range(parts - 1):
        starts.append(rows.rowid_after(starts[-1], count // parts))
    ends = [start - 1 for start in starts[1:]]
    return list(zip(starts, [*ends, last], strict=True))


def merge_profiles(parts: Iterable[TableProfile]) -> TableProfile:
    """The profile of a table from those of its parts, which were all made in the same way."""
    return reduce(_merge, parts)


def _profile(
    rows: Rows, count: int, columns: Sequence[SourceColumn], *, deep: bool
) -> dict[str, ColumnProfile]:
    """One scan for all columns, one more for those that are not as a sample had it."""
    scans = {column.name: ColumnScan(column, deep=deep, utf8=rows.utf8) for column in columns}
    sample = rows.sample([term for scan in scans.values() for term in scan.sampled])
    expected = {
        name: scan.expect([(row[2 * number], row[2 * number + 1]) for row in sample])
        for number, (name, scan) in enumerate(scans.items())
    }
    found: dict[str, ColumnProfile] = {}
    while len(found) < len(scans):
        questions = {
            (name, key): question
            for name, scan in scans.items()
            if name not in found
            for key, question in scan.questions(expected[name]).items()
        }
        answers: dict[str, dict[str, Any]] = {}
        for (name, key), answer in zip(questions, rows.ask([*questions.values()]), strict=True):
            answers.setdefault(name, {})[key] = answer
        for name, answered in answers.items():
            profile = scans[name].answer(count, expected[name], answered)
            if profile is None:
                expected[name] = expected[name].anything()
            else:
                found[name] = scans[name].look_closer(rows, expected[name], profile)
    return found


def _is_virtual(column: SourceColumn) -> bool:
    return column.generated is not None and not column.stored


def _merge(one: TableProfile, other: TableProfile) -> TableProfile:
    columns = {
        name: _merge_columns(column, other.columns[name])
        for name, column in one.columns.items()
        # Left out of a part is left out of the whole.
        if name in other.columns
    }
    return TableProfile(
        one.rows + other.rows,
        columns,
        _either(min, one.min_rowid, other.min_rowid),
        _either(max, one.max_rowid, other.max_rowid),
    )


def _merge_columns(one: ColumnProfile, other: ColumnProfile) -> ColumnProfile:
    merged: dict[str, Any] = {}
    for each in fields(ColumnProfile):
        left, right = getattr(one, each.name), getattr(other, each.name)
        if each.name.startswith("min_"):
            merged[each.name] = _either(min, left, right)
        elif each.name.startswith("max_"):
            merged[each.name] = _either(max, left, right)
        elif each.name == "shapes":
            merged[each.name] = add_shapes(left, right) if left and right else left or right
        elif each.name == "off_midnight":
            merged[each.name] = {
                unit: left.get(unit, 0) + right.get(unit, 0) for unit in {**left, **right}
            }
        else:
            merged[each.name] = left + right
    return ColumnProfile(**merged)


def _either(choose: Callable[[T, T], T], one: T | None, other: T | None) -> T | None:
    if one is None or other is None:
        return other if one is None else one
    return choose(one, other)
