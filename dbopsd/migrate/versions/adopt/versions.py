"""Versions of files as other tools read them."""

import re
from collections.abc import Callable, Hashable
from typing import Final, TypeVar

from dbopsd.migrate.versions.model.migration_file import Folder, MigrationFile

Key = TypeVar("Key", bound=Hashable)

# Those of a file's name at most: Python refuses to read numbers of thousands of digits.
_DIGITS: Final = re.compile(r"[0-9]{1,255}")
_SEPARATOR: Final = re.compile(r"[._]")


def number(version: str) -> int | None:
    """A version that is a whole number, leading zeros or not; None: it is none."""
    return int(version) if _DIGITS.fullmatch(version) else None


def dotted(version: str) -> tuple[int, ...] | None:
    """Flyway's: numbers between dots or underscores. `1`, `1.0` and `01_0` are the same."""
    parts = _SEPARATOR.split(version)
    if not all(map(_DIGITS.fullmatch, parts)):
        return None
    numbers = [int(part) for part in parts]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def by_version(folder: Folder, key: Callable[[str], Key | None]) -> dict[Key, MigrationFile]:
    """The versioned files by the key of their version, in the order in which they apply."""
    keyed = ((key(file.version), file) for file in folder.migrations if not file.repeatable)
    return {version: file for version, file in keyed if version is not None}
