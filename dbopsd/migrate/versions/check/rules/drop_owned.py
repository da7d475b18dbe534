"""DROP OWNED."""

from collections.abc import Iterator

from dbopsd.migrate.versions.check.rule import Match, Rule
from dbopsd.migrate.versions.model.reports import Severity
from dbopsd.migrate.versions.sql.syntax_tree import Script, Statement


def _find(statement: Statement, _script: Script) -> Iterator[Match]:
    yield Match("this drops everything that the role owns in the database, and its privileges")


RULE = Rule(
    name="drop-owned",
    severity=Severity.ERROR,
    advice="Drop what is to go by its name",
    find=_find,
    kinds=frozenset({"DropOwnedStmt"}),
)
