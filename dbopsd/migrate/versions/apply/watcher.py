"""The connection of whoever watches a migration, beside the one that does the work."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import ClassVar, Final

from dbopsd.db.database import Database
from dbopsd.db.dsn import CATALOG_ONLY
from dbopsd.db.errors import DatabaseError
from dbopsd.db.session import Row, Session
from dbopsd.db.statement import load_sql
from dbopsd.errors import DbopsError, StatusCode

_BACKEND: Final = load_sql("dbopsd.migrate.versions.apply.sql", "backend_seen.sql").statement
_ANSWER_TIMEOUT_S: Final = 5.0


@dataclass(eq=False)
class ServersDiffer(DbopsError):
    """The session that does the work and the one that watches it are on different servers."""

    reason: ClassVar[str] = "SERVERS_DIFFER"
    code: ClassVar[StatusCode] = StatusCode.UNAVAILABLE

    database: str

    @property
    def message(self) -> str:
        return (
            f"two connections to database '{self.database}' lead to different servers: let "
            f"databases.{self.database}.dsn lead to one, and apply again once a failover is over"
        )


class Watcher:
    """Has a session that sees the backend at work, and opens it anew where it was lost."""

    def __init__(
        self,
        database: str,
        session: Session,
        connect: Callable[[], AbstractAsyncContextManager[Session]],
    ) -> None:
        self.session = session
        self._database = database
        self._connect = connect
        self._reopened = AsyncExitStack()
        self._backend_pid = 0
        self._backend: Row | None = None

    async def follow(self, working: Session, backend_pid: int) -> None:
        """Watch the backend of the session that does the work, now and after a loss.

        Raises `ServersDiffer` where it does not see it: on another server, the process of that
        number is somebody else's, and would be cancelled.
        """
        self._backend_pid = backend_pid
        parameters = {"pid": backend_pid}
        own = await working.fetch_one(_BACKEND, parameters)
        seen = await self.session.fetch_one(_BACKEND, parameters)
        if own is None or seen is None or own[:2] != seen[:2]:
            raise ServersDiffer(self._database)
        # A session that began as another role is not told when it began.
        if own[2] not in (None, seen[2]):
            raise ServersDiffer(self._database)
        self._backend = seen

    async def look_after(self) -> None:
        """Open the session anew if it was lost while it was idle. Raises what `reopen` does."""
        if self.session.usable and not self.session.has_news:
            return
        try:
            await self._check_backend(self.session)
        except DatabaseError:
            await self.reopen()

    async def reopen(self) -> None:
        """Put a new session in the place of this one.

        Raises a `DatabaseError` where there is none to be had, and `ServersDiffer` where it does
        not see the backend at work.
        """
        async with AsyncExitStack() as stack:
            session = await stack.enter_async_context(self._connect())
            await self._check_backend(session)
            lost, self._reopened = self._reopened, stack.pop_all()
            self.session = session
        await lost.aclose()

    async def close(self) -> None:
        """Close what was opened anew."""
        await self._reopened.aclose()

    async def _check_backend(self, session: Session) -> None:
        seen = await session.fetch_one(_BACKEND, {"pid": self._backend_pid})
        if seen != self._backend:
            raise ServersDiffer(self._database)


@asynccontextmanager
async def watching_session(database: Database) -> AsyncIterator[Session]:
    """A connection that only looks, beside the one that does the work."""
    async with database.dedicated_session(
        "primary",
        application_name="dbopsd migrate watch",
        query_timeout_s=_ANSWER_TIMEOUT_S,
        # It is idle for as long as a migration waits for none. Of another role, which sessions of
        # this one may begin as, the server would tell it nothing of the backend at work.
        settings={**CATALOG_ONLY, "idle_session_timeout": "0", "role": "none"},
        replace_bad_text=True,
    ) as session:
        yield session


@asynccontextmanager
async def watcher_of(database: Database) -> AsyncIterator[Watcher]:
    """A watcher of migrations of that database."""

    def connect() -> AbstractAsyncContextManager[Session]:
        return watching_session(database)

    async with connect() as session:
        watcher = Watcher(database.name, session, connect)
        try:
            yield watcher
        finally:
            await watcher.close()
