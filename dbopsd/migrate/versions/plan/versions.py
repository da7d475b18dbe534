"""Versions as people give them, and those of migrations whose files are gone."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from dbopsd.migrate.versions.model.migration_file import MigrationFile

_NUMBERS: Final = re.compile(r"[0-9]+")


def find_version(files: Iterable[MigrationFile], version: str) -> MigrationFile | None:
    """The versioned migration that is meant: exactly so, or by the same number (`3` is `003`)."""
    versioned = [file for file in files if not file.repeatable]
    exact = [file for file in versioned if file.version == version]
    if exact:
        return exact[0]
    if not re.fullmatch(r"[0-9]+([._][0-9]+)*", version):
        return None
    numbers = _numbers(version)
    alike = [
        file
        for file in versioned
        if re.fullmatch(r"[0-9]+([._][0-9]+)*", file.version) and _numbers(file.version) == numbers
    ]
    return alike[0] if len(alike) == 1 else None


def place_of(version: str, files: Sequence[MigrationFile]) -> int:
    """Where a version without a file belongs among the files: before that of this index.

    By the numbers in it, and by text where the set goes by text.
    """
    by_text = any(isinstance(part, str) for file in files[:1] for part in file.order)
    for index, file in enumerate(files):
        if file.repeatable:
            return index
        later = file.version > version if by_text else _numbers(file.version) > _numbers(version)
        if later:
            return index
    return len(files)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(each) for each in _NUMBERS.findall(version))
