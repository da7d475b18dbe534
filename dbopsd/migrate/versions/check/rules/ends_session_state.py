"""What would take dbopsd's own lock from the session that runs the migrations."""

from collections.abc import Iterator
from typing import Final

from dbopsd.migrate.versions.check.expressions import CALLING, do_bodies, functions_called
from dbopsd.migrate.versions.check.rule import Match, Rule
from dbopsd.migrate.versions.model.reports import Severity
from dbopsd.migrate.versions.sql.syntax_tree import Script, Statement

_UNLOCK: Final = "pg_advisory_unlock_all"
_LOSES: Final = "would give up the lock that keeps a second apply away"


def _find(statement: Statement, _script: Script) -> Iterator[Match]:
    match statement.kind:
        case "DiscardStmt":
            if statement.node.get("target") == "DISCARD_ALL":
                yield Match(f"DISCARD ALL {_LOSES}")
        case "DoStmt":
            if any(_UNLOCK in text.lower() for text in do_bodies(statement.node)):
                yield Match(f"{_UNLOCK}() {_LOSES}")
        case _:
            if _UNLOCK in functions_called({statement.kind: statement.node}):
                yield Match(f"{_UNLOCK}() {_LOSES}")


RULE = Rule(
    name="ends-session-state",
    severity=Severity.ERROR,
    advice="Leave it out: what a file sets in its session is reset after it",
    find=_find,
    kinds=CALLING | {"DiscardStmt", "DoStmt"},
    problem="CANNOT_RUN",
)
