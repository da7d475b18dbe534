"""Statements that the server refuses in a transaction (25001), in a script that runs in one.

Measured on PostgreSQL 15 to 18.
"""

from collections.abc import Iterator
from typing import Final

from dbopsd.migrate.versions.check.rule import Match, Rule
from dbopsd.migrate.versions.model.reports import Severity
from dbopsd.migrate.versions.sql.syntax_tree import (
    Node,
    Script,
    Statement,
    alter_commands,
    is_on,
    option,
)

_NEVER: Final = {
    "CreatedbStmt": "CREATE DATABASE",
    "DropdbStmt": "DROP DATABASE",
    "CreateTableSpaceStmt": "CREATE TABLESPACE",
    "DropTableSpaceStmt": "DROP TABLESPACE",
    "AlterSystemStmt": "ALTER SYSTEM",
}
_WHOLE: Final = {
    "REINDEX_OBJECT_SCHEMA": "REINDEX SCHEMA",
    "REINDEX_OBJECT_DATABASE": "REINDEX DATABASE",
    "REINDEX_OBJECT_SYSTEM": "REINDEX SYSTEM",
}


def _find(statement: Statement, script: Script) -> Iterator[Match]:
    if script.transactional and (what := _refused(statement)):
        yield Match(f"{what} cannot run in a transaction, and this file does")


def _refused(statement: Statement) -> str:
    """What it is, if the server refuses it in a transaction."""
    kind, node = statement.kind, statement.node
    if kind in _NEVER:
        return _NEVER[kind]
    match kind:
        case "IndexStmt":
            return "CREATE INDEX CONCURRENTLY" if node.get("concurrent") else ""
        case "DropStmt":
            return "DROP INDEX CONCURRENTLY" if node.get("concurrent") else ""
        case "ReindexStmt":
            concurrent = is_on(option(node.get("params"), "concurrently"))
            return "REINDEX CONCURRENTLY" if concurrent else _WHOLE.get(node.get("kind", ""), "")
        case "AlterTableStmt":
            return "DETACH PARTITION CONCURRENTLY" if _detaches_concurrently(statement) else ""
        case "VacuumStmt":
            return "VACUUM" if node.get("is_vacuumcmd") else ""
        case "ClusterStmt":
            return "" if node.get("relation") else "CLUSTER of all tables"
        case "DiscardStmt":
            return "DISCARD ALL" if node.get("target") == "DISCARD_ALL" else ""
        case "AlterDatabaseStmt":
            moves = option(node.get("options"), "tablespace")
            return "ALTER DATABASE SET TABLESPACE" if moves else ""
        case "CreateSubscriptionStmt":
            return "CREATE SUBSCRIPTION with a slot" if _creates_slot(node) else ""
        case "TransactionStmt":
            ends = node.get("kind", "").removeprefix("TRANS_STMT_").replace("_", " ")
            return ends if ends in ("COMMIT PREPARED", "ROLLBACK PREPARED") else ""
    return ""


def _detaches_concurrently(statement: Statement) -> bool:
    return any(
        command["def"]["PartitionCmd"].get("concurrent")
        for command in alter_commands(statement, "AT_DetachPartition")
    )


def _creates_slot(node: Node) -> bool:
    """Whether the subscription creates a slot: the default, unless an option turns it off."""
    given = {name: option(node.get("options"), name) for name in ("connect", "create_slot")}
    return all(each is None or is_on(each) for each in given.values())


RULE = Rule(
    name="not-in-transaction",
    severity=Severity.ERROR,
    advice="Put it into a file of its own whose header has `-- dbops: transaction=off` "
    "(or as the layout of these files says it)",
    find=_find,
    kinds=frozenset(
        {
            *_NEVER,
            *("IndexStmt", "DropStmt", "ReindexStmt", "AlterTableStmt", "VacuumStmt"),
            *("ClusterStmt", "DiscardStmt", "AlterDatabaseStmt", "CreateSubscriptionStmt"),
            "TransactionStmt",
        }
    ),
    problem="NOT_IN_TRANSACTION",
)
