"""COPY from and to files of the server."""

from collections.abc import Iterator

from dbopsd.migrate.versions.check.rule import Match, Rule
from dbopsd.migrate.versions.model.reports import Severity
from dbopsd.migrate.versions.sql.syntax_tree import Script, Statement


def _find(statement: Statement, _script: Script) -> Iterator[Match]:
    node = statement.node
    if node.get("filename") and not node.get("is_program"):
        does = "reads" if node.get("is_from") else "overwrites"
        yield Match(f"this {does} a file of the server's machine")


RULE = Rule(
    name="copy-file",
    severity=Severity.ERROR,
    advice="Load the data from the client, outside of migrations",
    find=_find,
    kinds=frozenset({"CopyStmt"}),
)
