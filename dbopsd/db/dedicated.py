"""A session for a child process: one connection, no pool, no configuration."""

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
from opentelemetry.metrics import Meter
from opentelemetry.trace import Tracer

from dbopsd.db.connection import Connection
from dbopsd.db.errors import ConnectFailed, one_line
from dbopsd.db.session import Session
from dbopsd.db.spans import DatabaseTelemetry


@asynccontextmanager
async def dedicated_session(
    login: str,
    *,
    database: str,
    tracer: Tracer,
    meter: Meter,
    query_timeout_s: float | None = None,
) -> AsyncIterator[Session]:
    """Connect with what `Database.login` gave, for the time of the context.

    Raises `ConnectFailed`.
    """
    try:
        connection = await Connection.connect(login)
    except psycopg.Error as exc:
        # The driver quotes hosts and users, never the password.
        raise ConnectFailed(database, one_line(str(exc))) from exc
    try:
        endpoint = DatabaseTelemetry(database, tracer, meter).endpoint(connection)
        yield Session(connection, endpoint, query_timeout_s=query_timeout_s)
    finally:
        with contextlib.suppress(psycopg.Error):
            await connection.close()
