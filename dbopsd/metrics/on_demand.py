"""Sessions for what people ask of a database now: few at once, short, and read-only."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from dbopsd.db.database import Database
from dbopsd.db.dsn import CATALOG_ONLY
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
            async with database.dedicated_session(
                "primary",
                application_name="dbopsd-on-demand",
                query_timeout_s=timeout_s + _GRACE_S,
                settings=_settings(timeout_s) if with_settings else {},
            ) as session:
                yield session
        finally:
            self._free[name].release()


def _settings(timeout_s: float) -> dict[str, str]:
    return {
        **CATALOG_ONLY,
        "statement_timeout": f"{timeout_s * 1000:.0f}",
        "lock_timeout": str(_LOCK_TIMEOUT_MS),
        "default_transaction_read_only": "on",
        "jit": "off",
    }
