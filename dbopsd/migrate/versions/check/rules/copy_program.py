"""COPY … PROGRAM."""

from collections.abc import Iterator

from dbopsd.migrate.versions.check.rule import Match, Rule
from dbopsd.migrate.versions.model.reports import Severity
from dbopsd.migrate.versions.sql.syntax_tree import Script, Statement


def _find(statement: Statement, _script: Script) -> Iterator[Match]:
    if statement.node.get("is_program"):
        yield Match("this runs a command on the server's machine")


RULE = Rule(
    name="copy-program",
    severity=Severity.ERROR,
    advice="Load the data from the client, outside of migrations",
    find=_find,
    kinds=frozenset({"CopyStmt"}),
)
