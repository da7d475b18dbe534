"""Functions whose effects are outside of the migration's transaction, or hold it up."""

import re
from collections.abc import Iterator
from typing import Final

from dbopsd.migrate.versions.check.expressions import CALLING, calls, constant_text, do_bodies
from dbopsd.migrate.versions.check.rule import Match, Rule
from dbopsd.migrate.versions.model.reports import Severity
from dbopsd.migrate.versions.sql.syntax_tree import Node, Script, Statement

_FILES: Final = "uses files of the server's machine"
_AT_ONCE: Final = "acts on the whole server at once, and no rollback takes it back"
_OTHERS: Final = "ends what others are doing, and no rollback takes it back"
_REMOTE: Final = "works in another session, which commits by itself, and may wait for locks of this"
_UNLOCKS: Final = "may give up a lock that dbopsd needs"
_SLEEPS: Final = "waits with every lock held that the file has taken"
_EFFECTS: Final = {
    **dict.fromkeys(("pg_read_file", "pg_read_binary_file", "lo_import", "lo_export"), _FILES),
    **dict.fromkeys(("pg_reload_conf", "pg_rotate_logfile"), _AT_ONCE),
    **dict.fromkeys(("pg_terminate_backend", "pg_cancel_backend"), _OTHERS),
    **dict.fromkeys(("pg_advisory_unlock", "pg_advisory_unlock_shared"), _UNLOCKS),
    **dict.fromkeys(("pg_sleep_for", "pg_sleep_until"), _SLEEPS),
}
_IN_TEXT: Final = re.compile(
    rf"\b({'|'.join(sorted(_EFFECTS, key=len, reverse=True))}|dblink\w*)\s*\(", re.IGNORECASE
)
_SHORT_S: Final = 0.5
"""What all waits of a migration may take by default (`lock_budget_ms`)."""


def _find(statement: Statement, _script: Script) -> Iterator[Match]:
    if statement.kind == "DoStmt":
        for text in do_bodies(statement.node):
            for name in dict.fromkeys(found.lower() for found in _IN_TEXT.findall(text)):
                yield Match(f"{name}() {_effect(name, [])}")
        return
    for name, arguments, location in calls({statement.kind: statement.node}):
        if effect := _effect(name, arguments):
            yield Match(f"{name}() {effect}", location)


def _effect(name: str, arguments: list[Node]) -> str:
    """What a call does that it should not; empty: nothing."""
    if name == "pg_sleep":
        return "" if _is_short(arguments) else _SLEEPS
    if name == "dblink" or name.startswith("dblink_"):
        return _REMOTE
    return _EFFECTS.get(name, "")


def _is_short(arguments: list[Node]) -> bool:
    try:
        return float(constant_text(arguments[0]) or "inf") <= _SHORT_S
    except (ValueError, IndexError):
        return False


RULE = Rule(
    name="server-function",
    severity=Severity.WARNING,
    advice="Do it outside of migrations",
    find=_find,
    kinds=CALLING | {"DoStmt"},
)
