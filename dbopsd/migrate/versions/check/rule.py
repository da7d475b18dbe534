"""What a rule is. Each is in a file of its own in `rules/`, which names it `RULE`."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from dbopsd.migrate.versions.model.reports import Severity
from dbopsd.migrate.versions.sql.syntax_tree import Name, Script, Statement


class Weight(Enum):
    """What the severity of a finding depends on, besides its rule."""

    ALWAYS = "always"
    """Nothing."""
    DATA = "data"
    """Nobody has anything in a table that the same file creates: no finding."""
    LOCK = "lock"
    """Nobody uses a table that the same plan creates, or that is not there: no finding."""
    SIZE = "size"
    """As LOCK, and the lock is held the longer, the larger the table: an ERROR for a large one."""
    PARTITIONED = "partitioned"
    """Only a table that the database has, and that has partitions, is meant."""


@dataclass(frozen=True)
class Match:
    """A place at which a rule is broken."""

    message: str
    location: int | None = None
    """Of a node, in bytes of the statement; None: the whole statement."""
    tables: tuple[Name, ...] = ()
    """What it locks, or changes."""


@dataclass(frozen=True)
class Rule:
    """Something that a statement should not do."""

    name: str
    severity: Severity
    advice: str
    find: Callable[[Statement, Script], Iterator[Match]]
    """Its matches in a statement of a script."""
    kinds: frozenset[str]
    """The kinds of statement that it looks at."""
    weight: Weight = Weight.ALWAYS
    problem: str = ""
    """The reason of a problem that nobody can override, for what would fail or do harm for certain;
    empty: it is a finding."""
