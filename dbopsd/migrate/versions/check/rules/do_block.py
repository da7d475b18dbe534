"""DO, whose body nobody looks into."""

from collections.abc import Iterator

from dbopsd.migrate.versions.check.rule import Match, Rule
from dbopsd.migrate.versions.model.reports import Severity
from dbopsd.migrate.versions.sql.syntax_tree import Script, Statement


def _find(statement: Statement, _script: Script) -> Iterator[Match]:
    yield Match("what the block does is not looked into")


RULE = Rule(
    name="do-block",
    severity=Severity.INFO,
    advice="Write the statements out where they can be",
    find=_find,
    kinds=frozenset({"DoStmt"}),
)
