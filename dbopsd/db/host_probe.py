"""Looks at one host of a cluster, on a connection of its own, and remembers what it said.

One look is in flight at most, and nobody waits for it: a host that hangs holds up nothing but
itself.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable
from typing import Final

import psycopg

from dbopsd.db.cluster_view import SILENT_AFTER_S, HostAnswer, HostView, Identity
from dbopsd.db.connection import Connection
from dbopsd.db.dsn import CATALOG_ONLY, Dsn, Host
from dbopsd.db.errors import ConnectionLost, DatabaseError, PermissionMissing, QueryTimeout
from dbopsd.db.session import Session
from dbopsd.db.spans import DatabaseTelemetry
from dbopsd.db.statement import Statement, load_sql

_IDENTITY: Final = load_sql(__package__, "cluster_identity.sql").statement
_STARTED: Final = Statement(
    "SELECT NULL, extract(EPOCH FROM pg_catalog.pg_postmaster_start_time())::float8",
    "SELECT pg_postmaster_start_time",
)
_HOST: Final = load_sql(__package__, "cluster_host.sql").statement

APPLICATION: Final = "dbopsd-hosts"
_SETTINGS: Final = {
    **CATALOG_ONLY,
    "statement_timeout": "2000",
    "lock_timeout": "100",
}
# When a connection without an answer is given up for a new one. A server that was merely stopped
# answers on the old one once it goes on, and each new try leaves it a backend.
_GIVE_UP_S: Final = 15.0
_RECONNECT_WAIT_S: Final = (0.3, 0.7)
# A host that has been away for longer is asked less often: it logs each login that it refuses.
_LONG_AWAY_S: Final = 30.0
_LONG_AWAY_WAIT_S: Final = (1.5, 2.5)
# A receiver begins anew after its primary restarts, or somebody changes its settings.
_RECEIVER_GRACE_S: Final = 2.0


class HostProbe:
    """Looks at `host` every `interval_s` seconds, as long as `run()` runs.

    `primary_position` says where the primary's WAL ends, as its own probe saw it last.
    `on_primary` is called when the host begins to take writes. `expected` is False for one of
    several addresses of a name, until it answers.
    """

    def __init__(
        self,
        dsn: Dsn,
        host: Host,
        telemetry: DatabaseTelemetry,
        *,
        interval_s: float,
        connect_timeout_s: int,
        primary_position: Callable[[], int | None],
        on_primary: Callable[[], None],
        expected: bool = True,
    ) -> None:
        self.host = host
        self._dsn = dsn
        self._telemetry = telemetry
        self._interval_s = interval_s
        self._connect_timeout_s = connect_timeout_s
        self._primary_position = primary_position
        self._on_primary = on_primary
        self._expected = expected
        self._identity: Identity | None = None
        self._answer: HostAnswer | None = None
        self._answered_at = time.monotonic()
        self._receiver = _Receiver()
        # When the first and the last answer came and was asked for that it takes writes.
        self._primary_from = self._primary_until = 0.0
        # Since when an answer is due, None while nothing is asked; by time.monotonic().
        self._asked_at: float | None = None
        self._failure = ""
        self._failing_since = 0.0
        # Whether the session before this one ended without an answer of its successor since.
        self._lost = False
        self._looks = 0
        self._looked = asyncio.Event()
        self._hurry = asyncio.Event()

    @property
    def wal_position(self) -> int | None:
        """Where the WAL of a primary ends, in bytes; None of any other server."""
        if self._answer is None or self._answer.in_recovery or self._failure:
            return None
        return self._answer.wal_position

    def view(self) -> HostView:
        """What is known now."""
        now = time.monotonic()
        return HostView(
            name=self.host.name,
            expected=self._expected,
            identity=self._identity,
            answer=self._answer,
            gone=self._gone(now),
            astray=self._receiver.astray(now) if self._answer else "",
            silent_s=now - self._answered_at,
            primary_from=self._primary_from,
            primary_until=self._primary_until,
        )

    def _gone(self, now: float) -> str:
        if self._failure:
            return f"is away for {now - self._failing_since:.0f} s: {self._failure}"
        if self._asked_at is not None and now - self._asked_at >= SILENT_AFTER_S:
            waited_s = now - self._asked_at
            return f"does not answer for {waited_s:.0f} s: it hangs, or the network is cut"
        return ""

    async def look(self) -> None:
        """Return once a look that began after this call has answered or failed."""
        # One that is under way may have asked before.
        until = self._looks + (2 if self._asked_at is not None else 1)
        self.hurry()
        while self._looks < until:
            looked = self._looked
            await looked.wait()

    def hurry(self) -> None:
        """Have the next look begin at once."""
        self._hurry.set()

    async def run(self) -> None:
        """Look for ever; ends by cancellation only."""
        try:
            while True:
                try:
                    await self._look_until_lost()
                except DatabaseError as error:
                    if isinstance(error, ConnectionLost | QueryTimeout) and not self._lost:
                        # An administrator may end a session: the next one tells what is wrong.
                        self._lost = True
                        continue
                    self._note_failure(error)
                    await self._pause(self._wait_s())
        finally:
            self._asked_at = None

    def _wait_s(self) -> float:
        long_away = time.monotonic() - self._failing_since > _LONG_AWAY_S
        bounds = _LONG_AWAY_WAIT_S if long_away else _RECONNECT_WAIT_S
        return random.uniform(*bounds)  # noqa: S311 - jitter

    async def _look_until_lost(self) -> None:
        if self._asked_at is None:
            self._asked_at = time.monotonic()
        conninfo = self._dsn.conninfo(
            "probe",
            application_name=APPLICATION,
            connect_timeout_s=self._connect_timeout_s,
            settings=_SETTINGS,
            host=self.host,
        )
        try:
            connection = await Connection.connect(conninfo)
        except psycopg.Error as error:
            raise await self._dsn.explain(error, self.host) from error
        try:
            endpoint = self._telemetry.endpoint(connection)
            session = Session(connection, endpoint, query_timeout_s=_GIVE_UP_S)
            identity = await _identify(session)
            while True:
                self._asked_at = self._asked_at or time.monotonic()
                ((*row,),) = await session.fetch_all(_HOST)
                self._note_answer(identity, HostAnswer(*row))
                await self._pause(self._interval_s)
        finally:
            with contextlib.suppress(psycopg.Error):
                await connection.close()

    def _note_answer(self, identity: Identity, answer: HostAnswer) -> None:
        now = time.monotonic()
        if identity != self._identity or not answer.in_recovery or answer.archive_only:
            self._receiver = _Receiver()
        else:
            self._receiver.note(answer, self._primary_position(), now)
        self._note_writes(identity, answer, now)
        self._identity, self._answer, self._answered_at = identity, answer, now
        self._failure, self._asked_at, self._lost = "", None, False
        # One of several addresses of a name: by now it is known that something is there.
        self._expected = True
        self._note_look()

    def _note_writes(self, identity: Identity, answer: HostAnswer, now: float) -> None:
        if not answer.takes_writes:
            self._primary_from = self._primary_until = 0.0
            return
        self._primary_until = self._asked_at or now
        if not self._primary_from or identity != self._identity:
            self._primary_from = now
            self._on_primary()

    def _note_failure(self, error: DatabaseError) -> None:
        if not self._failure:
            self._failing_since = self._asked_at or time.monotonic()
        self._failure = error.message
        self._asked_at = None
        self._note_look()

    def _note_look(self) -> None:
        self._looks += 1
        looked, self._looked = self._looked, asyncio.Event()
        looked.set()

    async def _pause(self, seconds: float) -> None:
        """Wait, unless somebody is in a hurry to know."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hurry.wait()
        self._hurry.clear()


class _Receiver:
    """Whether a standby receives what its primary writes, judged over several looks."""

    def __init__(self) -> None:
        self._began_at = time.monotonic()
        self._pid: int | None = None
        self._received_at: float | None = None
        # Whether it counts as received; None until the first judgement.
        self._receives: bool | None = None
        self._position: int | None = None
        self._behind_since: float | None = None

    def note(self, answer: HostAnswer, primary_position: int | None, now: float) -> None:
        """Take one more look into account."""
        self._note_process(answer, now)
        self._note_position(answer, primary_position, now)

    def _note_process(self, answer: HostAnswer, now: float) -> None:
        if answer.receiver_pid is None or not answer.receiving:
            self._pid = None
            if now - (self._received_at or self._began_at) >= _RECEIVER_GRACE_S:
                self._receives = False
            return
        # One that fails at once is begun again and again: the second look at it counts.
        if self._receives is not False or answer.receiver_pid == self._pid:
            self._receives, self._received_at = True, now
        self._pid = answer.receiver_pid

    def _note_position(self, answer: HostAnswer, primary_position: int | None, now: float) -> None:
        stands = answer.wal_position == self._position
        self._position = answer.wal_position
        behind = (
            primary_position is not None
            and answer.wal_position is not None
            and answer.wal_position < primary_position
        )
        if not behind or not stands:
            self._behind_since = None
        elif self._behind_since is None:
            self._behind_since = now

    def astray(self, now: float) -> str:
        """Why the standby follows nobody; empty: it follows, as far as is known."""
        if self._receives is False:
            return "receives no WAL: look at its primary_conninfo, its log and the network"
        if self._behind_since is not None and now - self._behind_since >= SILENT_AFTER_S:
            waited_s = now - self._behind_since
            return (
                f"has received nothing for {waited_s:.0f} s of what the primary wrote: "
                "the network between them is cut, or its disk hangs"
            )
        return ""


async def _identify(session: Session) -> Identity:
    try:
        rows = await session.fetch_all(_IDENTITY)
    except PermissionMissing:
        rows = await session.fetch_all(_STARTED)
    ((system, started_at),) = rows
    return Identity(system, started_at)
