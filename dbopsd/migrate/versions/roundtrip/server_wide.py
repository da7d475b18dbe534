"""What a migration may not do on a scratch database: it would reach beyond it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final

from dbopsd.db.session import Session
from dbopsd.errors import DbopsError, StatusCode
from dbopsd.migrate.versions.model.migration_file import Script
from dbopsd.migrate.versions.roundtrip.statements import load
from dbopsd.migrate.versions.sql.lexer import SqlStatement, blanked, statements
from dbopsd.migrate.versions.sql.positions import place
from dbopsd.migrate.versions.sql.transactions import copies_from_client, transaction_control

# By the words of a statement, its quotes and comments taken out.
_SHARED: Final = tuple(
    (what, re.compile(pattern, re.IGNORECASE | re.DOTALL))
    for what, pattern in (
        ("roles", r"(?:CREATE|ALTER|DROP)\s+(?:ROLE|GROUP|USER(?!\s+MAPPING))\b"),
        ("memberships of roles", r"(?:GRANT|REVOKE)\b(?!.*\bON\b)"),
        ("privileges", r"(?:GRANT|REVOKE)\b.*\bON\s+(?:DATABASE|TABLESPACE|PARAMETER)\b"),
        ("what roles own", r"(?:DROP|REASSIGN)\s+OWNED\b"),
        ("databases", r"(?:CREATE|ALTER|DROP)\s+DATABASE\b"),
        ("tablespaces", r"(?:CREATE|ALTER|DROP)\s+TABLESPACE\b"),
        ("subscriptions", r"(?:CREATE|ALTER|DROP)\s+SUBSCRIPTION\b"),
        ("settings", r"ALTER\s+SYSTEM\b"),
        (
            "comments",
            r"COMMENT\s+ON\s+(?:ROLE|DATABASE|TABLESPACE|SUBSCRIPTION)\b",
        ),
        ("labels", r"SECURITY\s+LABEL\b.*\bON\s+(?:ROLE|DATABASE|TABLESPACE|SUBSCRIPTION)\b"),
        # The name of a file is a string, and so blanks.
        (
            "files",
            r"COPY\b(?:[^()]|\([^()]*\))*\b(?:FROM|TO)\s+(?:PROGRAM\b|(?!STD)(?:WITH\b|\(|$))",
        ),
    )
)
_FUNCTIONS: Final = re.compile(
    r"\b(pg_(?:reload_conf|rotate_logfile|switch_wal|promote|terminate_backend|cancel_backend"
    r"|create_(?:physical|logical)_replication_slot|drop_replication_slot"
    r"|replication_origin_(?:create|drop))|lo_export|dblink(?:_exec|_connect)?)\s*\(",
    re.IGNORECASE,
)


@dataclass(eq=False)
class ReachesBeyond(DbopsError):
    """A migration changes what all databases of the server share. Its transaction is undone."""

    reason: ClassVar[str] = "REACHES_BEYOND"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    what: str

    @property
    def message(self) -> str:
        return f"it changes {self.what} of the server, which all its databases share"


def why_not(script: Script) -> str:
    """Why a script cannot run on a scratch database, with its place; empty: it can.

    By its statements alone: what is in the body of a function or of DO is found when it runs.
    """
    return next(_refusals(script), "")


async def refuse_to_reach_beyond(session: Session) -> None:
    """Raise `ReachesBeyond` if the open transaction changed what other databases share."""
    found = await session.fetch_all(load("touched"))
    if found:
        raise ReachesBeyond(" and ".join(sorted({what for (what,) in found})))


def _refusals(script: Script) -> Iterator[str]:
    text = script.text
    for statement in statements(text):
        if control := transaction_control(text, statement.start, statement.end):
            yield _at(script, statement, f"{control} inside a migration")
        elif copies_from_client(text, statement.start, statement.end):
            yield _at(script, statement, "COPY FROM STDIN has no data")
        shown = blanked(text, statement.start, statement.end)
        for what, pattern in _SHARED:
            if pattern.match(shown):
                yield _at(script, statement, ReachesBeyond(what).message)
        if call := _FUNCTIONS.search(shown):
            yield _at(script, statement, f"{call[1].lower()}() reaches beyond its database")


def _at(script: Script, statement: SqlStatement, problem: str) -> str:
    line, column = place(script, statement.start)
    return f"{script.path}:{line}:{column}: {problem}"
