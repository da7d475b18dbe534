"""TRUNCATE."""

from collections.abc import Iterator

from dbopsd.migrate.versions.check.rule import Match, Rule, Weight
from dbopsd.migrate.versions.model.reports import Severity
from dbopsd.migrate.versions.sql.syntax_tree import Script, Statement, nodes, relation_name


def _find(statement: Statement, _script: Script) -> Iterator[Match]:
    names = [relation_name(each) for each in nodes(statement.node.get("relations"), "RangeVar")]
    listed = ", ".join(table for _, table in names)
    cascade = statement.node.get("behavior") == "DROP_CASCADE"
    more = ", and of the tables that refer to it" if cascade else ""
    yield Match(
        f"this removes every row of {listed}{more}, and locks out even readers", None, tuple(names)
    )


RULE = Rule(
    name="truncate",
    severity=Severity.ERROR,
    advice="Delete the rows that are to go, in batches, or allow the rule if all of them are meant",
    find=_find,
    kinds=frozenset({"TruncateStmt"}),
    weight=Weight.DATA,
)
