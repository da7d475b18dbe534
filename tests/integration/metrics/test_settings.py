"""Settings of real servers: what they are, where they come from, and what is kept secret."""

from collections.abc import Callable, Iterator

import psycopg
import pytest

from dbopsd.db.database import Database
from dbopsd.metrics.on_demand import OnDemand
from dbopsd.metrics.settings.settings import HIDDEN, Override, Setting, Settings
from tests.integration.conftest import OpenDatabase
from tests.support.patience import eventually_blocking
from tests.support.servers import PostgresServer, PostgresServers

CONNINFO = "host=a user=b password=''top secret'' sslpassword=other"


@pytest.fixture(scope="module")
def changed(servers: PostgresServers, postgres_version: int) -> Iterator[PostgresServer]:
    """A server with settings of every source."""
    server = servers.disposable(postgres_version, {"work_mem": "8MB"})
    server.execute("CREATE DATABASE shop")
    server.execute("CREATE ROLE ann")
    for statement in (
        "ALTER SYSTEM SET max_connections = 77",
        "ALTER SYSTEM SET maintenance_work_mem = '96MB'",
        f"ALTER SYSTEM SET primary_conninfo = '{CONNINFO}'",
        "ALTER SYSTEM SET ssl_passphrase_command = 'echo sesame'",
        "ALTER SYSTEM SET restore_command = 'push --password=sesame s3://id:sesame@host/%f'",
        "ALTER ROLE ann SET work_mem = '1GB'",
        "ALTER DATABASE shop SET work_mem = '2GB'",
        "ALTER ROLE ann IN DATABASE shop SET work_mem = '3GB'",
        "ALTER ROLE ann SET shop.token = 'sesame'",
        "ALTER ROLE ALL SET statement_timeout = '1min'",
        "SELECT pg_reload_conf()",
    ):
        server.execute(statement)
    eventually_blocking(
        lambda: (
            server.execute("SELECT pending_restart FROM pg_settings WHERE name = 'max_connections'")
            == [(True,)]
        )
    )
    yield server
    servers.discard(server)


async def listed(database: Database, *, with_secrets: bool = True) -> dict[str, Setting]:
    found = await Settings(OnDemand({"main": database})).list("main", with_secrets=with_secrets)
    names = [each.setting for each in found]
    assert names == sorted(set(names))
    return {each.setting: each for each in found}


async def test_value_unit_and_where_it_comes_from(
    open_database: OpenDatabase, changed: PostgresServer
) -> None:
    found = await listed(await open_database(changed.dsn()))
    memory = found["maintenance_work_mem"]
    assert (memory.value, memory.unit, memory.display_value) == ("98304", "kB", "96MB")
    assert (memory.default_value, memory.source, memory.context) == (
        "65536",
        "configuration file",
        "user",
    )
    assert memory.source_file.endswith("postgresql.auto.conf")
    assert memory.source_line > 1
    assert not memory.pending_restart
    connections = found["max_connections"]
    assert connections.pending_restart
    assert connections.value != "77"
    assert found["work_mem"].changed
    assert connections.changed
    # Written in the file as it is by default.
    assert found["DateStyle"].source == "configuration file"
    assert not found["DateStyle"].changed
    # What the session that looks has set for itself is not the server's.
    assert found["search_path"].value == '"$user", public'
    assert found["search_path"].source == "default"
    assert not found["search_path"].changed
    assert not found["enable_seqscan"].changed
    assert len(found) > 300


async def test_where_it_differs(open_database: OpenDatabase, changed: PostgresServer) -> None:
    found = await listed(await open_database(changed.dsn()))
    assert found["work_mem"].overrides == (
        Override("work_mem", "", "shop", "2GB"),
        Override("work_mem", "ann", "", "1GB"),
        Override("work_mem", "ann", "shop", "3GB"),
    )
    assert found["statement_timeout"].overrides == (Override("statement_timeout", "", "", "1min"),)
    assert found["shop.token"].overrides == (Override("shop.token", "ann", "", "sesame"),)


@pytest.mark.parametrize("with_secrets", [True, False])
async def test_secrets_are_hidden(
    open_database: OpenDatabase, changed: PostgresServer, with_secrets: bool
) -> None:
    found = await listed(await open_database(changed.dsn()), with_secrets=with_secrets)
    if not with_secrets:
        assert "sesame" not in repr(found)
    assert "top secret" not in repr(found)
    assert (
        found["primary_conninfo"].value == f"host=a user=b password={HIDDEN} sslpassword={HIDDEN}"
    )
    assert found["ssl_passphrase_command"].value == HIDDEN
    command = found["restore_command"]
    assert command.value == command.display_value
    assert command.value == (
        f"push --password={HIDDEN} s3://id:{HIDDEN}@host/%f" if with_secrets else HIDDEN
    )
    assert found["shop.token"].overrides[0].value == ("sesame" if with_secrets else HIDDEN)


async def test_a_role_without_pg_read_all_settings_sees_what_it_may(
    open_database: OpenDatabase,
    make_database: Callable[..., str],
    make_role: Callable[..., dict[str, str]],
) -> None:
    dsn = make_database()
    parts = psycopg.conninfo.make_conninfo(dsn, **make_role())
    found = await listed(await open_database(parts))
    assert "work_mem" in found
    assert "data_directory" not in found
    assert {each.source_file for each in found.values()} == {""}
    may = psycopg.conninfo.make_conninfo(dsn, **make_role("pg_read_all_settings"))
    assert "data_directory" in await listed(await open_database(may))
