"""SET TRANSACTION READ ONLY, in which the ledger cannot write down what was done."""

from collections.abc import Iterator
from typing import Final

from dbopsd.migrate.versions.check.rule import Match, Rule
from dbopsd.migrate.versions.model.reports import Severity
from dbopsd.migrate.versions.sql.syntax_tree import Node, Script, Statement, nodes, option

_READ_ONLY: Final = "transaction_read_only"
_ON: Final = frozenset({"1", "on", "true", "yes"})
# Of the transactions that follow; a file in a transaction has none.
_OF_LATER: Final = frozenset({"SESSION CHARACTERISTICS", f"default_{_READ_ONLY}"})


def _find(statement: Statement, script: Script) -> Iterator[Match]:
    name = statement.node.get("name", "")
    if name in _OF_LATER and script.transactional:
        return
    arguments = statement.node.get("args")
    values = list(nodes(arguments, "A_Const"))
    if name in ("TRANSACTION", "SESSION CHARACTERISTICS"):
        mode = option(arguments, _READ_ONLY)
        values = [mode["arg"]["A_Const"]] if mode else []
    elif name not in (_READ_ONLY, f"default_{_READ_ONLY}"):
        return
    if values and _text(values[0]).lower() in _ON:
        yield Match("the transaction becomes read-only: the ledger could not record the migration")


def _text(constant: Node) -> str:
    if "ival" in constant:
        return str(constant["ival"].get("ival", 0))
    return str(constant.get("sval", {}).get("sval", ""))


RULE = Rule(
    name="read-only-transaction",
    severity=Severity.ERROR,
    advice="Leave it out",
    find=_find,
    kinds=frozenset({"VariableSetStmt"}),
    problem="CANNOT_RUN",
)
