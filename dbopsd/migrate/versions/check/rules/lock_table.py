"""LOCK TABLE."""

from collections.abc import Iterator

from dbopsd.migrate.versions.check.rule import Match, Rule, Weight
from dbopsd.migrate.versions.model.reports import Severity
from dbopsd.migrate.versions.sql.syntax_tree import Script, Statement, nodes, relation_name


def _find(statement: Statement, _script: Script) -> Iterator[Match]:
    names = [relation_name(each) for each in nodes(statement.node.get("relations"), "RangeVar")]
    listed = ", ".join(table for _, table in names)
    yield Match(f"this locks {listed} to the end of the transaction", None, tuple(names))


RULE = Rule(
    name="lock-table",
    severity=Severity.ERROR,
    advice="Leave it out: each statement takes the locks that it needs, and dbopsd limits "
    "how long it waits for them",
    find=_find,
    kinds=frozenset({"LockStmt"}),
    weight=Weight.LOCK,
)
