"""ADD COLUMN that numbers the rows there are: serial types and identity columns."""

from collections.abc import Iterator

from dbopsd.migrate.versions.check.rule import Match, Rule, Weight
from dbopsd.migrate.versions.model.reports import Severity
from dbopsd.migrate.versions.sql.syntax_tree import (
    Script,
    Statement,
    alter_commands,
    nodes,
    type_name,
)

_SERIAL = frozenset({"serial", "bigserial", "smallserial", "serial2", "serial4", "serial8"})


def _find(statement: Statement, _script: Script) -> Iterator[Match]:
    for command in alter_commands(statement, "AT_AddColumn"):
        column = command["def"]["ColumnDef"]
        numbered = [
            each
            for each in nodes(column.get("constraints"), "Constraint")
            if each.get("contype") == "CONSTR_IDENTITY"
        ]
        if type_name(column) in _SERIAL or numbered:
            name = column["colname"]
            message = (
                f"adding the column {name} gives each row a number: the whole table is rewritten"
            )
            yield Match(message, column.get("location"))


RULE = Rule(
    name="adding-serial-column",
    severity=Severity.ERROR,
    advice="Add the column as bigint, fill it in batches, and make it an identity column "
    "afterwards",
    find=_find,
    kinds=frozenset({"AlterTableStmt"}),
    weight=Weight.LOCK,
)
