"""Roles that are superusers."""

from collections.abc import Iterator

from dbopsd.migrate.versions.check.rule import Match, Rule
from dbopsd.migrate.versions.model.reports import Severity
from dbopsd.migrate.versions.sql.syntax_tree import Script, Statement, is_on, option


def _find(statement: Statement, _script: Script) -> Iterator[Match]:
    chosen = option(statement.node.get("options"), "superuser")
    if is_on(chosen):
        yield Match(
            "a superuser may do everything, on the server's machine too",
            (chosen or {}).get("location"),
        )


RULE = Rule(
    name="superuser-role",
    severity=Severity.WARNING,
    advice="Grant the predefined roles that it needs, such as pg_monitor or pg_signal_backend",
    find=_find,
    kinds=frozenset({"AlterRoleStmt", "CreateRoleStmt"}),
)
