"""What is asked of expressions in parse trees."""

from collections.abc import Iterator
from typing import Any, Final

from dbopsd.migrate.versions.sql.syntax_tree import Node, strings, unwrapped

CALLING: Final = frozenset(
    {
        *("SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt", "CallStmt"),
        *("CreateTableAsStmt", "ExplainStmt", "PrepareStmt", "CopyStmt", "ExecuteStmt"),
    }
)
"""The kinds of statement that call the functions in them."""


def functions_called(expression: Node | None) -> list[str]:
    """The names of functions that it calls, without their schemas."""
    return [name for name, _, _ in calls(expression)]


def calls(expression: Node | None) -> Iterator[tuple[str, list[Node], int | None]]:
    """Each call of a function: its name without a schema, its arguments, and its location."""
    for kind, node in within(expression or {}):
        if kind == "FuncCall" and node.get("funcname"):
            yield strings(node["funcname"])[-1], node.get("args", []), node.get("location")


def constant_text(expression: Node) -> str | None:
    """The value of a constant as text, whatever type it is cast to; None: it is none."""
    kind, fields = unwrapped(expression)
    if kind == "TypeCast" and "arg" in fields:
        return constant_text(fields["arg"])
    if kind != "A_Const" or "isnull" in fields:
        return None
    if "ival" in fields:
        return str(fields["ival"].get("ival", 0))
    if "boolval" in fields:
        return "on" if fields["boolval"].get("boolval") else "off"
    text = fields.get("sval", {}).get("sval", fields.get("fval", {}).get("fval", ""))
    return str(text)


def do_bodies(statement: Node) -> Iterator[str]:
    """The texts of a DO."""
    for each in statement.get("args", ()):
        yield each.get("DefElem", {}).get("arg", {}).get("String", {}).get("sval", "")


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
