"""SET TRANSACTION READ ONLY, in which the ledger cannot write down what was done."""

from collections.abc import Iterator
from typing import Final

from dbopsd.migrate.versions.check.expressions import constant_text
from dbopsd.migrate.versions.check.rule import Match, Rule
from dbopsd.migrate.versions.check.settings import SETTING, changed_settings
from dbopsd.migrate.versions.model.reports import Severity
from dbopsd.migrate.versions.sql.syntax_tree import Script, Statement, option

_READ_ONLY: Final = "transaction_read_only"
_ON: Final = frozenset({"1", "on", "true", "yes"})
# Of the transactions that follow; a file in a transaction has none.
_OF_LATER: Final = frozenset({"SESSION CHARACTERISTICS", f"default_{_READ_ONLY}"})


def _find(statement: Statement, script: Script) -> Iterator[Match]:
    for name, value, location in _changes(statement):
        of_later = name in _OF_LATER and script.transactional
        if value is not None and value.lower() in _ON and not of_later:
            message = "the transaction becomes read-only: the ledger could not record the migration"
            yield Match(message, location)


def _changes(statement: Statement) -> Iterator[tuple[str, str | None, int | None]]:
    """The name, the value and the place of each change of a mode or a setting."""
    name = statement.node.get("name", "")
    if name in ("TRANSACTION", "SESSION CHARACTERISTICS"):
        mode = option(statement.node.get("args"), _READ_ONLY)
        yield name, constant_text(mode["arg"]) if mode else None, None
        return
    for each in changed_settings(statement):
        if each.name in (_READ_ONLY, f"default_{_READ_ONLY}"):
            yield each.name, each.value, each.location


RULE = Rule(
    name="read-only-transaction",
    severity=Severity.ERROR,
    advice="Leave it out",
    find=_find,
    kinds=SETTING,
    problem="CANNOT_RUN",
)
