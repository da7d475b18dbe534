"""DROP TRIGGER."""

from collections.abc import Iterator

from dbopsd.migrate.versions.check.rule import Match, Rule, Weight
from dbopsd.migrate.versions.model.reports import Severity
from dbopsd.migrate.versions.sql.syntax_tree import Script, Statement


def _find(statement: Statement, _script: Script) -> Iterator[Match]:
    if statement.node.get("removeType") == "OBJECT_TRIGGER":
        yield Match("this locks out even readers of the table until the transaction ends")


RULE = Rule(
    name="drop-trigger",
    severity=Severity.WARNING,
    advice="Drop it once no version of the application relies on it, in a migration of the "
    "phase contract",
    find=_find,
    kinds=frozenset({"DropStmt"}),
    weight=Weight.LOCK,
)
