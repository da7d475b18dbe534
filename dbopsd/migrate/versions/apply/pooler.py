"""Refuses to migrate through a pooler that gives each transaction another server connection.

Settings, session-level locks and the process id that is watched are of one server connection; such
a pooler leaves them behind on one that it hands to the next client.
"""

from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import ClassVar, Final

from dbopsd.db.database import Database
from dbopsd.db.session import Row, Session
from dbopsd.db.statement import load_sql
from dbopsd.errors import DbopsError, StatusCode

_SQL: Final = "dbopsd.migrate.versions.apply.sql"
_IDENTITY: Final = load_sql(_SQL, "backend_identity.sql").statement
_ANSWER_TIMEOUT_S: Final = 10.0
# With other clients on the pooler, chance may hand the same connection back once or twice.
_ROUNDS: Final = 3


@dataclass(eq=False)
class PoolerInTheWay(DbopsError):
    """A pooler in transaction mode is between dbopsd and the server."""

    reason: ClassVar[str] = "POOLER_IN_THE_WAY"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    database: str

    @property
    def message(self) -> str:
        return (
            f"database '{self.database}' is behind a connection pooler in transaction mode, which "
            f"keeps no session for a migration: let databases.{self.database}.dsn lead to the "
            "server itself"
        )


async def refuse_pooler(database: Database) -> None:
    """Raise `PoolerInTheWay` where one client connection is not one server connection.

    Two connections begin and end transactions in turn. With a server connection each, each keeps
    its own; through such a pooler one gets what the other has just given back.
    """
    async with AsyncExitStack() as stack:
        first, second = [
            await stack.enter_async_context(
                # Without settings: some poolers refuse them before anything can be found out.
                database.dedicated_session(
                    "primary",
                    application_name="dbopsd migrate pooler check",
                    query_timeout_s=_ANSWER_TIMEOUT_S,
                )
            )
            for _ in range(2)
        ]
        pair = (_Client(first), _Client(second))
        for _ in range(_ROUNDS):
            await _take_turns(*pair)
            await _take_turns(*reversed(pair))
        own, others = (client.backends for client in pair)
        if len(own) > 1 or len(others) > 1 or own & others:
            raise PoolerInTheWay(database.name)


class _Client:
    """A session, and the server connections that served it."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.backends: set[Row | None] = set()

    async def look(self) -> None:
        self.backends.add(await self.session.fetch_one(_IDENTITY))


async def _take_turns(first: _Client, second: _Client) -> None:
    """One transaction each; the first client's next statement comes during the other's.

    Whatever order a pooler takes its connections in, either the other client has what the first one
    has given back, or the first one does not get it again, in this turn or the next.
    """
    async with first.session.transaction():
        await first.look()
    async with second.session.transaction():
        await second.look()
        # With a pool of a single connection, this statement would wait for ever.
        if not first.backends & second.backends:
            await first.look()
