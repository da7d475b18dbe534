"""What is asked of expressions in parse trees."""

from collections.abc import Iterator
from typing import Any

from dbopsd.migrate.versions.sql.syntax_tree import Node, strings, unwrapped


def matches_all_rows(where: Node | None) -> bool:
    """Whether a condition is left out, or names no column: `true`, `1 = 1`."""
    return where is None or not any(
        kind in ("ColumnRef", "SubLink", "FuncCall", "ParamRef", "CurrentOfExpr")
        for kind, _ in within(where)
    )


def functions_called(expression: Node | None) -> list[str]:
    """The names of functions that it calls, without their schemas."""
    return [
        strings(node.get("funcname"))[-1]
        for kind, node in within(expression or {})
        if kind == "FuncCall" and node.get("funcname")
    ]


def texts(statement: Node) -> Iterator[tuple[str, int | None]]:
    """Each string constant of a statement, and its location."""
    for kind, node in within(statement):
        if kind == "A_Const" and "sval" in node:
            yield node["sval"].get("sval", ""), node.get("location")


def within(tree: Any) -> Iterator[tuple[str, Node]]:
    """Every node that a tree has, itself among them, in no order."""
    left = [tree]
    while left:
        each = left.pop()
        if isinstance(each, list):
            left.extend(each)
        elif isinstance(each, dict):
            # Of a node that has a field alone, this may also be its fields: they are no kind.
            if len(each) == 1 and isinstance(next(iter(each.values())), dict):
                yield unwrapped(each)
            left.extend(each.values())
