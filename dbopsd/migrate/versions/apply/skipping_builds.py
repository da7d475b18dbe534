"""The CREATE INDEX IF NOT EXISTS of a text, which takes an invalid index for the one it names."""

import re
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
    """Whether it is worth a closer look: cheap, as it is asked of every file."""
    index_end = find_end(_INDEX, text, longest=_LONGEST_WORD)
    return (
        index_end is not None
        and find_end(_EXISTS, text, index_end, longest=_LONGEST_WORD) is not None
    )


def skipping_builds(text: str) -> tuple[IndexBuild, ...]:
    """All of them. It takes linear time, which may be seconds for a file of many megabytes."""
    kinds = (read_kind(text[start:end]) for start, end in scan(text).spans if _is(text, start, end))
    builds = (kind for kind in kinds if isinstance(kind, IndexBuild))
    return tuple(build for build in builds if build.if_not_exists)


def _is(text: str, start: int, end: int) -> bool:
    head = tuple(islice(words(text, start, end), _HEAD))
    return head[:1] == ("CREATE",) and "INDEX" in head[1:3] and "IF" in head[2:]
