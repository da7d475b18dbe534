"""VACUUM FULL."""

from collections.abc import Iterator

from dbopsd.migrate.versions.check.rule import Match, Rule, Weight
from dbopsd.migrate.versions.model.reports import Severity
from dbopsd.migrate.versions.sql.syntax_tree import Script, Statement, is_on, option


def _find(statement: Statement, _script: Script) -> Iterator[Match]:
    if is_on(option(statement.node.get("options"), "full")):
        yield Match("VACUUM FULL writes the whole table anew and locks out even readers meanwhile")


RULE = Rule(
    name="vacuum-full",
    severity=Severity.ERROR,
    advice="Use pg_repack, or plain VACUUM, outside of migrations",
    find=_find,
    kinds=frozenset({"VacuumStmt"}),
    weight=Weight.LOCK,
)
