"""ADD PRIMARY KEY USING INDEX, which makes its columns NOT NULL."""

from collections.abc import Iterator

from dbopsd.migrate.versions.check.rule import Match, Rule, Weight
from dbopsd.migrate.versions.model.reports import Severity
from dbopsd.migrate.versions.sql.syntax_tree import Script, Statement, alter_commands


def _find(statement: Statement, _script: Script) -> Iterator[Match]:
    for command in alter_commands(statement, "AT_AddConstraint"):
        constraint = command.get("def", {}).get("Constraint", {})
        if constraint.get("contype") == "CONSTR_PRIMARY" and constraint.get("indexname"):
            message = "this looks through every row of the table, which is locked meanwhile"
            yield Match(f"{message}, unless the columns are NOT NULL", constraint.get("location"))


RULE = Rule(
    name="primary-key-using-index",
    severity=Severity.WARNING,
    advice="Make the columns NOT NULL first, by a CHECK constraint that is NOT VALID, then "
    "validated",
    find=_find,
    kinds=frozenset({"AlterTableStmt"}),
    weight=Weight.SIZE,
)
