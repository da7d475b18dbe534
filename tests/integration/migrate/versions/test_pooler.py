"""A pooler in transaction mode is found out before anything is migrated through it."""

from collections.abc import Callable

import pytest

from dbopsd.migrate.versions.apply.pooler import PoolerInTheWay, refuse_pooler
from tests.integration.conftest import OpenDatabase
from tests.support.proxy import Proxy
from tests.support.servers import PostgresServer
from tests.support.transaction_pooler import TransactionPooler


async def through(pooler: TransactionPooler, open_database: OpenDatabase) -> None:
    login = f"host=127.0.0.1 port={pooler.port} user=anybody dbname=any"
    await refuse_pooler(await open_database(login))


@pytest.mark.parametrize("oldest_first", [False, True], ids=["newest-first", "oldest-first"])
@pytest.mark.parametrize("size", [1, 2, 3])
async def test_a_pooler_in_transaction_mode_is_refused(
    postgres: PostgresServer, open_database: OpenDatabase, size: int, oldest_first: bool
) -> None:
    with (
        TransactionPooler(postgres.dsn(), size=size, oldest_first=oldest_first) as pooler,
        pytest.raises(PoolerInTheWay) as refused,
    ):
        await through(pooler, open_database)
    assert refused.value.message == (
        "database 'main' is behind a connection pooler in transaction mode, which keeps no session "
        "for a migration: let databases.main.dsn lead to the server itself"
    )


async def test_the_server_itself_and_a_mere_proxy_are_accepted(
    postgres: PostgresServer, open_database: OpenDatabase, make_proxy: Callable[[str, int], Proxy]
) -> None:
    proxy = make_proxy(postgres.host, postgres.port)
    for port in (postgres.port, proxy.port):
        await refuse_pooler(await open_database(postgres.dsn(port=port)))
