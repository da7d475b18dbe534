"""Deferred constraints of a migration that is tried: it has no COMMIT at which they are checked."""

from collections.abc import Sequence

from dbopsd.db.identifiers import quoted
from dbopsd.db.session import Session
from dbopsd.db.statement import Statement
from dbopsd.migrate.versions.apply.session_state import load


async def check_deferred(session: Session) -> None:
    """Check what a COMMIT would, and leave constraints as a new transaction finds them.

    By their names: what is said of ALL holds for those of later migrations, too, and nothing takes
    it back. Raises `ScriptFailed`.
    """
    rows = await session.fetch_all(load("deferrable_constraints"))
    at_once = [quoted(schema, name) for schema, name, _ in rows]
    deferred = [quoted(schema, name) for schema, name, at_first in rows if at_first]
    if at_once:
        await session.execute_script(_set(at_once, "IMMEDIATE"))
    if deferred:
        await session.execute_script(_set(deferred, "DEFERRED"))


def _set(names: Sequence[str], to: str) -> Statement:
    return Statement(f"SET CONSTRAINTS {', '.join(names)} {to}", "SET CONSTRAINTS")
