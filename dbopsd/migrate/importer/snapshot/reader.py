"""Reads a table of the snapshot as Arrow arrays.

A copy process starts with this module: it imports neither PostgreSQL's driver nor anything large.
"""

import sqlite3
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final

import adbc_driver_manager as adbc
import pyarrow as pa

from dbopsd.migrate.importer.conversion.values import ARROW_TYPES, Batch, Values
from dbopsd.migrate.importer.model.errors import SourceError
from dbopsd.migrate.importer.model.plan import PlannedColumn, PlannedTable
from dbopsd.migrate.importer.model.source_schema import quote_sqlite
from dbopsd.migrate.importer.snapshot.open_sqlite import (
    check_mapping_sql,
    mapping_sql,
    open_immutable,
    read_arrow,
)

_BATCH_ROWS: Final = 2**14
_BATCH_BYTES: Final = 32 * 2**20
# A batch costs about a millisecond whatever its size: with fewer rows in it, each row is taken by
# itself.
_FEWEST_ROWS: Final = 256
_TYPED: Final = {"integer": "0", "real": "0.0", "text": "''", "blob": "x''"}
_VARIABLE: Final = frozenset({"text", "blob"})


@dataclass(eq=False)
class TableUnreadable(SourceError):
    """SQLite cannot read a table to its end."""

    reason: ClassVar[str] = "TABLE_UNREADABLE"

    table: str
    problem: str
    """SQLite's error message."""

    @property
    def message(self) -> str:
        return (
            f"cannot read table '{self.table}' of {self.source}: {self.problem}; if the mapping "
            "has a condition or an expression for it, check them, else check the file with "
            "`PRAGMA integrity_check`"
        )


def read_table(
    path: Path,
    table: PlannedTable,
    key_range: tuple[int, int] | None = None,
    *,
    columns: Sequence[PlannedColumn] | None = None,
    batch_rows: int = _BATCH_ROWS,
    batch_bytes: int = _BATCH_BYTES,
) -> Generator[Batch, None, None]:
    """Batches of the rows that match `table.where`, in the order in which they are stored.

    `path` is a file that never changes while this runs. `key_range` are the first and the last
    rowid; None: all rows. `columns` are those of the table that are copied by default. A batch has
    at most `batch_rows` rows, and its values have at most about `batch_bytes` bytes, but for a
    single value that is larger. Close the iterator if it is not read to its end. Raises
    `TableUnreadable`.
    """
    selection = _Selection(table, table.copied if columns is None else columns)
    sql = selection.sql(key_range)
    rows = _fitting_rows(path, table, selection.variable, batch_rows, batch_bytes)
    if table.own_collation or rows < min(batch_rows, _FEWEST_ROWS):
        arrays = _read_rows(path, sql, selection.classes, batch_rows, batch_bytes)
    else:
        arrays = _read_arrow(path, sql, selection, rows)
    try:
        with closing(arrays):
            for batch in map(selection.batch, arrays):
                yield batch
                del batch
    except (adbc.Error, sqlite3.Error, pa.ArrowException, OSError) as exc:
        raise TableUnreadable(str(path), table.source, " ".join(str(exc).split())) from exc


def _fitting_rows(
    path: Path, table: PlannedTable, variable: int, batch_rows: int, batch_bytes: int
) -> int:
    """The number of rows that fit into a batch with values of the largest length."""
    size = path.stat().st_size
    if size * variable <= batch_bytes:
        return batch_rows
    longest = table.max_value_bytes or size
    return min(batch_rows, batch_bytes // (longest * variable))


@dataclass
class _Selection:
    """What is selected, and where in the result each column's values are."""

    table: PlannedTable
    columns: Sequence[PlannedColumn]
    classes: list[str] = field(default_factory=list)
    """The storage class of each column of the result."""
    _terms: list[str] = field(default_factory=list)
    _places: dict[tuple[str, str], dict[str, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for column in self.columns:
            self._add(column.source, column.expression, column.storage_class)
        for name in self.table.key:
            # One that is not carried as it is may hold anything.
            self._add(name, "", "")
        if self._with_rowids:
            self._add(self.table.rowid, "", "integer")

    def _add(self, name: str, expression: str, storage_class: str) -> None:
        if (name, expression) in self._places:
            return
        value = f"(\n{expression}\n)" if expression else self._named(name)
        places = self._places[name, expression] = {}
        for each in (storage_class,) if storage_class else ARROW_TYPES:
            places[each] = len(self._terms)
            self.classes.append(each)
            self._terms.append(
                value if storage_class else f"CASE WHEN typeof({value}) = '{each}' THEN {value} END"
            )

    def _named(self, column: str) -> str:
        # Without the table SQLite takes a quoted name that no column has for a text.
        return f"{quote_sqlite(self.table.source)}.{quote_sqlite(column)}"

    @property
    def _with_rowids(self) -> bool:
        sure = {column.source for column in self.columns if column.not_null}
        named = bool(self.table.key) and sure.issuperset(self.table.key)
        return bool(self.table.rowid) and not named

    @property
    def variable(self) -> int:
        """How many columns of the result have values of any length."""
        return sum(each in _VARIABLE for each in self.classes)

    @property
    def has_mapping_sql(self) -> bool:
        """Whether there is SQL in it that a mapping brought."""
        return bool(self.table.where) or any(column.expression for column in self.columns)

    def sql(self, key_range: tuple[int, int] | None) -> str:
        # An index may hold all that is asked for, in an order of its own.
        source = f"main.{quote_sqlite(self.table.source)} NOT INDEXED"
        query = f"SELECT {', '.join(self._terms)} FROM {source}"  # noqa: S608
        conditions = []
        if key_range is not None:
            low, high = key_range
            conditions.append(f"{self._named(self.table.rowid)} BETWEEN {low:d} AND {high:d}")
        if self.table.where:
            conditions.append(f"(\n{self.table.where}\n)")
        return f"{query} WHERE {' AND '.join(conditions)}" if conditions else query

    def batch(self, arrays: Sequence[pa.Array]) -> Batch:
        def values(name: str, expression: str = "") -> Values:
            places = self._places[name, expression]
            return Values({each: arrays[place] for each, place in places.items()})

        return Batch(
            rows=len(arrays[0]) if arrays else 0,
            columns=tuple(values(each.source, each.expression) for each in self.columns),
            key={name: values(name) for name in self.table.key},
            rowids=values(self.table.rowid) if self._with_rowids else None,
        )


def _read_arrow(
    path: Path, sql: str, selection: _Selection, batch_rows: int
) -> Generator[list[pa.Array], None, None]:
    # The driver takes the type of each column from what comes first: a row of known types, which
    # no row of the table can contradict, as each column of the result has one storage class.
    typed = f"SELECT {', '.join(_TYPED[each] for each in selection.classes)} UNION ALL {sql}"
    if selection.has_mapping_sql:
        check_mapping_sql(path, typed)
    with closing(read_arrow(path, typed, batch_rows)) as batches:
        skipped = 1
        for batch in batches:
            rows = batch.slice(skipped)
            skipped = 0
            if rows.num_rows:
                yield [
                    _as_planned(array, each)
                    for array, each in zip(rows.columns, selection.classes, strict=True)
                ]


def _as_planned(array: pa.Array, storage_class: str) -> pa.Array:
    # The driver makes texts of numbers, say, where it finds both at first.
    if array.type != (pa.string() if storage_class == "text" else ARROW_TYPES[storage_class]):
        raise pa.ArrowInvalid(f"a column of {storage_class} values holds others")
    # Shares the memory: a text has the layout of its bytes.
    return array.view(pa.binary()) if storage_class == "text" else array


def _read_rows(
    path: Path, sql: str, classes: Sequence[str], batch_rows: int, batch_bytes: int
) -> Generator[list[pa.Array], None, None]:
    variable = [index for index, each in enumerate(classes) if each in _VARIABLE]
    with closing(open_immutable(path)) as connection, mapping_sql(connection):
        connection.text_factory = bytes
        rows: list[tuple[Any, ...]] = []
        size = 0
        for row in connection.execute(sql):
            added = sum(len(row[index] or b"") for index in variable)
            if rows and (size + added > batch_bytes or len(rows) == batch_rows):
                arrays = _arrays(rows, classes)
                # The values are in the arrays now, and may be large.
                rows.clear()
                yield arrays
                del arrays
                size = 0
            rows.append(row)
            size += added
            del row
        if rows:
            arrays = _arrays(rows, classes)
            rows.clear()
            yield arrays


def _arrays(rows: Sequence[tuple[Any, ...]], classes: Sequence[str]) -> list[pa.Array]:
    return [
        pa.array(values, ARROW_TYPES[each])
        for each, values in zip(classes, zip(*rows, strict=True), strict=True)
    ]
