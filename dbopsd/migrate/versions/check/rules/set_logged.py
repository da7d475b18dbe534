"""ALTER TABLE SET LOGGED or UNLOGGED."""

from collections.abc import Iterator

from dbopsd.migrate.versions.check.rule import Match, Rule, Weight
from dbopsd.migrate.versions.model.reports import Severity
from dbopsd.migrate.versions.sql.syntax_tree import Script, Statement, alter_commands


def _find(statement: Statement, _script: Script) -> Iterator[Match]:
    for _ in alter_commands(statement, "AT_SetLogged", "AT_SetUnLogged"):
        yield Match("this writes the whole table anew and locks out even readers meanwhile")


RULE = Rule(
    name="set-logged",
    severity=Severity.WARNING,
    advice="Do it while nobody uses the table, or make a new table and copy in batches",
    find=_find,
    kinds=frozenset({"AlterTableStmt"}),
    weight=Weight.SIZE,
)
