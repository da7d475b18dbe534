"""What tests of backups share."""

from collections.abc import Iterator

import pytest

from tests.support.backed_up import BACKUP_SETTINGS
from tests.support.installations import DEFAULT_VERSION
from tests.support.servers import PostgresServer, PostgresServers


@pytest.fixture(scope="module")
def cluster(servers: PostgresServers, postgres_version: int) -> Iterator[PostgresServer]:
    """A server of the module's own, with WAL summaries where it has them."""
    settings = dict(BACKUP_SETTINGS)
    if postgres_version >= 17:
        settings["summarize_wal"] = True
    server = servers.disposable(postgres_version, settings)
    yield server
    servers.discard(server)


@pytest.fixture(scope="module")
def newest_cluster(servers: PostgresServers) -> Iterator[PostgresServer]:
    """As `cluster`, of the newest version alone: for what is dbopsd's own, whatever the server."""
    server = servers.disposable(DEFAULT_VERSION, {**BACKUP_SETTINGS, "summarize_wal": True})
    yield server
    servers.discard(server)
