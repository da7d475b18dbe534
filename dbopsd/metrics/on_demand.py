"""Sessions for what people ask of a database now: few at once, short, and read-only."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from dbopsd.db.database import Database
from dbopsd.db.dsn import CATALOG_ONLY, Purpose
from dbopsd.db.errors import ConnectFailed
from dbopsd.db.session import Session
from dbopsd.errors import DatabaseNotFound
from dbopsd.metrics.errors import TooManyQuestions

_AT_ONCE: Final = 2
_WAIT_S: Final = 5.0
_LOCK_TIMEOUT_MS: Final = 1000
# Over the server's own timeout: then it hangs.
_GRACE_S: Final = 1.0


class OnDemand:
    """Opens sessions on databases, at most two at once on each."""

    def __init__(self, databases: Mapping[str, Database]) -> None:
        self._databases = databases
        self._free = {name: asyncio.Semaphore(_AT_ONCE) for name in databases}

    def database(self, name: str) -> Database:
        """The database. Raises `DatabaseNotFound`."""
        try:
            return self._databases[name]
        except KeyError:
            raise DatabaseNotFound(name) from None

    @asynccontextmanager
    async def session(
        self, name: str, *, timeout_s: float, with_settings: bool = True
    ) -> AsyncIterator[Session]:
        """A session whose statements may take `timeout_s` each.

        Without settings it is as any other client's, so that one sees the server's own settings.

        Raises `DatabaseNotFound`, `TooManyQuestions` and `ConnectFailed`.
        """
        database = self.database(name)
        try:
            async with asyncio.timeout(_WAIT_S):
                await self._free[name].acquire()
        except TimeoutError:
            raise TooManyQuestions(name, _AT_ONCE) from None
        try:
            async with AsyncExitStack() as stack:
                settings = _settings(timeout_s) if with_settings else {}
                yield await _opened(stack, database, timeout_s, settings)
        finally:
            self._free[name].release()


async def _opened(
    stack: AsyncExitStack, database: Database, timeout_s: float, settings: dict[str, str]
) -> Session:
    """A session on the primary; on a standby of a cluster where no host takes writes."""

    async def on(purpose: Purpose) -> Session:
        return await stack.enter_async_context(
            database.dedicated_session(
                purpose,
                application_name="dbopsd-on-demand",
                query_timeout_s=timeout_s + _GRACE_S,
                settings=settings,
                replace_bad_text=True,
            )
        )

    try:
        return await on("primary")
    except ConnectFailed:
        if not database.dsn.is_cluster:
            raise
        return await on("probe")


def _settings(timeout_s: float) -> dict[str, str]:
    return {
        **CATALOG_ONLY,
        "statement_timeout": f"{timeout_s * 1000:.0f}",
        "lock_timeout": str(_LOCK_TIMEOUT_MS),
        "default_transaction_read_only": "on",
        "jit": "off",
    }
