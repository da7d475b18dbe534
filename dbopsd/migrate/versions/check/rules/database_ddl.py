"""CREATE DATABASE and CREATE TABLESPACE."""

from collections.abc import Iterator

from dbopsd.migrate.versions.check.rule import Match, Rule
from dbopsd.migrate.versions.model.reports import Severity
from dbopsd.migrate.versions.sql.syntax_tree import Script, Statement


def _find(statement: Statement, _script: Script) -> Iterator[Match]:
    yield Match(
        "this makes something outside of the database, which no other migration can rely on"
    )


RULE = Rule(
    name="create-database",
    severity=Severity.WARNING,
    advice="Leave it to what sets up the server",
    find=_find,
    kinds=frozenset({"CreatedbStmt", "CreateTableSpaceStmt"}),
)
