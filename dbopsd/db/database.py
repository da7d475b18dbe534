"""One configured database as the features see it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import TypeVar

import psycopg
from opentelemetry.metrics import Meter
from opentelemetry.trace import Tracer

from dbopsd.config import DatabaseConfig
from dbopsd.db.cache import LookupCache
from dbopsd.db.cluster_watch import ClusterWatch
from dbopsd.db.connection import Connection
from dbopsd.db.dsn import Dsn, Host, Purpose
from dbopsd.db.pool import ConnectionPool, PoolStats
from dbopsd.db.retry import retried
from dbopsd.db.session import IsolationLevel, Parameters, Row, Session
from dbopsd.db.spans import DatabaseTelemetry
from dbopsd.db.statement import Statement

T = TypeVar("T")

# At least so often are the hosts of a cluster looked at: writes depend on it.
_HOSTS_EVERY_S = 2.0


class Database:
    """Pooled and dedicated connections to one database, and work done again where that is safe."""

    def __init__(
        self,
        name: str,
        config: DatabaseConfig,
        *,
        tracer: Tracer,
        meter: Meter,
        embedded: bool = False,
    ) -> None:
        self.name = name
        self.config = config
        self.embedded = embedded
        if config.dsn is None:
            raise ValueError(f"where database '{name}' is, is not known yet")
        self.dsn = Dsn.parse(name, config.dsn.get_secret_value(), config.password_file)
        self._telemetry = DatabaseTelemetry(name, tracer, meter)
        self.cluster: ClusterWatch | None = None
        if self.dsn.may_have_standbys or config.health.expect_standbys is not None:
            self.cluster = ClusterWatch(
                self.dsn,
                self._telemetry,
                interval_s=min(config.health.interval_s, _HOSTS_EVERY_S),
                connect_timeout_s=config.pool.connect_timeout_s,
            )
        self._write_pool = ConnectionPool(
            self.dsn, "write", config.pool, self._telemetry, self.cluster
        )
        self._read_pool = self._write_pool
        if self.dsn.is_cluster:
            # Nothing may ever read: keep no connection open for it.
            lazy = config.pool.model_copy(update={"min_size": 0})
            self._read_pool = ConnectionPool(self.dsn, "read", lazy, self._telemetry)
        self._cache = LookupCache()

    @property
    def meter(self) -> Meter:
        """Measures what a feature does with the database."""
        return self._telemetry.meter

    @property
    def pools(self) -> tuple[ConnectionPool, ...]:
        """The pool for writing, and for a cluster the one for reading."""
        if self._read_pool is self._write_pool:
            return (self._write_pool,)
        return (self._write_pool, self._read_pool)

    def pool_stats(self) -> PoolStats:
        """The state of the pool that is in use most, with what was counted in both."""
        each = [pool.stats() for pool in self.pools]
        return replace(
            max(each, key=lambda stats: stats.used / stats.max_size),
            waiting=sum(stats.waiting for stats in each),
            leaked=sum(stats.leaked for stats in each),
            timeouts_total=sum(stats.timeouts_total for stats in each),
            leaks_total=sum(stats.leaks_total for stats in each),
        )

    async def open(self) -> None:
        """Open the pools; returns at once, whether the database is there or not."""
        for pool in self.pools:
            await pool.open()

    async def close(self) -> None:
        """Close the pools, side by side: each may wait for a server that hangs."""
        if self.cluster is not None:
            await self.cluster.close()
        await asyncio.gather(*(pool.close() for pool in self.pools))

    async def reconnect(self) -> None:
        """Have the pools look after their connections now, as when the server is back."""
        self._cache.forget()
        for pool in self.pools:
            await pool.check()

    def session(
        self, *, read_only: bool = False, timeout_s: float | None = None
    ) -> AbstractAsyncContextManager[Session]:
        """Lend a pooled connection; with `read_only`, to a standby where the DSN names one.

        Raises `PoolExhausted`, `PoolClosed`, and `WritesRefused` while two hosts take writes.
        """
        pool = self._read_pool if read_only else self._write_pool
        return pool.session(timeout_s=timeout_s)

    async def run(
        self,
        work: Callable[[Session], Awaitable[T]],
        *,
        idempotent: bool,
        isolation: IsolationLevel | None = None,
        read_only: bool = False,
    ) -> T:
        """Do `work` in a transaction, all of it again after a passing failure.

        Serialization failures and deadlocks are always tried again, so `work` must have no effect
        outside the database that may not happen twice; a connection lost under way only if the
        work is `idempotent`, because its COMMIT may have arrived.
        """

        async def attempt() -> T:
            async with (
                self.session(read_only=read_only) as session,
                session.transaction(isolation=isolation, read_only=read_only),
            ):
                return await work(session)

        return await retried(attempt, idempotent=idempotent or read_only)

    async def look_up(
        self, statement: Statement, parameters: Parameters | None = None, *, ttl_s: float
    ) -> list[Row]:
        """The rows of a read-only `statement`, at most `ttl_s` seconds old."""

        async def fetch() -> list[Row]:
            return await self.run(
                lambda session: session.fetch_all(statement, parameters),
                idempotent=True,
                read_only=True,
            )

        key = (statement.query_text, repr(parameters))
        return await self._cache.get(key, fetch, ttl_s)

    def login(
        self,
        *,
        application_name: str,
        settings: dict[str, str] | None = None,
        host: Host | None = None,
        dbname: str = "",
    ) -> str:
        """The connection string for `dedicated_session`, in another process. It has the password.

        `host`: to that one alone, whatever it is within its cluster. `dbname`: to another
        PostgreSQL database of the same cluster.

        Raises `InvalidDsn`, `PasswordFileUnreadable`, and `WritesRefused` while two hosts take
        writes.
        """
        if self.cluster is not None:
            self.cluster.refuse_writes()
        dsn = self.dsn.to_postgres_database(dbname) if dbname else self.dsn
        return dsn.conninfo(
            "write",
            application_name=application_name,
            connect_timeout_s=self.config.pool.connect_timeout_s,
            settings=settings or {},
            host=host,
        )

    async def admit_writes(self) -> None:
        """Raise `WritesRefused` while two hosts take writes."""
        if self.cluster is not None:
            await self.cluster.admit()

    @asynccontextmanager
    async def guarded(self) -> AsyncIterator[None]:
        """End the body with `WritesRefused` as soon as two hosts take writes.

        For work that writes by other ways too, such as child processes.
        """
        if self.cluster is None:
            yield
            return
        async with self.cluster.guarding():
            yield

    @asynccontextmanager
    async def dedicated_session(
        self,
        purpose: Purpose,
        *,
        application_name: str,
        query_timeout_s: float | None,
        settings: dict[str, str] | None = None,
        dsn: Dsn | None = None,
        host: Host | None = None,
        replace_bad_text: bool = False,
    ) -> AsyncIterator[Session]:
        """Open a connection outside the pools, for the time of the context.

        `dsn`: the database's own with another login (`Dsn.as_role`). `host`: one of its hosts, to
        which alone it leads, whatever that is within its cluster. `replace_bad_text`: for those
        who only look; see `Connection.replace_bad_text`.

        Raises a `ConnectFailed` that says at which step and why, and, for writing, `WritesRefused`
        while two hosts take writes.
        """
        refuse_writes = None
        if purpose == "write" and self.cluster is not None:
            await self.admit_writes()
            refuse_writes = self.cluster.refuse_writes
        dsn = dsn or self.dsn
        conninfo = dsn.conninfo(
            purpose,
            application_name=application_name,
            connect_timeout_s=self.config.pool.connect_timeout_s,
            settings=settings or {},
            host=host,
        )
        try:
            connection = await Connection.connect(conninfo)
        except psycopg.Error as exc:
            raise await dsn.explain(exc, host) from exc
        if replace_bad_text:
            connection.replace_bad_text()
        try:
            endpoint = self._telemetry.endpoint(connection)
            yield Session(
                connection,
                endpoint,
                query_timeout_s=query_timeout_s,
                refuse_writes=refuse_writes,
            )
        finally:
            with contextlib.suppress(psycopg.Error):
                await connection.close()
