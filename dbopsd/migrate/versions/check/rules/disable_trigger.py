"""ALTER TABLE DISABLE TRIGGER."""

from collections.abc import Iterator

from dbopsd.migrate.versions.check.rule import Match, Rule, Weight
from dbopsd.migrate.versions.model.reports import Severity
from dbopsd.migrate.versions.sql.syntax_tree import Script, Statement, alter_commands


def _find(statement: Statement, _script: Script) -> Iterator[Match]:
    for command in alter_commands(
        statement, "AT_DisableTrig", "AT_DisableTrigAll", "AT_DisableTrigUser"
    ):
        which = f"the trigger {command['name']}" if command.get("name") else "triggers"
        also = (
            ", those of foreign keys among them"
            if command["subtype"] == "AT_DisableTrigAll"
            else ""
        )
        yield Match(f"this turns off {which}{also}, for every session")


RULE = Rule(
    name="disable-trigger",
    severity=Severity.WARNING,
    advice="Leave triggers on; where one must not fire for some rows, let it tell them "
    "apart by a condition",
    find=_find,
    kinds=frozenset({"AlterTableStmt"}),
    weight=Weight.LOCK,
)
