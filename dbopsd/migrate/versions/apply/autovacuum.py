"""Workers of autovacuum in the way of a migration.

The server ends such a worker by itself, but only once somebody has waited for `deadlock_timeout`
(1 s by default): a `lock_timeout` below it never gets there.
"""

from typing import Final

from dbopsd.db.session import Session
from dbopsd.db.statement import load_sql

_SQL: Final = "dbopsd.migrate.versions.apply.sql"
_MAY_SET: Final = load_sql(_SQL, "may_set_deadlock_timeout.sql").statement
_CANCEL: Final = load_sql(_SQL, "cancel_autovacuum.sql").statement

# A tenth of the default: a search for deadlocks stops all who lock, for microseconds.
_DEADLOCK_TIMEOUT: Final = "100ms"


async def settings_against_autovacuum(session: Session) -> dict[str, str]:
    """Settings with which a connection of the same role need not wait long for autovacuum.

    Empty where the role may not set them. They are for the start of the connection, so that
    `RESET ALL` comes back to them.
    """
    row = await session.fetch_one(_MAY_SET)
    return {"deadlock_timeout": _DEADLOCK_TIMEOUT} if row is not None and row[0] else {}


async def cancel_autovacuum(session: Session, backend_pid: int) -> int:
    """Cancel workers of autovacuum that the backend waits for; how many.

    Those that run against wraparound go on, and so do all where the role may not cancel them.
    """
    return len(await session.fetch_all(_CANCEL, {"pid": backend_pid}))
