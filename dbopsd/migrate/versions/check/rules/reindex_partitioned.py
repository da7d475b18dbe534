"""REINDEX of a partitioned table or index, which the server refuses in a transaction (25001)."""

from collections.abc import Iterator

from dbopsd.migrate.versions.check.rule import Match, Rule, Weight
from dbopsd.migrate.versions.model.reports import Severity
from dbopsd.migrate.versions.sql.syntax_tree import Script, Statement


def _find(statement: Statement, script: Script) -> Iterator[Match]:
    if script.transactional and statement.node.get("relation"):
        yield Match(
            "REINDEX of a partitioned table cannot run in a transaction, and this file does"
        )


RULE = Rule(
    name="reindex-partitioned",
    severity=Severity.ERROR,
    advice="Put it into a file of its own whose header has `-- dbops: transaction=off` "
    "(or as the layout of these files says it)",
    find=_find,
    kinds=frozenset({"ReindexStmt"}),
    weight=Weight.PARTITIONED,
    problem="NOT_IN_TRANSACTION",
)
