"""Limits of a translation, so that a short text of a file's does not become SQL without end.

They hold while SQL is made, not once it is there. Whatever goes beyond them is `NotTranslatable`.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from dbopsd.migrate.importer.translate.types import MAX_SQL, NotTranslatable

MAX_SOURCE: Final = 32 * 1024
"""How long a text may be that is translated, in characters."""
MAX_DEPTH: Final = 120
"""How many operators, calls, parentheses and queries may stand in each other."""
MAX_TOTAL: Final = 16 * 1024 * 1024
"""How much SQL all translations of one file may give, in characters."""
# What one translation may make on its way: the SQL of each node, which is in that of its parents.
_MAX_WORK: Final = 8 * 1024 * 1024
# A translation may be that much longer than its source: no kind of expression needs more.
_LEAST_RESULT: Final = 8 * 1024
_RESULT_RATIO: Final = 64
_TOO_LONG: Final = "it becomes too long in PostgreSQL"


class FileBudget:
    """What the translations of one file may still give together."""

    def __init__(self, characters: int = MAX_TOTAL) -> None:
        self._left = characters

    def take(self, sql: str) -> None:
        """Count the outcome of a translation. Raises `NotTranslatable`."""
        if len(sql) > self._left:
            raise NotTranslatable("the file's SQL", "all of it becomes too long in PostgreSQL")
        self._left -= len(sql)


class Budget:
    """The remaining budget of a translation."""

    def __init__(self, source: str, file: FileBudget | None = None) -> None:
        """Raises `NotTranslatable` if the source itself is too long."""
        if len(source) > MAX_SOURCE:
            raise NotTranslatable(source, f"it is longer than {MAX_SOURCE:,} characters")
        self._source = source
        self._file = file
        self._left = _MAX_WORK
        self._most = min(MAX_SQL, _LEAST_RESULT + _RESULT_RATIO * len(source))

    def spend(self, sql: str) -> None:
        """Count a part that was made. Raises `NotTranslatable`."""
        self._left -= len(sql)
        if self._left < 0:
            raise NotTranslatable(self._source, _TOO_LONG)

    def finish(self, sql: str) -> str:
        """The outcome, if it is not too long for its source. Raises `NotTranslatable`."""
        if len(sql) > self._most:
            raise NotTranslatable(self._source, _TOO_LONG)
        if self._file is not None:
            self._file.take(sql)
        return sql


def join(separator: str, parts: Iterable[str]) -> str:
    """As `separator.join(parts)`, taking no more of them than may be. Raises `NotTranslatable`."""
    taken: list[str] = []
    size = 0
    for part in parts:
        taken.append(part)
        size += len(part) + len(separator)
        if size > MAX_SQL + len(separator):
            raise NotTranslatable(taken[0], _TOO_LONG)
    return separator.join(taken)


@contextmanager
def translation(source: str, file: FileBudget | None) -> Iterator[Budget]:
    """One translation, in which nothing may nest too deeply. Raises `NotTranslatable`."""
    try:
        yield Budget(source, file)
    except RecursionError as error:
        raise NotTranslatable(source, "it nests too deeply") from error
