"""What a daemon asks of its control store while there is nothing to do, and how soon it acts."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from opentelemetry.trace import NoOpTracer

from dbopsd.operations.record import NewOperation
from dbopsd.operations.store import requests
from dbopsd.operations.store.store import ControlStore
from tests.support.controlurl import as_url
from tests.support.daemon import Daemon
from tests.support.demo.client import DemoClient, State, metadata_of
from tests.support.demo.counted import COUNT_FILE, MODULE
from tests.support.demo.daemon import demo_daemon
from tests.support.servers import PostgresServer

START_S = 60.0
# Of the last look, which what is woken repeats for some seconds.
CALM_S = 4.0
REST_S = 10.0


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.thorough)])
def control_url(request: pytest.FixtureRequest, server: PostgresServer) -> Iterator[str | None]:
    if request.param == "sqlite":
        yield None
        return
    name = server.create_database(prefix="control_")
    yield as_url(server.dsn(dbname=name))
    server.drop_database(name)


@pytest.fixture
def statements(
    control_url: str | None, server: PostgresServer, tmp_path: Path
) -> Callable[[], int]:
    """How many statements the control store was asked so far, transaction control included."""
    if control_url is None:
        return lambda: (tmp_path / "statements").stat().st_size
    name = control_url.partition("?")[0].rpartition("/")[2]
    return lambda: len(server.statements_logged(database=name))


@pytest.fixture
def start(
    control_url: str | None, server: PostgresServer, tmp_path: Path
) -> Iterator[Callable[..., Daemon]]:
    """`start(**operations)`: a daemon with one worker."""
    started = []

    def make(**operations: object) -> Daemon:
        started.append(
            demo_daemon(
                server.dsn(),
                control_url=control_url,
                state_dir=tmp_path / "state",
                operations=operations,
                module=MODULE,
                environment={COUNT_FILE: str(tmp_path / "statements")},
            )
        )
        return started[-1].wait_until_serving()

    yield make
    for each in started:
        each.close()


def test_a_worker_at_rest_asks_less_than_five_statements_a_second_and_loses_nothing(
    control_url: str | None,
    start: Callable[..., Daemon],
    statements: Callable[[], int],
    tmp_path: Path,
) -> None:
    running = start(heartbeat_s=2, takeover_after_s=15)  # the defaults
    with DemoClient(running.grpc_address, tmp_path / "ledger") as client:
        client.becomes(client.start(), State.SUCCEEDED, START_S)
        time.sleep(CALM_S)
        before, began = statements(), time.monotonic()
        time.sleep(REST_S)
        a_second = (statements() - before) / (time.monotonic() - began)
        assert 0.5 < a_second < 5

        class Silent(ControlStore):
            """Whose notifications are lost."""

            def publish(self, *_: object) -> None:
                pass

        store = Silent(control_url, tmp_path / "state" / "control" / "control.db", NoOpTracer())
        made = requests.create(
            store, NewOperation("demo", "main", "alice", "", 2, "{}", frozenset(), None, "")
        )
        store.close()
        # The next heartbeat finds it. All else that looks does so every 30 s.
        client.becomes(f"operations/{made.id}", State.SUCCEEDED, 15)


def test_an_operation_starts_when_it_is_asked_for(
    start: Callable[..., Daemon], tmp_path: Path
) -> None:
    # So that nothing but a notification can be it.
    running = start(heartbeat_s=50, takeover_after_s=200)
    with DemoClient(running.grpc_address, tmp_path / "ledger") as client:
        client.becomes(client.start(), State.SUCCEEDED, START_S)
        for _ in range(3):
            time.sleep(CALM_S)
            name = client.start()
            metadata = metadata_of(client.becomes(name, State.SUCCEEDED, 10))
            waited_ms = metadata.start_time.ToMilliseconds() - metadata.create_time.ToMilliseconds()
            assert waited_ms < 5000
