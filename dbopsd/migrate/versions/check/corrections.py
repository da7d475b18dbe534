"""Where squawk raises a false alarm, or says again what a rule of our own says."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from dbopsd.migrate.versions.sql.syntax_tree import (
    Name,
    Node,
    Statement,
    nodes,
    relation_name,
    type_name,
)

_DEFAULT: Final = "adding-field-with-default"
_TYPE: Final = "changing-column-type"
_NOT_VALID: Final = "constraint-missing-not-valid"
# Of these, squawk has a rule that says more. A key cannot be NOT VALID at all.
_OF_OTHER_RULES: Final = frozenset({"CONSTR_PRIMARY", "CONSTR_UNIQUE", "CONSTR_FOREIGN"})
_VIRTUAL: Final = "v"


@dataclass(frozen=True)
class Dismissal:
    """A rule of squawk's that says nothing true between two characters of a script."""

    rule: str
    start: int
    end: int
    table: Name | None = None
    """None: in any case. Otherwise if this table's `column` changes its type to one that keeps the
    rows as they are."""
    column: str = ""
    type: str = ""
    """The new type, such as `varchar`, and its length or precision."""
    modifiers: tuple[int, ...] = ()


def dismissals(statement: Statement, own: set[int]) -> Iterator[Dismissal]:
    """Those of a statement. `own`: the characters at which rules of our own speak of a default."""
    if statement.kind != "AlterTableStmt":
        return
    commands = list(nodes(statement.node.get("cmds"), "AlterTableCmd"))
    starts = [_start(statement, command) for command in commands]
    # squawk means the ADD of a constraint, which stands before its name.
    previous = [statement.start, *starts]
    for command, before, start, end in zip(
        commands, previous, starts, [*starts[1:], statement.end], strict=False
    ):
        match command.get("subtype"):
            case "AT_AddColumn":
                column = command["def"]["ColumnDef"]
                if _is_virtual(column) or any(start <= each < end for each in own):
                    yield Dismissal(_DEFAULT, start, end)
            case "AT_AddConstraint":
                if command["def"]["Constraint"].get("contype") in _OF_OTHER_RULES:
                    yield Dismissal(_NOT_VALID, before, start)
            case "AT_AlterColumnType":
                column = command["def"]["ColumnDef"]
                if "raw_default" not in column and "collClause" not in column:
                    yield _of_type(statement, command["name"], column, (start, end))


def _start(statement: Statement, command: Node) -> int:
    definition = command.get("def", {})
    for kind in ("ColumnDef", "Constraint"):
        if kind in definition:
            return statement.place(definition[kind].get("location"))
    return statement.start


def _is_virtual(column: Node) -> bool:
    return any(
        each.get("contype") == "CONSTR_GENERATED" and each.get("generated_kind") == _VIRTUAL
        for each in nodes(column.get("constraints"), "Constraint")
    )


def _of_type(statement: Statement, name: str, column: Node, extent: tuple[int, int]) -> Dismissal:
    typed = column["typeName"]
    modifiers = tuple(
        each.get("ival", {}).get("ival", 0) for each in nodes(typed.get("typmods"), "A_Const")
    )
    array = "[]" if "arrayBounds" in typed else ""
    table = relation_name(statement.node["relation"])
    return Dismissal(_TYPE, *extent, table, name, type_name(column) + array, modifiers)
