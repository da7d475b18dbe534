"""The time that the server gives each statement of a session that only looks."""

from typing import Final

from dbopsd.db.session import Session
from dbopsd.db.statement import load_sql

_SET_TIMEOUT: Final = load_sql(__package__, "set_timeout.sql").statement


async def set_statement_timeout(session: Session, timeout_s: float) -> None:
    """Give each statement from now on `timeout_s` seconds. A rollback takes it back."""
    await session.execute(_SET_TIMEOUT, (f"{timeout_s * 1000:.0f}",))
