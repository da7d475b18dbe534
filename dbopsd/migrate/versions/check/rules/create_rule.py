"""CREATE RULE."""

from collections.abc import Iterator

from dbopsd.migrate.versions.check.rule import Match, Rule
from dbopsd.migrate.versions.model.reports import Severity
from dbopsd.migrate.versions.sql.syntax_tree import Script, Statement, relation_name


def _find(statement: Statement, _script: Script) -> Iterator[Match]:
    yield Match(
        "a rule rewrites queries: with several rows and volatile functions, not as it seems",
        None,
        (relation_name(statement.node["relation"]),),
    )


RULE = Rule(
    name="create-rule",
    severity=Severity.WARNING,
    advice="Use a trigger, or a view with INSTEAD OF triggers",
    find=_find,
    kinds=frozenset({"RuleStmt"}),
)
