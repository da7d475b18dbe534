"""COPY … FROM stdin, whose data only psql can tell from SQL."""

from collections.abc import Iterator

from dbopsd.migrate.versions.check.rule import Match, Rule
from dbopsd.migrate.versions.model.reports import Severity
from dbopsd.migrate.versions.sql.syntax_tree import Script, Statement


def _find(statement: Statement, _script: Script) -> Iterator[Match]:
    node = statement.node
    if node.get("is_from") and not node.get("filename"):
        yield Match("COPY … FROM stdin cannot run: its data stands in the file, and is no SQL")


RULE = Rule(
    name="copy-from-stdin",
    severity=Severity.ERROR,
    advice="Write INSERT statements: `pg_dump --inserts` makes them",
    find=_find,
    kinds=frozenset({"CopyStmt"}),
    problem="COPY_FROM_STDIN",
)
