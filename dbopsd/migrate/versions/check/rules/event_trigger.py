"""CREATE EVENT TRIGGER."""

from collections.abc import Iterator

from dbopsd.migrate.versions.check.rule import Match, Rule
from dbopsd.migrate.versions.model.reports import Severity
from dbopsd.migrate.versions.sql.syntax_tree import Script, Statement


def _find(statement: Statement, _script: Script) -> Iterator[Match]:
    yield Match("an event trigger runs for the DDL of every session")


RULE = Rule(
    name="event-trigger",
    severity=Severity.WARNING,
    advice="Leave it to those who run the server: a fault in it stops every DDL, later "
    "migrations too",
    find=_find,
    kinds=frozenset({"CreateEventTrigStmt"}),
)
