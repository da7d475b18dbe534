"""Queries about the rows of a table, or a range of them."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, Final

from dbopsd.migrate.importer.model.source_schema import SourceTable, quote_sqlite

# A result has 2000 columns at most, and a sample two of them for each of the table's.
_MOST_TERMS: Final = 1000
_SPOTS: Final = 32
_ROWS_OF_A_SPOT: Final = 32
_FETCHED: Final = 4096


@dataclass(frozen=True)
class Question:
    """An SQL expression, with the values of its parameters."""

    sql: str
    parameters: tuple[Any, ...] = ()


class Rows:
    """The rows of `table` in `connection`, or those with a rowid in `rowid_range`, both included.

    A table without a rowid, or none that could be asked for, has no ranges.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        table: SourceTable,
        rowid_range: tuple[int, int] | None = None,
    ) -> None:
        self._connection = connection
        self.rowid = rowid_of(table)
        if rowid_range is not None and not self.rowid:
            raise ValueError(f"table '{table.name}' has no rowid and no ranges of it")
        self._range = rowid_range
        # An index would give the same rows in another order, with a jump to each.
        self._from = f"FROM {quote_sqlite(table.name)} NOT INDEXED"
        (encoding,) = connection.execute("PRAGMA encoding").fetchone()
        self.utf8 = encoding == "UTF-8"

    def ask(self, questions: Sequence[Question]) -> list[Any]:
        """The answers to questions about all rows together, in as few scans as there can be."""
        answers: list[Any] = []
        for start in range(0, len(questions), _MOST_TERMS):
            some = questions[start : start + _MOST_TERMS]
            terms = ", ".join(question.sql for question in some)
            given = [value for question in some for value in question.parameters]
            where, bounds = self._where("")
            found = self._connection.execute(
                f"SELECT {terms} {self._from} {where}", (*given, *bounds)
            )
            answers.extend(found.fetchone())
        return answers

    def values(self, expression: str, condition: Question) -> Iterator[Any]:
        """The values of `expression` in the rows that have `condition`; text is its bytes."""
        where, bounds = self._where(condition.sql)
        with closing(self._connection.cursor()) as cursor:
            with self._text_as_bytes():
                cursor.execute(
                    f"SELECT {expression} {self._from} {where}", (*condition.parameters, *bounds)
                )
            while True:
                with self._text_as_bytes():
                    rows = cursor.fetchmany(_FETCHED)
                if not rows:
                    return
                for (value,) in rows:
                    yield value

    def bounds(self) -> tuple[int, int] | None:
        """The first and the last rowid; None: there is none."""
        if not self.rowid:
            return None
        where, bounds = self._where("")
        # One SELECT of both would read all rows.
        least, most = (
            self._connection.execute(
                f"SELECT {self.rowid} {self._from} {where} ORDER BY {self.rowid} {order} LIMIT 1",
                bounds,
            ).fetchone()
            for order in ("ASC", "DESC")
        )
        return None if least is None else (least[0], most[0])

    def rowid_after(self, rowid: int, count: int) -> int:
        """The rowid `count` rows after that one."""
        found = self._connection.execute(
            f"SELECT {self.rowid} {self._from} WHERE {self.rowid} >= ?"
            f" ORDER BY {self.rowid} LIMIT 1 OFFSET ?",
            (rowid, count),
        ).fetchone()
        return int(found[0])

    def sample(self, expressions: Sequence[str]) -> list[tuple[Any, ...]]:
        """The values of expressions in some rows, from all over the table if it has a rowid.

        Text is its bytes.
        """
        select = f"SELECT {', '.join(expressions)} {self._from}"
        bounds = self.bounds()
        with self._text_as_bytes():
            if bounds is None:
                limit = _SPOTS * _ROWS_OF_A_SPOT
                return self._connection.execute(f"{select} LIMIT {limit}").fetchall()
            first, last = bounds
            step = max(_ROWS_OF_A_SPOT, (last - first) // _SPOTS + 1)
            rows: list[tuple[Any, ...]] = []
            for start in range(first, last + 1, step):
                rows += self._connection.execute(
                    f"{select} WHERE {self.rowid} BETWEEN ? AND ? LIMIT {_ROWS_OF_A_SPOT}",
                    (start, min(last, start + step - 1)),
                )
            return rows

    def _where(self, condition: str) -> tuple[str, tuple[int, ...]]:
        parts = [condition] if condition else []
        if self._range is not None:
            parts.append(f"{self.rowid} BETWEEN ? AND ?")
        return ("WHERE " + " AND ".join(parts) if parts else ""), self._range or ()

    @contextmanager
    def _text_as_bytes(self) -> Iterator[None]:
        # Text need not be UTF-8. What the connection's owner wants of it is as it was afterwards.
        factory = self._connection.text_factory
        self._connection.text_factory = bytes
        try:
            yield
        finally:
            self._connection.text_factory = factory


def rowid_of(table: SourceTable) -> str:
    """What the rowid can be called in SQL; empty: there is none, or its names are all taken."""
    if table.without_rowid:
        return ""
    if table.rowid_alias is not None:
        return quote_sqlite(table.rowid_alias)
    taken = {column.name.lower() for column in table.columns}
    return next((name for name in ("rowid", "_rowid_", "oid") if name not in taken), "")
