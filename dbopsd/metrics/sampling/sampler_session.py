"""The session of one connection of a sampler."""

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from dbopsd.db.database import Database
from dbopsd.db.dsn import CATALOG_ONLY, Dsn
from dbopsd.db.errors import ConnectFailed
from dbopsd.db.session import Session
from dbopsd.db.statement import load_sql

_LIMIT_SESSION: Final = load_sql(__package__, "limit_session.sql").statement
_LOCK_TIMEOUT_MS: Final = 100
# Over the statements' own timeout, which the server enforces: then it hangs.
_GRACE_S: Final = 1.0


@asynccontextmanager
async def sampler_session(
    database: Database,
    name: str,
    *,
    statement_timeout_s: float,
    longest_timeout_s: float,
    dsn: Dsn | None = None,
) -> AsyncIterator[Session]:
    """A session on the primary; on a standby of a cluster where no host takes writes.

    It is read-only, waits for no lock, and finds nothing but what is in `pg_catalog`. `dsn`: the
    database's own with another login. Raises `DatabaseError`.
    """
    async with contextlib.AsyncExitStack() as stack:
        session: Session | None = None
        for purpose in ("primary", "probe"):
            try:
                session = await stack.enter_async_context(
                    database.dedicated_session(
                        purpose,
                        application_name=f"dbopsd-sampler-{name}",
                        query_timeout_s=longest_timeout_s + _GRACE_S,
                        settings=CATALOG_ONLY,
                        dsn=dsn,
                        replace_bad_text=True,
                    )
                )
                break
            except ConnectFailed:
                if purpose == "probe" or not database.dsn.is_cluster:
                    raise
        assert session is not None  # noqa: S101 - or the last attempt has raised
        # In the startup packet they would be what pg_settings says of the server.
        limits = {
            "statement_timeout": f"{statement_timeout_s * 1000:.0f}",
            "lock_timeout": str(_LOCK_TIMEOUT_MS),
        }
        await session.fetch_one(_LIMIT_SESSION, limits)
        yield session
