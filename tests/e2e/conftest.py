"""Daemons as processes, and the real programs that talk to them.

They run against servers of their own: what the shared servers log is compared with the spans of
the integration tests.
"""

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from dbops.v1 import resources_pb2
from dbops_client import DbopsClient

from tests.support.daemon import BIN, ROOT, Daemon, clean_environment
from tests.support.installations import DEFAULT_VERSION
from tests.support.patience import eventually_blocking
from tests.support.servers import PostgresServer, PostgresServers

DATABASES = ("main", "orders", "reporting")
# A hanging server is noticed sooner than by default, so that tests are not long.
PROMPT = """
health.interval_s = 0.1
health.thresholds.reachable = { warning = 0.2, critical = 0.4 }
"""


# The disk of the machine that runs the tests is nobody's business here.
ANY_DISK = "health.thresholds.storage = { warning = 1, critical = 1 }"


def database(name: str, dsn: str, more: str = "") -> str:
    """A `[databases.…]` table."""
    return f"[databases.{name}]\ndsn = {json.dumps(dsn)}\n{ANY_DISK}\n{more}\n"


@dataclass(frozen=True)
class Answer:
    """How a program ended."""

    code: int
    out: str
    err: str

    def json(self) -> object:
        return json.loads(self.out)


def run(*command: str, timeout: float = 60, **environment: str) -> Answer:
    """Run a program of the virtual environment to its end."""
    done = subprocess.run(
        [str(BIN / command[0]), *command[1:]],
        cwd=ROOT,
        env=clean_environment(**environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    return Answer(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def server(servers: PostgresServers) -> PostgresServer:
    """A server for daemons that do it no harm; leave it running."""
    return servers.disposable(DEFAULT_VERSION)


@pytest.fixture(scope="session")
def daemon(server: PostgresServer) -> Iterator[Daemon]:
    """A daemon that looks after three healthy databases; leave it running."""
    config = "".join(database(name, server.dsn()) for name in DATABASES)
    with Daemon(config) as running:
        wait_until_ready(running.wait_until_serving())
        yield running
        assert running.terminate() == 0


@pytest.fixture
def start_daemon() -> Iterator[Callable[..., Daemon]]:
    """`start_daemon(config="", **how) -> Daemon`, serving, ended after the test."""
    made: list[Daemon] = []

    def start(config: str = "", **how: object) -> Daemon:
        made.append(Daemon(config, **how))  # type: ignore[arg-type]
        return made[-1].wait_until_serving()

    yield start
    for each in made:
        each.close()


@pytest.fixture
def own_server(servers: PostgresServers) -> Iterator[Callable[..., PostgresServer]]:
    """`own_server(settings=None) -> PostgresServer` of the test's own."""
    made = []

    def make(settings: dict[str, str | int | bool] | None = None) -> PostgresServer:
        made.append(servers.disposable(DEFAULT_VERSION, settings))
        return made[-1]

    yield make
    for each in made:
        servers.discard(each)


@dataclass(frozen=True)
class Fragile:
    """A daemon, whose database is `main`, and the server that may be paused."""

    daemon: Daemon
    server: PostgresServer


@pytest.fixture(scope="session")
def _fragile(servers: PostgresServers) -> Iterator[Fragile]:
    server = servers.disposable(DEFAULT_VERSION)
    with Daemon(database("main", server.dsn(), PROMPT)) as running:
        yield Fragile(running.wait_until_serving(), server)
    servers.discard(server)


@pytest.fixture
def fragile(_fragile: Fragile) -> Iterator[Fragile]:
    """A server to pause, and its daemon, which sees it HEALTHY at the start of each test."""
    wait_until_ready(_fragile.daemon)
    yield _fragile
    _fragile.server.resume()


def wait_until_ready(running: Daemon) -> None:
    """Return once every database of the daemon is HEALTHY."""
    healthy = resources_pb2.Database.HEALTHY
    with DbopsClient(running.grpc_address) as client:
        eventually_blocking(
            lambda: all(each.state == healthy for each in client.databases.list()),
            20,
            "every database is HEALTHY",
        )
