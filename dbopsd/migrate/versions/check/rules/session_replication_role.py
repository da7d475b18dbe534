"""SET session_replication_role."""

from collections.abc import Iterator

from dbopsd.migrate.versions.check.rule import Match, Rule
from dbopsd.migrate.versions.model.reports import Severity
from dbopsd.migrate.versions.sql.syntax_tree import Script, Statement, nodes


def _find(statement: Statement, _script: Script) -> Iterator[Match]:
    node = statement.node
    values = [each.get("sval", {}).get("sval", "") for each in nodes(node.get("args"), "A_Const")]
    if node.get("name") == "session_replication_role" and values and values[0].lower() != "origin":
        yield Match("this turns off triggers and foreign keys: rows that break them stay")


RULE = Rule(
    name="session-replication-role",
    severity=Severity.WARNING,
    advice="Leave it as it is",
    find=_find,
    kinds=frozenset({"VariableSetStmt"}),
)
