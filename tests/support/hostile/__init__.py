"""Small SQLite files that break importers, by themes; each is valid, none is contrived.

An import of any of them has two good outcomes: every value and object arrives, or the report names
each one that did not and why.
"""

from typing import Final

from tests.support.hostile import (
    expressions,
    files,
    keys,
    names,
    numbers,
    references,
    schema_objects,
    texts,
    times,
    twenty,
)
from tests.support.hostile.case import Case

_THEMES: Final = (
    *(twenty, numbers, texts, times, names, keys, references, expressions, schema_objects, files),
)
CASES: Final[dict[str, Case]] = {case.name: case for theme in _THEMES for case in theme.CASES}
assert len(CASES) == sum(len(theme.CASES) for theme in _THEMES), "two cases have one name"
