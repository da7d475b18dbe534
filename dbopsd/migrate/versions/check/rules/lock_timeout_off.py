"""SET lock_timeout to no limit."""

import re
from collections.abc import Iterator
from typing import Final

from dbopsd.migrate.versions.check.rule import Match, Rule
from dbopsd.migrate.versions.model.reports import Severity
from dbopsd.migrate.versions.sql.syntax_tree import Node, Script, Statement, nodes

_ZERO: Final = re.compile(r"\s*[+-]?0*\.?0*\s*(us|ms|s|min|h|d)?\s*")


def _find(statement: Statement, _script: Script) -> Iterator[Match]:
    node = statement.node
    if node.get("name") != "lock_timeout":
        return
    values = [_text(each) for each in nodes(node.get("args"), "A_Const")]
    default = node.get("kind") in ("VAR_SET_DEFAULT", "VAR_RESET")
    if default or (values and _ZERO.fullmatch(values[0])):
        yield Match("this takes away the limit of how long a lock is waited for")


def _text(constant: Node) -> str:
    if "ival" in constant:
        return str(constant["ival"].get("ival", 0))
    text: str = constant.get("sval", {}).get("sval", "1")
    return text


RULE = Rule(
    name="lock-timeout-off",
    severity=Severity.WARNING,
    advice="Leave it out, or set `-- dbops: lock_timeout=` in the header: "
    "writers queue behind a lock that is waited for",
    find=_find,
    kinds=frozenset({"VariableSetStmt"}),
)
