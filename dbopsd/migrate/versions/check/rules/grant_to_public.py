"""GRANT … TO PUBLIC."""

from collections.abc import Iterator

from dbopsd.migrate.versions.check.rule import Match, Rule
from dbopsd.migrate.versions.model.reports import Severity
from dbopsd.migrate.versions.sql.syntax_tree import Script, Statement, nodes


def _find(statement: Statement, _script: Script) -> Iterator[Match]:
    granting = statement.node.get("action", statement.node)
    granting = granting.get("GrantStmt", granting)
    if not granting.get("is_grant"):
        return
    for grantee in nodes(granting.get("grantees"), "RoleSpec"):
        if grantee.get("roletype") == "ROLESPEC_PUBLIC":
            yield Match(
                "this lets every role do it, also those that come later", grantee.get("location")
            )


RULE = Rule(
    name="grant-to-public",
    severity=Severity.WARNING,
    advice="Grant to the roles that need it",
    find=_find,
    kinds=frozenset({"GrantStmt", "AlterDefaultPrivilegesStmt"}),
)
