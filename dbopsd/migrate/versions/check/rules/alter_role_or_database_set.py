"""ALTER ROLE and ALTER DATABASE … SET of what migrations, or the data, depend on."""

from collections.abc import Iterator
from typing import Final

from dbopsd.migrate.versions.check.rule import Match, Rule
from dbopsd.migrate.versions.check.settings import changed_default
from dbopsd.migrate.versions.model.reports import Severity
from dbopsd.migrate.versions.sql.syntax_tree import Script, Statement

_HARMLESS: Final = {
    "session_replication_role": frozenset({"origin"}),
    "standard_conforming_strings": frozenset({"on", "true", "yes", "1"}),
    "default_transaction_read_only": frozenset({"off", "false", "no", "0"}),
}
_MESSAGES: Final = {
    "session_replication_role": "later sessions run without triggers and foreign keys",
    "standard_conforming_strings": "later sessions read backslashes in strings as escapes",
    "default_transaction_read_only": "later sessions cannot write, those of dbopsd among them",
}


def _find(statement: Statement, _script: Script) -> Iterator[Match]:
    setting = changed_default(statement)
    if setting is None or setting.value is None:
        return
    harmless = _HARMLESS.get(setting.name)
    if harmless is not None and setting.value.lower() not in harmless:
        yield Match(_MESSAGES[setting.name])


RULE = Rule(
    name="alter-role-or-database-set",
    severity=Severity.WARNING,
    advice="Set it in the sessions that need it",
    find=_find,
    kinds=frozenset({"AlterRoleSetStmt", "AlterDatabaseSetStmt"}),
)
