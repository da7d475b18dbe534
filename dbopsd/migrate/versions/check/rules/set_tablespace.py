"""ALTER … SET TABLESPACE."""

from collections.abc import Iterator

from dbopsd.migrate.versions.check.rule import Match, Rule, Weight
from dbopsd.migrate.versions.model.reports import Severity
from dbopsd.migrate.versions.sql.syntax_tree import Script, Statement, alter_commands


def _find(statement: Statement, _script: Script) -> Iterator[Match]:
    moves = statement.kind == "AlterTableMoveAllStmt"
    if moves or any(alter_commands(statement, "AT_SetTableSpace")):
        yield Match("this copies the whole relation and locks out even readers meanwhile")


RULE = Rule(
    name="set-tablespace",
    severity=Severity.WARNING,
    advice="Use pg_repack with its option --tablespace, outside of migrations",
    find=_find,
    kinds=frozenset({"AlterTableStmt", "AlterTableMoveAllStmt"}),
    weight=Weight.SIZE,
)
