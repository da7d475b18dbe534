"""CREATE TRIGGER."""

from collections.abc import Iterator

from dbopsd.migrate.versions.check.rule import Match, Rule, Weight
from dbopsd.migrate.versions.model.reports import Severity
from dbopsd.migrate.versions.sql.syntax_tree import Script, Statement


def _find(statement: Statement, _script: Script) -> Iterator[Match]:
    yield Match("this locks out writers until the transaction ends, and then runs at each write")


RULE = Rule(
    name="create-trigger",
    severity=Severity.WARNING,
    advice="Make it the only statement of its file, so that the lock is held for a moment",
    find=_find,
    kinds=frozenset({"CreateTrigStmt"}),
    weight=Weight.LOCK,
)
