"""SET session_replication_role, also by set_config()."""

from collections.abc import Iterator

from dbopsd.migrate.versions.check.rule import Match, Rule
from dbopsd.migrate.versions.check.settings import SETTING, changed_settings
from dbopsd.migrate.versions.model.reports import Severity
from dbopsd.migrate.versions.sql.syntax_tree import Script, Statement


def _find(statement: Statement, _script: Script) -> Iterator[Match]:
    for each in changed_settings(statement):
        others = each.value is not None and each.value.lower() != "origin"
        if each.name == "session_replication_role" and others:
            message = "this turns off triggers and foreign keys: rows that break them stay"
            yield Match(message, each.location)


RULE = Rule(
    name="session-replication-role",
    severity=Severity.WARNING,
    advice="Leave it as it is",
    find=_find,
    kinds=SETTING,
)
