"""What statements do to a transaction, and what does not run in one, by their words."""

import re
from typing import Final

from dbopsd.migrate.versions.sql.lexer import blanked, words

WANTS_NO_TRANSACTION: Final = frozenset({"25001", "2D000"})
"""SQLSTATEs of what wants to run alone: active_sql_transaction, and, of what commits by itself,
invalid_transaction_termination. In a message of several statements, both undo all of it."""

_CONTROL: Final = re.compile(
    r"(?:BEGIN|START|COMMIT|END|ROLLBACK|ABORT|SAVEPOINT|RELEASE|PREPARE)\b", re.IGNORECASE
)
_OPENS: Final = frozenset(
    {("BEGIN",), ("BEGIN", "WORK"), ("BEGIN", "TRANSACTION"), ("START", "TRANSACTION")}
)
_CLOSES: Final = frozenset(
    (word, *more) for word in ("COMMIT", "END") for more in ((), ("WORK",), ("TRANSACTION",))
)
_COPY: Final = re.compile(r"COPY\b", re.IGNORECASE)
# Nothing in the expressions goes back over what it has passed, so that the time is linear.
_COPY_FROM_STDIN: Final = re.compile(
    r"COPY\b(?:(?!\bFROM\s++STDIN\b)[^()])*+(?:\([^()]*+\)\s*+)?FROM\s++STDIN\b", re.IGNORECASE
)
# PreventInTransactionBlock of PostgreSQL 15 to 18. What depends on the catalog is not
# among them, such as REINDEX of a partitioned table.
_REFUSES: Final = re.compile(
    r"""
      (?:CREATE|DROP)\s+(?:DATABASE|TABLESPACE|SUBSCRIPTION)\b
    | CREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\b
    | DROP\s+INDEX\s+CONCURRENTLY\b
    | REINDEX\b[^;]*?\bCONCURRENTLY\b
    | REINDEX\s*(?:\([^()]*\)\s*)?(?:SCHEMA|DATABASE|SYSTEM)\b
    | VACUUM\b
    | CLUSTER\s*+(?:(?:\([^()]*+\)|VERBOSE\b)\s*+)?$
    | ALTER\s+SYSTEM\b
    | ALTER\s+DATABASE\b.*\bSET\s+TABLESPACE\b
    | ALTER\s+TABLE\b(?>.*?\bDETACH\s++PARTITION\b).*\bCONCURRENTLY\s*+$
    | DISCARD\s+ALL\b
    | (?:COMMIT|ROLLBACK)\s+PREPARED\b
    """,
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
_MAY_REFUSE: Final = re.compile(
    r"(?:CREATE|DROP|REINDEX|VACUUM|CLUSTER|ALTER|DISCARD|COMMIT|ROLLBACK)\b", re.IGNORECASE
)
_MAY_MATTER: Final = re.compile(
    r"(?:BEGIN|START|COMMIT|END|ROLLBACK|ABORT|SAVEPOINT|RELEASE|PREPARE|COPY)\b", re.IGNORECASE
)
_LONGEST: Final = 10_000


def may_matter(text: str, start: int) -> bool:
    """Whether the statement may be one that the functions below, but the last, look for."""
    return bool(_MAY_MATTER.match(text, start))


def opens_transaction(text: str, start: int, end: int) -> bool:
    """Whether the statement is a BEGIN without a mode."""
    return _head(text, start, end) in _OPENS


def closes_transaction(text: str, start: int, end: int) -> bool:
    """Whether the statement is a COMMIT, and begins no transaction besides."""
    return _head(text, start, end) in _CLOSES


def transaction_control(text: str, start: int, end: int) -> str:
    """The word by which a statement begins or ends a transaction, or a part of one; empty: none."""
    if not _CONTROL.match(text, start, end):
        return ""
    head = _head(text, start, end)
    if head[0] in ("START", "PREPARE"):
        return " ".join(head[:2]) if head[1:2] == ("TRANSACTION",) else ""
    return head[0]


def copies_from_client(text: str, start: int, end: int) -> bool:
    """Whether the statement is a COPY … FROM STDIN, whose data would have to follow."""
    if not _COPY.match(text, start, end):
        return False
    return bool(_COPY_FROM_STDIN.match(blanked(text, start, min(end, start + _LONGEST))))


def refuses_transaction(text: str, start: int, end: int) -> bool:
    """Whether PostgreSQL refuses the statement in a transaction, by its text alone."""
    if not _MAY_REFUSE.match(text, start, end):
        return False
    return bool(_REFUSES.match(blanked(text, start, min(end, start + _LONGEST))))


def _head(text: str, start: int, end: int) -> tuple[str, ...]:
    """The first words, of which four settle everything."""
    return tuple(word for word, _ in zip(words(text, start, end), range(4), strict=False))
