"""A backend whose session was given up, and that may still be there."""

from typing import Final

from dbopsd.db.database import Database
from dbopsd.db.errors import DatabaseError
from dbopsd.db.statement import load_sql
from dbopsd.metrics.server_facts import ServerFacts

_END_LEFT_BEHIND: Final = load_sql(__package__, "end_left_behind.sql").statement
_POOL_WAIT_S: Final = 1.0


class LeftBehind:
    """The backend that one connection of a sampler left behind, if any.

    One that hangs alone, in a file system that does not answer, would have the next one beside it,
    and that the one after. So nobody takes that connection's place before it has ended.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._facts: ServerFacts | None = None

    def give_up(self, facts: ServerFacts) -> None:
        """The session of these facts did not answer."""
        self._facts = facts

    async def has_ended(self) -> bool:
        """Whether it has ended. If not, the server is asked to end it.

        The question goes to the shared pool, which has connections.
        """
        facts = self._facts
        if facts is None:
            return True
        backend = {"pid": facts.backend_pid, "started_at": facts.backend_started_at}
        try:
            async with self._database.session(timeout_s=_POOL_WAIT_S) as session:
                if await session.fetch_all(_END_LEFT_BEHIND, backend):
                    return False
        except DatabaseError:
            return False
        self._facts = None
        return True
