"""A `Database` on a database of the test's own, every span of it kept for the session.

At the end of the session the spans are compared with the server's own log: a statement without a
span is an error of the whole run.
"""

import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from pydantic import SecretStr

from dbopsd.config import DatabaseConfig
from dbopsd.db.database import Database
from tests.support.recording import Recording
from tests.support.servers import PostgresServer, PostgresServers
from tests.support.spanlog import missing_spans

OpenDatabase = Callable[..., Awaitable[Database]]


@pytest.fixture
def recording(_session_spans: list[Any]) -> Iterator[Recording]:
    """The spans and metrics of this test."""
    recording = Recording()
    yield recording
    _session_spans.extend(recording.all_spans())
    recording.close()


@pytest.fixture(scope="session")
def _session_spans() -> list[Any]:
    return []


@pytest.fixture(scope="session", autouse=True)
def every_statement_has_its_span(
    request: pytest.FixtureRequest, servers: PostgresServers, _session_spans: list[Any]
) -> Iterator[None]:
    """Whatever a shared server logged for dbopsd, dbopsd left a span for."""
    seen: list[PostgresServer] = []
    request.config.stash[SERVERS_SEEN] = seen
    yield
    for server in seen:
        # Those of a single test, whose names no other server has.
        missing = missing_spans(server, _session_spans, database_prefix="test_")
        assert missing == Counter(), f"statements without a span on {server.version}: {missing}"


SERVERS_SEEN = pytest.StashKey[list[PostgresServer]]()


@pytest.fixture
def make_role(postgres: PostgresServer) -> Iterator[Callable[..., dict[str, str]]]:
    """`make_role(*memberships)` → the DSN parameters of a new role."""
    made = []

    def make(*memberships: str) -> dict[str, str]:
        name = f"role_{uuid.uuid4().hex[:12]}"
        made.append(name)
        postgres.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'secret of {name}'")
        for role in memberships:
            postgres.execute(f"GRANT {role} TO {name}")
        return {"user": name, "password": f"secret of {name}"}

    yield make
    for name in made:
        postgres.execute(f"DROP ROLE {name}")


@pytest.fixture
async def open_database(
    recording: Recording, make_database: Callable[..., str]
) -> AsyncIterator[OpenDatabase]:
    """`await open_database(dsn, **settings) -> Database`, closed after the test.

    Asks for `make_database` so that the pools are closed before their database is dropped.
    """
    async with AsyncExitStack() as stack:

        async def make(dsn: str, *, health: dict[str, Any] | None = None, **pool: Any) -> Database:
            config = DatabaseConfig.model_validate(
                {"dsn": SecretStr(dsn), "pool": pool, "health": health or {}}
            )
            telemetry = recording.telemetry
            database = Database("main", config, tracer=telemetry.tracer, meter=telemetry.meter)
            stack.push_async_callback(database.close)
            await database.open()
            return database

        yield make


@pytest.fixture
async def database(
    request: pytest.FixtureRequest,
    open_database: OpenDatabase,
    database_dsn: str,
    postgres: PostgresServer,
) -> Database:
    """A `Database` with default settings on an empty PostgreSQL database."""
    seen = request.config.stash[SERVERS_SEEN]
    if postgres not in seen:
        seen.append(postgres)
    return await open_database(database_dsn)
