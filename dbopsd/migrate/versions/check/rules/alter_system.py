"""ALTER SYSTEM."""

from collections.abc import Iterator

from dbopsd.migrate.versions.check.rule import Match, Rule
from dbopsd.migrate.versions.model.reports import Severity
from dbopsd.migrate.versions.sql.syntax_tree import Script, Statement


def _find(statement: Statement, _script: Script) -> Iterator[Match]:
    yield Match("this changes the settings of the whole server, every database of it")


RULE = Rule(
    name="alter-system",
    severity=Severity.ERROR,
    advice="Change the server's settings where its other settings are kept; of a database, "
    "by ALTER DATABASE",
    find=_find,
    kinds=frozenset({"AlterSystemStmt"}),
)
