"""What would take dbopsd's own lock from the session that runs the migrations."""

from collections.abc import Iterator
from typing import Final

from dbopsd.migrate.versions.check.expressions import functions_called
from dbopsd.migrate.versions.check.rule import Match, Rule
from dbopsd.migrate.versions.check.tree import Script, Statement
from dbopsd.migrate.versions.model.reports import Severity

_UNLOCK: Final = "pg_advisory_unlock_all"


def _find(statement: Statement, _script: Script) -> Iterator[Match]:
    if statement.kind == "DiscardStmt":
        if statement.node.get("target") == "DISCARD_ALL":
            yield Match(
                "DISCARD ALL would give up the lock that no second apply may have meanwhile"
            )
    elif _UNLOCK in functions_called({statement.kind: statement.node}):
        yield Match(f"{_UNLOCK}() would give up the lock that no second apply may have meanwhile")


RULE = Rule(
    name="ends-session-state",
    severity=Severity.ERROR,
    advice="Leave it out: what a file sets in its session is reset after it",
    find=_find,
    kinds=frozenset({"DiscardStmt", "SelectStmt"}),
    problem="CANNOT_RUN",
)
