"""A control store of each kind, of the test's own."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from opentelemetry.trace import NoOpTracer

from dbopsd.operations.record import NewOperation
from dbopsd.operations.store.store import ControlStore
from tests.support.controlurl import as_url
from tests.support.installations import DEFAULT_VERSION
from tests.support.servers import PostgresServers


@pytest.fixture(params=["sqlite", "postgresql"])
def control_url(request: pytest.FixtureRequest, servers: PostgresServers) -> Iterator[str | None]:
    """None for SQLite, else the URL of an empty PostgreSQL database."""
    if request.param == "sqlite":
        yield None
        return
    server = servers.shared(DEFAULT_VERSION)
    # Not `test_…`: the polling of a control store is part of no trace.
    name = f"control_{uuid.uuid4().hex[:12]}"
    server.execute(f"CREATE DATABASE {name}")
    yield as_url(server.dsn(dbname=name))
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def open_control(control_url: str | None, tmp_path: Path) -> Iterator[Callable[..., ControlStore]]:
    """`open_control(**options)`: as another process would have it, on the same store."""
    opened = []

    def make(**options: float) -> ControlStore:
        path = tmp_path / "control" / "c.db"
        opened.append(ControlStore(control_url, path, NoOpTracer(), **options))
        return opened[-1]

    yield make
    for store in opened:
        store.close()


@pytest.fixture
def control(open_control: Callable[[], ControlStore]) -> ControlStore:
    """The control store."""
    return open_control()


@pytest.fixture
def new() -> Callable[..., NewOperation]:
    """`new(**fields) -> NewOperation`."""

    def make(**fields: object) -> NewOperation:
        values: dict[str, object] = {
            "kind": "demo",
            "database": "main",
            "requester": "alice",
            "request_id": "",
            "role": 2,
            "request": "{}",
            "locks": frozenset(),
            "timeout_s": None,
            "traceparent": "",
        }
        return NewOperation(**(values | fields))  # type: ignore[arg-type]

    return make
