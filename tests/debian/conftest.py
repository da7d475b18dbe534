"""Comparisons with Debian's programs: one daemon on one server, scraped by one Prometheus."""

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import database
from tests.support.daemon import Daemon
from tests.support.debian import Prometheus
from tests.support.installations import DEFAULT_VERSION
from tests.support.patience import eventually_blocking
from tests.support.servers import PostgresServer, PostgresServers

DATABASES = ("main", "orders")


@pytest.fixture(scope="session")
def server(servers: PostgresServers) -> PostgresServer:
    """A server that loads pg_stat_statements; leave it running."""
    return servers.disposable(DEFAULT_VERSION, {"shared_preload_libraries": "pg_stat_statements"})


@pytest.fixture(scope="session")
def daemon(server: PostgresServer) -> Iterator[Daemon]:
    """A daemon that looks after two databases of the server; leave it running."""
    server.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    dsns = {"main": server.dsn(), "orders": server.dsn(dbname=server.create_database())}
    with Daemon("".join(database(name, dsn) for name, dsn in dsns.items())) as running:
        yield running.wait_until_serving()


@pytest.fixture(scope="session")
def prometheus(daemon: Daemon) -> Iterator[Prometheus]:
    """A Prometheus that has found both databases by the daemon's service discovery."""
    discovery = {"url": f"{daemon.http_url}/prometheus/targets", "refresh_interval": "1s"}
    with Prometheus([{"job_name": "dbopsd", "http_sd_configs": [discovery]}]) as running:
        eventually_blocking(
            lambda: len(running.query("pg_up == 1")) == len(DATABASES),
            30,
            "every database is scraped",
        )
        yield running
