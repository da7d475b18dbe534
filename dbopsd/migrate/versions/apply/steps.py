"""The statements of a migration that is not in a transaction."""

from dataclasses import dataclass
from itertools import islice
from typing import Final

from dbopsd.migrate.versions.apply.statement_kinds import (
    IndexBuild,
    IndexRebuild,
    Repeatable,
    SettingChange,
    StatementKind,
    read_kind,
)
from dbopsd.migrate.versions.plan.plan import PlannedRun
from dbopsd.migrate.versions.sql.lexer import words
from dbopsd.migrate.versions.sql.statements import SqlStatement, split_leniently
from dbopsd.migrate.versions.sql.transactions import refuses_transaction

_SESSION_STATE: Final = frozenset({"DECLARE", "LOAD", "PREPARE"})
_BEFORE_TEMPORARY: Final = frozenset({"OR", "REPLACE", "LOCAL", "GLOBAL"})
_TEMPORARY: Final = frozenset({"TEMP", "TEMPORARY"})


@dataclass(frozen=True)
class Step:
    """A statement. `alone`: it refuses a transaction."""

    statement: SqlStatement
    kind: StatementKind
    alone: bool

    @property
    def patient(self) -> bool:
        """Whether its locks have no limit but that on all waits: it leaves something when cut off.

        CONCURRENTLY stops nobody while it waits; what commits by itself must not be repeated.
        """
        if isinstance(self.kind, IndexBuild | IndexRebuild):
            return self.alone and self.kind.concurrently
        return self.alone and not isinstance(self.kind, Repeatable | SettingChange)

    @property
    def repeatable(self) -> bool:
        """Whether it may be sent again after a failure of its own."""
        return self.kind is not None or not self.alone

    @property
    def makes_session_state(self) -> bool:
        """Whether it makes what only its session has, such as a temporary table."""
        first, *others = (*self._first_words(5), "")
        what = next(word for word in others if word not in _BEFORE_TEMPORARY)
        return first in _SESSION_STATE or (first == "CREATE" and what in _TEMPORARY)

    @property
    def resets_all(self) -> bool:
        """Whether it takes back what the session had before the file."""
        return self._first_words(2) in (("RESET", "ALL"), ("DISCARD", "ALL"))

    def _first_words(self, number: int) -> tuple[str, ...]:
        text = self.statement.text
        return tuple(islice(words(text, 0, len(text)), number))


def steps_of(planned: PlannedRun) -> list[Step]:
    """The statements of a migration, in their order."""
    text = planned.script.text
    return [
        Step(each, read_kind(each.text), refuses_transaction(text, each.start, each.end))
        for each in split_leniently(text)
    ]
