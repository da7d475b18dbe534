"""Whether a condition leaves no row out."""

import json
from typing import Any, Final

from dbopsd.migrate.versions.check.expressions import within
from dbopsd.migrate.versions.sql.syntax_tree import Node, nodes, strings, unwrapped

_CHOOSING: Final = frozenset({"ColumnRef", "SubLink", "FuncCall", "ParamRef", "CurrentOfExpr"})
_REFLEXIVE: Final = frozenset({"=", "<=", ">="})


def matches_all_rows(where: Node | None) -> bool:
    """Whether a condition is left out, names no column, or is true of every row.

    Such as `true`, `1 = 1`, `i = i OR j > 3`, `i IS NULL OR i IS NOT NULL`. That `i = i` leaves
    out rows without an `i` does not count.
    """
    if where is None or not any(kind in _CHOOSING for kind, _ in within(where)):
        return True
    return _is_true(where)


def merges_all_rows(merge: Node, command: str) -> bool:
    """Whether a MERGE does this command to its target's rows whichever they are.

    It joins all of them with the same condition, and a WHEN that does it has none.
    """
    return matches_all_rows(merge.get("joinCondition")) and any(
        each.get("commandType") == command and matches_all_rows(each.get("condition"))
        for each in nodes(merge.get("mergeWhenClauses"), "MergeWhenClause")
    )


def _is_true(condition: Node) -> bool:
    kind, fields = unwrapped(condition)
    match kind:
        case "A_Const":
            return bool(fields.get("boolval", {}).get("boolval"))
        case "TypeCast":
            return _is_true(fields["arg"])
        case "A_Expr":
            same = "lexpr" in fields and _key(fields["lexpr"]) == _key(fields.get("rexpr"))
            return same and _is_reflexive(fields)
        case "BoolExpr" if fields["boolop"] == "AND_EXPR":
            return all(map(_is_true, fields["args"]))
        case "BoolExpr" if fields["boolop"] == "OR_EXPR":
            return any(map(_is_true, fields["args"])) or _is_null_or_not(fields["args"])
        case _:
            return False


def _is_reflexive(expression: Node) -> bool:
    kind = expression.get("kind")
    operator = strings(expression.get("name"))[-1:]
    return kind == "AEXPR_NOT_DISTINCT" or (
        kind == "AEXPR_OP" and not _REFLEXIVE.isdisjoint(operator)
    )


def _is_null_or_not(conditions: list[Node]) -> bool:
    """Whether one asks if something is null, and another one if the same is not."""
    asked: dict[str, set[str]] = {}
    for test in nodes(conditions, "NullTest"):
        asked.setdefault(_key(test["arg"]), set()).add(test["nulltesttype"])
    return any(len(each) > 1 for each in asked.values())


def _key(expression: Any) -> str:
    """The same for expressions that differ in nothing but their places."""
    return json.dumps(_without_places(expression), sort_keys=True)


def _without_places(tree: Any) -> Any:
    if isinstance(tree, list):
        return [_without_places(each) for each in tree]
    if isinstance(tree, dict):
        return {name: _without_places(each) for name, each in tree.items() if name != "location"}
    return tree
