"""Statements that begin or end transactions."""

from collections.abc import Iterator

from dbopsd.migrate.versions.check.rule import Match, Rule
from dbopsd.migrate.versions.model.reports import Severity
from dbopsd.migrate.versions.sql.syntax_tree import Script, Statement


def _find(statement: Statement, _script: Script) -> Iterator[Match]:
    kind = statement.node.get("kind", "").removeprefix("TRANS_STMT_").replace("_", " ")
    if kind not in ("COMMIT PREPARED", "ROLLBACK PREPARED"):
        yield Match(f"{kind} within a migration: a part of it would stay whatever follows")


RULE = Rule(
    name="transaction-control",
    severity=Severity.ERROR,
    advice="Leave it out: dbopsd begins and ends the transaction; or split the file",
    find=_find,
    kinds=frozenset({"TransactionStmt"}),
    problem="TRANSACTION_CONTROL",
)
