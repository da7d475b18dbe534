"""What tests of backups share."""

from collections.abc import Iterator

import pytest

from tests.support.backed_up import BACKUP_SETTINGS
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
