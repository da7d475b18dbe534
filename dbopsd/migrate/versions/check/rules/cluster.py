"""CLUSTER."""

from collections.abc import Iterator

from dbopsd.migrate.versions.check.rule import Match, Rule, Weight
from dbopsd.migrate.versions.model.reports import Severity
from dbopsd.migrate.versions.sql.syntax_tree import Script, Statement


def _find(statement: Statement, _script: Script) -> Iterator[Match]:
    yield Match("CLUSTER writes the whole table anew and locks out even readers meanwhile")


RULE = Rule(
    name="cluster",
    severity=Severity.ERROR,
    advice="Use pg_repack outside of migrations",
    find=_find,
    kinds=frozenset({"ClusterStmt"}),
    weight=Weight.LOCK,
)
