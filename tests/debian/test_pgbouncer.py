"""PgBouncer before the server: migrated through only where each client has its own session."""

import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest
from opentelemetry.metrics import NoOpMeter
from opentelemetry.trace import NoOpTracer
from pydantic import SecretStr

from dbopsd.config import DatabaseConfig
from dbopsd.db.database import Database
from dbopsd.db.errors import DatabaseError
from dbopsd.migrate.versions.apply.pooler import PoolerInTheWay, refuse_pooler
from tests.support.debian import tool
from tests.support.patience import eventually_blocking
from tests.support.scratch import new_directory
from tests.support.servers import PostgresServer

_CONFIGURATION = """
[databases]
orders = host={host} port={port} dbname=postgres user=postgres password={password}
[pgbouncer]
pool_mode = {mode}
default_pool_size = {size}
listen_addr =
listen_port = 6432
unix_socket_dir = {directory}
auth_type = any
"""

StartBouncer = Callable[[str, int], str]


@pytest.fixture
def start_bouncer(server: PostgresServer) -> Iterator[StartBouncer]:
    """`start_bouncer(mode, size)` → the DSN of a PgBouncer, ended after the test."""
    directory = new_directory("pgbouncer-")
    running: list[subprocess.Popen[bytes]] = []

    def start(mode: str, size: int) -> str:
        configuration = directory / "pgbouncer.ini"
        configuration.write_text(
            _CONFIGURATION.format(
                host=server.host,
                port=server.port,
                password=_password(server.cluster.passfile),
                mode=mode,
                size=size,
                directory=directory,
            )
        )
        # It does not run as root, and reads its file and makes its socket as whom it runs.
        shutil.chown(configuration, "nobody")
        shutil.chown(directory, "nobody")
        command = [tool("pgbouncer"), "--quiet", "--user=nobody", configuration]
        running.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))
        dsn = f"host={directory} port=6432 dbname=orders user=postgres"
        eventually_blocking(lambda: psycopg.connect(dsn).close() is None, what="it listens")
        return dsn

    yield start
    for process in running:
        process.kill()
        process.wait()
    shutil.rmtree(directory)


def _password(passfile: Path) -> str:
    return passfile.read_text().strip().rpartition(":")[2]


@asynccontextmanager
async def opened(dsn: str) -> AsyncIterator[Database]:
    config = DatabaseConfig.model_validate({"dsn": SecretStr(dsn), "pool": {"min_size": 0}})
    database = Database("orders", config, tracer=NoOpTracer(), meter=NoOpMeter("tests"))
    await database.open()
    try:
        yield database
    finally:
        await database.close()


@pytest.mark.parametrize("size", [1, 2, 20])
async def test_transaction_mode_is_refused(start_bouncer: StartBouncer, size: int) -> None:
    async with opened(start_bouncer("transaction", size)) as database:
        with pytest.raises(PoolerInTheWay):
            await refuse_pooler(database)


async def test_statement_mode_refuses_transactions_itself(start_bouncer: StartBouncer) -> None:
    async with opened(start_bouncer("statement", 20)) as database:
        with pytest.raises(DatabaseError, match="not allowed in statement pooling mode"):
            await refuse_pooler(database)


async def test_session_mode_is_accepted(start_bouncer: StartBouncer) -> None:
    async with opened(start_bouncer("session", 20)) as database:
        await refuse_pooler(database)
