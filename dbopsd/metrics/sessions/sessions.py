"""Lists the sessions of a server, and ends what one of them runs, or all of it."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from typing import Final

from dbopsd.db.errors import PermissionMissing
from dbopsd.db.session import Session
from dbopsd.db.statement import Statement, load_sql
from dbopsd.metrics.errors import (
    SessionHidden,
    SessionNotFound,
    SessionNotSignalled,
    SessionProtected,
    SignalDenied,
)
from dbopsd.metrics.on_demand import OnDemand

_LIST: Final = load_sql(__package__, "list_sessions.sql").statement
_NOW: Final = load_sql(__package__, "session_now.sql").statement
_TIMEOUT_S: Final = 5.0
_END_WITHIN_S: Final = 2.0
_LOOK_EVERY_S: Final = 0.05
CLIENT: Final = "client backend"
# What a client has started, and what may be ended without harm to the server.
_MAY_END: Final = (CLIENT, "parallel worker", "autovacuum worker", "walsender")


class Ending(Enum):
    """What is ended: the statement that runs, or the session with its transaction."""

    CANCEL = "cancel"
    TERMINATE = "terminate"

    @property
    def statement(self) -> Statement:
        """The SQL that sends the signal."""
        return load_sql(__package__, f"{self.value}_session.sql").statement


@dataclass(frozen=True, slots=True)
class ServerSession:
    """A process of the server. Times are None where there is none, texts empty."""

    pid: int
    start_time: datetime | None
    """None if the role of the DSN may not see it, nor what else is about the session."""

    backend_type: str
    leader_pid: int
    """The session that a parallel worker works for; else 0."""

    postgres_database: str
    role: str
    application: str
    client_address: str
    state: str
    state_time: datetime | None
    wait_event_type: str
    wait_event: str
    transaction_time: datetime | None
    statement_time: datetime | None
    statement: str
    query_id: str
    blocked_by: Sequence[int]
    wait_time: datetime | None
    horizon_age: int
    own: bool
    """Whether it is a session of dbopsd's own."""

    blocked_count: int = field(default=0, kw_only=True)
    """How many wait for it, directly or behind others."""


class Sessions:
    """The sessions of databases' servers."""

    def __init__(self, on_demand: OnDemand) -> None:
        self._on_demand = on_demand

    async def list(self, database: str) -> list[ServerSession]:
        """Every process but the one that looks, the oldest first. Raises `DatabaseError`."""
        async with self._on_demand.session(database, timeout_s=_TIMEOUT_S) as session:
            return await _listed(session)

    async def end(
        self, database: str, pid: int, start_time: datetime, how: Ending, *, only_check: bool
    ) -> tuple[ServerSession, bool]:
        """End a session or its statement: as it was before, and whether it was seen to end.

        A process id is used again by later sessions, so the start time must be that of the one
        meant. Raises `SessionNotFound`, `SessionHidden`, `SessionProtected`,
        `SignalDenied`, `SessionNotSignalled` and `DatabaseError`.
        """
        async with self._on_demand.session(database, timeout_s=_TIMEOUT_S) as session:
            named = {"pid": pid, "start_time": start_time}
            found = next((each for each in await _listed(session) if each.pid == pid), None)
            if found is not None and found.start_time is None:
                raise SessionHidden(database, pid)
            if found is None or found.start_time != start_time:
                raise SessionNotFound(database, pid)
            if found.backend_type not in _MAY_END:
                raise SessionProtected(database, pid, f"the server's {found.backend_type}")
            if found.own:
                raise SessionProtected(database, pid, f"dbopsd's own ({found.application})")
            if only_check:
                return found, False
            try:
                row = await session.fetch_one(how.statement, named)
            except PermissionMissing as error:
                raise SignalDenied(database, pid, found.role) from error
            if row is None:
                raise SessionNotFound(database, pid)
            if not row[0]:
                raise SessionNotSignalled(database, pid)
            return found, await self._ended(session, found, how)

    async def _ended(self, session: Session, was: ServerSession, how: Ending) -> bool:
        loop = asyncio.get_running_loop()
        until = loop.time() + _END_WITHIN_S
        while True:
            row = await session.fetch_one(_NOW, {"pid": was.pid, "start_time": was.start_time})
            if row is None:
                return True
            if how is Ending.CANCEL and (
                row[0] not in ("active", "fastpath function call") or row[1] != was.statement_time
            ):
                return True
            if loop.time() >= until:
                return False
            await asyncio.sleep(_LOOK_EVERY_S)


async def _listed(session: Session) -> list[ServerSession]:
    found = await session.fetch_all_as(ServerSession, _LIST)
    return _with_counts(found)


def _with_counts(sessions: Iterable[ServerSession]) -> list[ServerSession]:
    """The sessions with how many wait for each, along every chain of who blocks whom."""
    found = list(sessions)
    waiting_for: dict[int, list[int]] = {}
    for each in found:
        for pid in each.blocked_by:
            waiting_for.setdefault(pid, []).append(each.pid)
    return [replace(each, blocked_count=len(_behind(each.pid, waiting_for))) for each in found]


def _behind(pid: int, waiting_for: dict[int, list[int]]) -> set[int]:
    behind: set[int] = set()
    new = [pid]
    while new:
        # A deadlock is a ring until the server breaks it.
        new = [each for one in new for each in waiting_for.get(one, ()) if each not in behind]
        behind.update(new)
    return behind - {pid}
