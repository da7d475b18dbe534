"""Random expressions of SQLite's over given columns: most of them odd, all of them well formed."""

import random
from collections.abc import Sequence
from typing import Final

_LITERALS: Final = (
    *("0", "1", "2", "5", "-7", "1.5", "0.1", "10", "4326", "1e10", "NULL", "TRUE", "x'01'"),
    *("'abc'", "'ABC'", "''", "'5'", "'12'", "'x'", "'0.1'", "'WKT'", "'a%'", "'%b_'"),
    *("'2024-01-31'", "'2024-02-29'", "'2024-01-31 10:20:30'", "'10:20:30'"),
)
_COMPARISONS: Final = ("=", "<>", "<", "<=", ">", ">=", "IS", "IS NOT", "==", "!=")
_CALCULATIONS: Final = ("+", "-", "*", "/", "%", "||", "&", "|")
_FUNCTIONS: Final = (
    *("length", "lower", "upper", "abs", "trim", "round", "typeof", "hex", "unicode"),
    *("date", "datetime", "time", "julianday"),
)
_PATTERNS: Final = ("'a%'", "'%B%'", "'*b*'", "'[0-9]*'", "'_'")
_FORMATS: Final = ("'%Y'", "'%m-%d'", "'%s'", "'%H:%M'", "'%w'", "'%j'")
_TYPES: Final = ("TEXT", "INTEGER", "REAL", "NUMERIC", "BLOB")


class RandomExpressions:
    """Makes them of `columns`."""

    def __init__(self, numbers: random.Random, columns: Sequence[str]) -> None:
        self._pick = numbers.choice
        self._numbers = numbers
        self._columns = columns

    def condition(self) -> str:
        """One that is a comparison more often than not."""
        made = self.expression(self._pick((1, 1, 2, 2, 3)))
        return self._pick(
            (
                made,
                f"({made}) IS NULL",
                f"({made}) = ({self.expression(1)})",
                f"({made}) > ({self._literal()})",
                f"({made}) IN ({self._literal()}, {self._literal()})",
                f"({made}) = {self._literal()}",
            )
        )

    def expression(self, depth: int) -> str:
        """One of `depth` operators and functions in each other at most."""
        if depth <= 0:
            return self._pick(self._columns) if self._numbers.random() < 0.65 else self._literal()
        one, two, three = (self.expression(depth - 1) for _ in range(3))
        return self._pick(
            (
                *[f"{one} {self._pick(_COMPARISONS)} {two}"] * 6,
                *[f"({one}) {self._pick(_CALCULATIONS)} ({two})"] * 3,
                f"{one} {self._pick(('AND', 'OR'))} {two}",
                f"NOT {one}",
                f"({one}) IN ({two}, {self._literal()}, {self._literal()})",
                f"({one}) BETWEEN {self._literal()} AND {self._literal()}",
                f"{self._pick(_FUNCTIONS)}({one})",
                f"coalesce({one}, {two})",
                f"CASE WHEN {one} THEN {two} ELSE {three} END",
                f"({one}) {self._pick(('LIKE', 'NOT LIKE', 'GLOB'))} {self._pick(_PATTERNS)}",
                f"substr({one}, {self._pick(('1', '2', '-1', '0, 1', '-3, 2'))})",
                f"CAST({one} AS {self._pick(_TYPES)})",
                f"nullif({one}, {two})",
                f"{self._pick(('max', 'min'))}({one}, {two})",
                f"({one}) IS {self._pick(('NULL', 'NOT NULL', 'TRUE', 'NOT FALSE'))}",
                f"instr({one}, {two})",
                f"({one}) COLLATE {self._pick(('NOCASE', 'BINARY', 'RTRIM'))}",
                f"strftime({self._pick(_FORMATS)}, {one})",
                f"replace({one}, {two}, {self._literal()})",
            )
        )

    def _literal(self) -> str:
        return self._pick(_LITERALS)
