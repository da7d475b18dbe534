"""REFRESH MATERIALIZED VIEW that locks out readers."""

from collections.abc import Iterator

from dbopsd.migrate.versions.check.rule import Match, Rule, Weight
from dbopsd.migrate.versions.model.reports import Severity
from dbopsd.migrate.versions.sql.syntax_tree import Script, Statement


def _find(statement: Statement, _script: Script) -> Iterator[Match]:
    if not statement.node.get("concurrent") and not statement.node.get("skipData"):
        yield Match("REFRESH MATERIALIZED VIEW without CONCURRENTLY locks out readers meanwhile")


RULE = Rule(
    name="refresh-materialized-view",
    severity=Severity.WARNING,
    advice="Use REFRESH MATERIALIZED VIEW CONCURRENTLY, which needs a unique index",
    find=_find,
    kinds=frozenset({"RefreshMatViewStmt"}),
    weight=Weight.SIZE,
)
