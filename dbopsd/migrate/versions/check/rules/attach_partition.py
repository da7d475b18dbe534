"""ATTACH PARTITION of a table whose rows have to be looked through."""

from collections.abc import Iterator

from dbopsd.migrate.versions.check.rule import Match, Rule, Weight
from dbopsd.migrate.versions.model.reports import Severity
from dbopsd.migrate.versions.sql.syntax_tree import (
    Name,
    Script,
    Statement,
    alter_commands,
    relation_name,
    same_name,
)


def _find(statement: Statement, script: Script) -> Iterator[Match]:
    for command in alter_commands(statement, "AT_AttachPartition"):
        partition = relation_name(command["def"]["PartitionCmd"]["name"])
        if not any(_adds_check(each, partition) for each in script.before("AlterTableStmt")):
            message = f"this looks through every row of {partition[1]}, which is locked meanwhile"
            yield Match(
                f"{message}, unless a CHECK constraint implies the bounds", None, (partition,)
            )


def _adds_check(statement: Statement, table: Name) -> bool:
    if not same_name(relation_name(statement.node.get("relation", {})), table):
        return False
    return any(
        command.get("def", {}).get("Constraint", {}).get("contype") == "CONSTR_CHECK"
        for command in alter_commands(statement, "AT_AddConstraint", "AT_ValidateConstraint")
    )


RULE = Rule(
    name="attach-partition-without-check",
    severity=Severity.WARNING,
    advice="First add a CHECK constraint that implies the bounds, NOT VALID, and validate "
    "it; drop it afterwards",
    find=_find,
    kinds=frozenset({"AlterTableStmt"}),
    weight=Weight.SIZE,
)
