"""Columns of type json."""

from collections.abc import Iterator

from dbopsd.migrate.versions.check.rule import Match, Rule
from dbopsd.migrate.versions.model.reports import Severity
from dbopsd.migrate.versions.sql.syntax_tree import (
    Script,
    Statement,
    alter_commands,
    nodes,
    type_name,
)


def _find(statement: Statement, _script: Script) -> Iterator[Match]:
    columns = [each["def"]["ColumnDef"] for each in alter_commands(statement, "AT_AddColumn")]
    for column in [*columns, *nodes(statement.node.get("tableElts"), "ColumnDef")]:
        if type_name(column) == "json":
            message = (
                f"the column {column['colname']} has the type json, which has no equality operator"
            )
            yield Match(
                f"{message}: DISTINCT, GROUP BY and UNION fail on it", column.get("location")
            )


RULE = Rule(
    name="prefer-jsonb",
    severity=Severity.INFO,
    advice="Use jsonb, unless the text itself must be kept",
    find=_find,
    kinds=frozenset({"AlterTableStmt", "CreateStmt"}),
)
