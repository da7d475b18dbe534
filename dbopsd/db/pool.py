"""The shared connections of one database: psycopg_pool, traced, measured and kept alive."""

import asyncio
import contextlib
import functools
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import psycopg_pool
from opentelemetry.metrics import CallbackOptions, Histogram, Meter, Observation
from opentelemetry.trace import SpanKind, Status, StatusCode

from dbopsd.config import PoolConfig
from dbopsd.db.cluster_watch import ClusterWatch
from dbopsd.db.connection import Connection
from dbopsd.db.dsn import Dsn, Purpose
from dbopsd.db.errors import DatabaseError, NoConnection, PoolClosed, PoolExhausted, QueryTimeout
from dbopsd.db.leases import Lease, LeaseBook
from dbopsd.db.server_role_policy import ServerRolePolicy
from dbopsd.db.session import Session
from dbopsd.db.spans import DatabaseTelemetry
from dbopsd.db.statement import Statement
from dbopsd.telemetry import names

_PING = Statement("SELECT 1", "SELECT 1")
# A connection unused for longer is asked before it is lent, one that was just used is not:
# its socket tells whether the server has closed it, at the price of one system call.
_TRUSTED_FOR_S = 1.0
# With the session's grace of a second.
_PING_TIMEOUT_S = 1.0
# psycopg_pool doubles its wait between attempts without a bound of our choosing, so it is told
# to give up after one, and begins anew after a short wait: a server that comes back is found
# within a second, however long it was away.
_RECONNECT_TIMEOUT_S = 1.0
_RETRY_WAIT_S = (0.25, 0.75)
# Below this a wait for a connection is no wait, and gets no span.
_NOTABLE_WAIT_S = 0.001


@dataclass(frozen=True, slots=True)
class PoolStats:
    """A pool's state now; `timeouts_total` and `leaks_total` since the start."""

    size: int
    used: int
    max_size: int
    waiting: int
    leaked: int
    timeouts_total: int
    leaks_total: int


class ConnectionPool:
    """Connections for one purpose ("write": to the server that takes writes; "read": to any).

    Opened explicitly, never fails for an unreachable server: connections come when it does.
    """

    def __init__(
        self,
        dsn: Dsn,
        purpose: Purpose,
        config: PoolConfig,
        telemetry: DatabaseTelemetry,
        cluster: ClusterWatch | None = None,
    ) -> None:
        self._dsn = dsn
        self._purpose = purpose
        self._role_policy = ServerRolePolicy(purpose, is_cluster=dsn.is_cluster)
        self.config = config
        self._telemetry = telemetry
        self._cluster = cluster if purpose == "write" else None
        self._leases = LeaseBook(dsn.database, config.leak_after_s)
        self._timeouts_total = 0
        # How many callers are between asking for a connection and having one.
        self._acquiring = 0
        self._upkeep: asyncio.Task[None] | None = None
        self._revival: asyncio.Task[None] | None = None
        name = f"{dsn.database}-{purpose}"
        self._attributes = {names.DB_CLIENT_CONNECTION_POOL_NAME: name}
        self._instruments = _Instruments(self, telemetry, self._attributes)
        self._pool = _TracedPool(
            self._conninfo,
            ping=self._ping,
            kwargs={"on_connected": self._instruments.created},
            min_size=config.min_size,
            max_size=config.max_size,
            open=False,
            name=name,
            timeout=config.timeout_s,
            max_lifetime=config.max_lifetime_s,
            max_idle=config.max_idle_s,
            reconnect_timeout=_RECONNECT_TIMEOUT_S,
            reconnect_failed=self._reconnect_failed,
        )

    @property
    def name(self) -> str:
        """The pool's name in metrics, such as `main-write`."""
        return self._pool.name

    async def open(self) -> None:
        """Start connecting; returns at once."""
        await self._pool.open()
        self._upkeep = asyncio.create_task(self._watch_leases(), name=f"{self.name}-leases")

    async def close(self) -> None:
        """Close every connection, those in use when they come back."""
        for task in (self._upkeep, self._revival):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        await self._pool.close()

    def stats(self) -> PoolStats:
        """The pool's state now."""
        stats = self._pool.get_stats()
        return PoolStats(
            size=stats["pool_size"],
            used=len(self._leases),
            max_size=self.config.max_size,
            waiting=stats["requests_waiting"],
            leaked=len(self._leases.leaked()),
            timeouts_total=self._timeouts_total,
            leaks_total=self._leases.leaks_total,
        )

    def session(self, *, timeout_s: float | None = None) -> AbstractAsyncContextManager[Session]:
        """Lend a connection for the time of the context.

        Raises `PoolExhausted` or, where none can be made, `NoConnection` after `timeout_s`
        (default: the configured timeout), `PoolClosed` once the daemon stops, and, for writing,
        `WritesRefused` while two hosts take writes.
        """
        return _Loan(self, self.config.timeout_s if timeout_s is None else timeout_s)

    async def check(self) -> None:
        """Look after the idle connections now, as when the server is known to be back."""
        await self._pool.check()

    async def _conninfo(self) -> str:
        # Made anew for each connection, because a password file may have changed.
        timeout_ms = round(self.config.query_timeout_s * 1000)
        settings = {"statement_timeout": str(timeout_ms)}
        if self._purpose == "read":
            settings["default_transaction_read_only"] = "on"
        return self._dsn.conninfo(
            self._purpose,
            application_name="dbopsd",
            connect_timeout_s=self.config.connect_timeout_s,
            settings=settings,
        )

    def _session(self, connection: Connection) -> Session:
        endpoint = self._telemetry.endpoint(connection)
        return Session(
            connection,
            endpoint,
            query_timeout_s=self.config.query_timeout_s,
            refuse_writes=None if self._cluster is None else self._cluster.refuse_writes,
        )

    async def _acquire(self, timeout_s: float) -> Connection:
        if self._cluster is not None:
            await self._cluster.admit(timeout_s)
        started = time.monotonic()
        started_ns = time.time_ns()
        error: DatabaseError | None = None
        try:
            # Not psycopg_pool's own check: after a failed one it waits a second before the next.
            while True:
                left_s = started + timeout_s - time.monotonic()
                connection = await self._get(left_s)
                if await self._answers(connection, left_s):
                    return connection
                await self._discard(connection)
        except (TimeoutError, psycopg_pool.PoolTimeout) as exc:
            self._timeouts_total += 1
            self._instruments.timeouts.add(1, self._attributes)
            error = self._not_had(timeout_s)
            raise error from exc
        except psycopg_pool.PoolClosed as exc:
            error = PoolClosed(self._dsn.database)
            raise error from exc
        finally:
            waited_s = time.monotonic() - started
            self._instruments.wait_time.record(waited_s, self._attributes)
            if waited_s >= _NOTABLE_WAIT_S or error is not None:
                self._trace_wait(started_ns, error)

    async def _get(self, timeout_s: float) -> Connection:
        task = asyncio.current_task()
        cancelled_before = task.cancelling() if task else 0
        self._acquiring += 1
        try:
            connection = await self._pool.getconn(timeout=timeout_s)
        finally:
            self._acquiring -= 1
        if task and task.cancelling() > cancelled_before:
            # Python 3.11's wait_for(), with which psycopg_pool waits, loses a cancellation that
            # comes at the same moment as the connection.
            await self._pool.putconn(connection)
            raise asyncio.CancelledError
        return connection

    def _not_had(self, timeout_s: float) -> DatabaseError:
        """Why no connection was had: others hold them all, or none can be made."""
        if len(self._leases) >= self.config.max_size:
            return PoolExhausted(self._dsn.database, timeout_s, self.config.max_size)
        return NoConnection(
            self._dsn.database, f"none could be made within {timeout_s:g} s; its health says why"
        )

    def _trace_wait(self, started_ns: int, error: DatabaseError | None) -> None:
        span = self._telemetry.tracer.start_span(
            f"wait {self.name}",
            kind=SpanKind.INTERNAL,
            start_time=started_ns,
            attributes=self._attributes,
        )
        if error is not None:
            span.set_attribute(names.ERROR_TYPE, error.reason)
            span.set_status(Status(StatusCode.ERROR, error.reason))
        span.end()

    async def _answers(self, connection: Connection, within_s: float) -> bool:
        if connection.closed:
            return False
        idle_s = time.monotonic() - connection.last_used
        if idle_s < _TRUSTED_FOR_S and not connection.has_news:
            return self._role_policy.may_lend(connection)
        try:
            async with asyncio.timeout(within_s):
                await self._ping(connection)
        except QueryTimeout:
            # The others most likely lead to the same dead end: find out once, not one by one.
            await self._pool.drain()
            return False
        except DatabaseError:
            return False
        except (TimeoutError, asyncio.CancelledError):
            await self._discard(connection)
            raise
        return self._role_policy.may_lend(connection)

    async def _ping(self, connection: Connection) -> None:
        endpoint = self._telemetry.endpoint(connection)
        session = Session(connection, endpoint, query_timeout_s=_PING_TIMEOUT_S)
        await session.fetch_one(_PING)

    async def _discard(self, connection: Connection) -> None:
        await connection.close()
        await self._pool.putconn(connection)

    async def _give_back(self, connection: Connection, session: Session, lease: Lease) -> None:
        moves = self._role_policy.should_move(connection)
        if session.usable and not self._acquiring and not moves:
            # psycopg_pool holds its lock across a wait only while it serves a waiting caller.
            # Without one, giving back suspends nowhere, so that no cancellation can come between,
            # and the shield's task and round of the event loop are saved.
            await self._release(connection, lease)
        else:
            await asyncio.shield(self._clean_and_release(connection, session, lease, moves=moves))

    async def _clean_and_release(
        self, connection: Connection, session: Session, lease: Lease, *, moves: bool
    ) -> None:
        await session.end_transaction()
        if moves or not session.usable:
            await connection.close()
        await self._release(connection, lease)

    async def _release(self, connection: Connection, lease: Lease) -> None:
        self._instruments.use_time.record(self._leases.give_back(lease), self._attributes)
        await self._pool.putconn(connection)

    async def _watch_leases(self) -> None:
        # Leaks are noticed though nobody asks for the statistics.
        while True:
            await asyncio.sleep(min(1.0, self.config.leak_after_s / 2))
            self._leases.leaked()

    async def _reconnect_failed(self, _pool: object) -> None:
        # Called once for each connection that was not had; one revival serves them all.
        if self._revival is None or self._revival.done():
            self._revival = asyncio.create_task(self._revive(), name=f"{self.name}-revival")

    async def _revive(self) -> None:
        await asyncio.sleep(random.uniform(*_RETRY_WAIT_S))  # noqa: S311 - jitter
        await self._pool.check()


class _TracedPool(psycopg_pool.AsyncConnectionPool[Connection]):
    """psycopg_pool, asking idle connections by a statement that leaves a span."""

    def __init__(
        self,
        conninfo: Callable[[], Awaitable[str]],
        *,
        ping: Callable[[Connection], Awaitable[None]],
        **options: Any,
    ) -> None:
        super().__init__(conninfo, connection_class=Connection, **options)
        self._ping = ping

    async def check_connection(self, conn: Connection) -> None:  # type: ignore[override]
        try:
            await self._ping(conn)
        except DatabaseError:
            # psycopg_pool drops a connection that fails without closing it.
            await conn.close()
            raise


class _Loan:
    """A pooled connection for the time of the context. A class: a generator costs twice as much."""

    __slots__ = ("_connection", "_lease", "_pool", "_session", "_timeout_s")

    def __init__(self, pool: ConnectionPool, timeout_s: float) -> None:
        self._pool = pool
        self._timeout_s = timeout_s

    async def __aenter__(self) -> Session:
        pool = self._pool
        self._connection = await pool._acquire(self._timeout_s)  # noqa: SLF001
        self._lease: Lease = pool._leases.take()  # noqa: SLF001
        self._session = pool._session(self._connection)  # noqa: SLF001
        return self._session

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._pool._give_back(self._connection, self._session, self._lease)  # noqa: SLF001


class _Instruments:
    """The connection-pool metrics of the semantic conventions."""

    def __init__(
        self, pool: ConnectionPool, telemetry: DatabaseTelemetry, attributes: dict[str, str]
    ) -> None:
        self._pool = pool
        self._attributes = attributes
        meter = telemetry.meter
        self.create_time = _create_histogram(meter, names.DB_CLIENT_CONNECTION_CREATE_TIME)
        self.wait_time = _create_histogram(meter, names.DB_CLIENT_CONNECTION_WAIT_TIME)
        self.use_time = _create_histogram(meter, names.DB_CLIENT_CONNECTION_USE_TIME)
        self.timeouts = meter.create_counter(
            names.DB_CLIENT_CONNECTION_TIMEOUTS, unit=names.TIMEOUT_UNIT
        )
        self._observe_gauge(meter, names.DB_CLIENT_CONNECTION_COUNT, self._count)
        for name, bound in (
            (names.DB_CLIENT_CONNECTION_MAX, pool.config.max_size),
            (names.DB_CLIENT_CONNECTION_IDLE_MAX, pool.config.max_size),
            (names.DB_CLIENT_CONNECTION_IDLE_MIN, pool.config.min_size),
        ):
            self._observe_gauge(meter, name, functools.partial(self._bound, bound))
        self._observe_gauge(
            meter,
            names.DB_CLIENT_CONNECTION_PENDING_REQUESTS,
            lambda _: [self._observe(pool.stats().waiting)],
            unit=names.REQUEST_UNIT,
        )

    def _observe_gauge(
        self,
        meter: Meter,
        name: str,
        callback: Callable[[CallbackOptions], Iterable[Observation]],
        *,
        unit: str = names.CONNECTION_UNIT,
    ) -> None:
        meter.create_observable_up_down_counter(name, [callback], unit=unit)

    def created(self, elapsed_s: float) -> None:
        """A connection was made in `elapsed_s`."""
        self.create_time.record(elapsed_s, self._attributes)

    def _count(self, _options: CallbackOptions) -> Iterable[Observation]:
        stats = self._pool.stats()
        yield self._observe(stats.used, state=names.CONNECTION_USED)
        yield self._observe(max(0, stats.size - stats.used), state=names.CONNECTION_IDLE)

    def _bound(self, value: int, _options: CallbackOptions) -> Iterable[Observation]:
        yield self._observe(value)

    def _observe(self, value: int, *, state: str | None = None) -> Observation:
        extra = {names.DB_CLIENT_CONNECTION_STATE: state} if state else {}
        return Observation(value, {**self._attributes, **extra})


def _create_histogram(meter: Meter, name: str) -> Histogram:
    return meter.create_histogram(
        name,
        unit="s",
        explicit_bucket_boundaries_advisory=names.DB_CLIENT_CONNECTION_TIME_BUCKETS_S,
    )
