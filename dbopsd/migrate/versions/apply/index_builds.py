"""Finds the CREATE INDEX statements of a text without parsing all of it."""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Final

from dbopsd.migrate.versions.apply.large_texts import find_end
from dbopsd.migrate.versions.apply.statement_kinds import IndexBuild, read_kind
from dbopsd.migrate.versions.sql.lexer import scan, words

_INDEX: Final = re.compile(r"\bINDEX\b", re.IGNORECASE)
_EXISTS: Final = re.compile(r"\bEXISTS\b", re.IGNORECASE)
_LONGEST_WORD: Final = 6
# CREATE UNIQUE INDEX CONCURRENTLY IF
_HEAD: Final = 5


def may_have_skipping_builds(text: str) -> bool:
    """Whether it is worth a look for those with IF NOT EXISTS: cheap, as every file is asked."""
    index_end = find_end(_INDEX, text, longest=_LONGEST_WORD)
    return (
        index_end is not None
        and find_end(_EXISTS, text, index_end, longest=_LONGEST_WORD) is not None
    )


def skipping_builds(text: str) -> tuple[IndexBuild, ...]:
    """Those with IF NOT EXISTS, which take an invalid index for the one that they name.

    It takes linear time, which may be seconds for a file of many megabytes.
    """
    return tuple(build for build in _builds(text, "IF") if build.if_not_exists)


def may_have_builds(text: str) -> bool:
    """Whether it is worth a look for any: cheap, as every file is asked."""
    return find_end(_INDEX, text, longest=_LONGEST_WORD) is not None


def all_builds(text: str) -> tuple[IndexBuild, ...]:
    """All of them, in linear time."""
    return tuple(_builds(text, ""))


def _builds(text: str, word: str) -> Iterator[IndexBuild]:
    """Those that have `word` in their head, where that is not empty."""
    for start, end in scan(text).spans:
        head = tuple(islice(words(text, start, end), _HEAD))
        if head[:1] != ("CREATE",) or "INDEX" not in head[1:3] or (word and word not in head[2:]):
            continue
        kind = read_kind(text[start:end])
        if isinstance(kind, IndexBuild):
            yield kind
