"""A migration as its files have it, whatever their layout."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from dbopsd.migrate.versions.model.migration import MigrationProblem, Phase


@dataclass(frozen=True)
class Replaced:
    """Where the value of a variable stands in a script. Positions count characters from 0."""

    start: int
    end: int
    placeholder: str
    """What the file has there."""


@dataclass(frozen=True)
class Script:
    r"""The SQL of one direction.

    `text` is what runs: without a byte order mark, psql's `\restrict`, and a BEGIN and COMMIT
    around everything. Blanks stand in their place, so a position in it is one in the file, from
    its line `first_line` on; where values of variables stand in it, `sql.positions.place` knows.
    """

    path: str
    """Below the directory of its set."""
    text: str
    first_line: int = 1
    transactional: bool = True
    lock_timeout_ms: int | None = None
    """None: as configured."""
    statement_timeout_s: float | None = None
    allowed: Mapping[str, str] = field(default_factory=dict)
    """Why the file allows a rule to be broken, by the rule."""
    statements: int = 0
    """How many there are."""
    replaced: tuple[Replaced, ...] = ()
    """The values of variables in `text`, in its order."""


@dataclass(frozen=True)
class MigrationFile:
    """A migration of a folder. Within a set, `order` is unique and migrations apply by it."""

    set: str
    version: str
    """As the file writes it; empty: it is repeatable."""
    order: tuple[int | str, ...]
    """Any two of a set can be compared. Repeatable ones come last, by name."""
    name: str
    up: Script
    content: bytes
    """The bytes that were hashed: those of the file of `up`."""
    checksum: str
    """SHA-256 of `content`, in hexadecimal."""
    down: Script | None = None
    """None: there is no rollback, or it is empty."""
    repeatable: bool = False
    phase: Phase | None = None

    @property
    def key(self) -> str:
        """What the ledger calls it within its set: its version, or a repeatable one's `R:name`."""
        return f"R:{self.name}" if self.repeatable else self.version


@dataclass(frozen=True)
class Folder:
    """What the directory of a set has. With a blocking problem, nothing of it is applied."""

    set: str
    layout: str
    directory: str
    migrations: tuple[MigrationFile, ...] = ()
    """In the order in which they apply."""
    problems: tuple[MigrationProblem, ...] = ()
