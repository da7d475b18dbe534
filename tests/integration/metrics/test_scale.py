"""Servers with many databases, tables and statements: bounded, and each statement a short one."""

import asyncio
import contextlib
from collections.abc import Callable

import psycopg
import pytest

from dbopsd.metrics.model import CollectorState
from tests.integration.conftest import OpenDatabase
from tests.integration.metrics.test_situations import assert_sound, some
from tests.support.patience import eventually
from tests.support.proxy import Proxy
from tests.support.sampling import sampling
from tests.support.servers import PostgresServer, PostgresServers
from tests.support.soak import Soak

# Each has another way to put these signs, and so is another statement to pg_stat_statements.
_DISTINCT_STATEMENTS = """
DO $$
DECLARE
  expression text;
BEGIN
  SET LOCAL pg_stat_statements.track = 'all';
  FOR number IN 1 .. {count} LOOP
    expression := '1';
    FOR place IN 0 .. 17 LOOP
      expression := expression || CASE number >> place & 1 WHEN 1 THEN ' + 1' ELSE ' - 1' END;
    END LOOP;
    EXECUTE 'SELECT ' || expression;
  END LOOP;
END $$
"""


@pytest.mark.soak
async def test_many_databases_tables_and_statements(
    open_database: OpenDatabase, disposable_server: Callable[..., PostgresServer], soak: Soak
) -> None:
    databases, tables, statements = soak.scale((12, 40, 500), (500, 5000, 200_000))
    server = disposable_server(
        {
            "pg_stat_statements.max": 300_000,
            "max_locks_per_transaction": 512,
            "log_statement": "none",
        }
    )
    for _ in range(databases):
        await asyncio.to_thread(server.create_database)
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements SCHEMA public")
        for first in range(0, tables, 100):
            last = min(first + 100, tables)
            connection.execute(
                f"DO $$ BEGIN FOR i IN {first} .. {last - 1} LOOP EXECUTE pg_catalog.format("
                "'CREATE TABLE public.t%s (a int PRIMARY KEY, b int); CREATE INDEX ON public.t%s"
                " (b); INSERT INTO public.t%s VALUES (1)', i, i, i); END LOOP; END $$"
            )
        await asyncio.to_thread(connection.execute, _DISTINCT_STATEMENTS.format(count=statements))
    database = await open_database(server.dsn())
    chosen = some(
        *("stat_database", "database_size", "locks", "stat_activity", "database", "relations"),
        *("stat_user_tables", "statio_user_tables", "stat_user_indexes", "table_sizes"),
        *("stat_statements", "sequences"),
    )
    limits = {"top_databases": 5, "top_tables": 10, "top_indexes": 10, "top_statements": 20}
    async with sampling(database, chosen, interval_s=10.0, **limits) as sampled:
        await eventually(sampled.all_ran, soak.scale(60, 600))
        # Statements that take too long are tried less often, and hold up no others.
        failures = sampled.failures()
        assert failures.keys() <= soak.scale(set(), {"stat_statements"}), failures
        await eventually(
            lambda: ("(others)",) in sampled.series("pg_database_size_bytes"), soak.scale(60, 1200)
        )
        assert len(sampled.series("pg_database_size_bytes")) == 6
        assert len(sampled.series("pg_stat_database_xact_commit")) == 6
        inserted = sampled.series("pg_stat_user_tables_n_tup_ins")
        assert len(inserted) == 11
        assert sum(inserted.values()) == tables
        assert len(sampled.series("pg_stat_user_tables_table_size_bytes")) == 11
        assert len(sampled.series("pg_stat_user_indexes_idx_scan_total")) == 11
        assert len(sampled.series("pg_statio_user_tables_heap_blocks_hit")) == 11
        calls = sampled.series("pg_stat_statements_calls_total")
        assert len(calls) == 21 or failures
        assert sum(calls.values()) > statements or failures
        assert len(list(sampled.hub.snapshot("main").samples())) < 3000
        assert_sound(sampled)
    # Of many that are sampled each, one has few series of the others.
    async with sampling(database, some("stat_database"), siblings=11) as sampled:
        await eventually(sampled.all_ran)
        backends = sampled.series("pg_stat_database_numbackends")
        assert len(backends) == 11
        assert "postgres" in {labels[1] for labels in backends}


async def test_a_server_that_is_upgraded_is_sampled_as_what_it_is_now(
    open_database: OpenDatabase, servers: PostgresServers, make_proxy: Callable[..., Proxy]
) -> None:
    old = servers.disposable(_oldest(servers))
    new = servers.disposable(18)
    for server in (old, new):
        server.execute("CREATE ROLE monitor LOGIN PASSWORD 'monitor' IN ROLE pg_monitor")
    proxy = make_proxy(old.host, old.port)
    dsn = f"host={proxy.host} port={proxy.port} dbname=postgres user=monitor password=monitor"
    database = await open_database(dsn, min_size=0, health={"interval_s": 0.2})
    try:
        chosen = some(
            *("postmaster", "stat_io", "stat_checkpointer", "stat_bgwriter", "stat_database"),
            *("stat_progress_vacuum", "stat_wal", "stat_user_tables"),
        )
        async with sampling(database, chosen) as sampled:
            await eventually(sampled.all_ran)
            forced = "pg_stat_bgwriter_checkpoints_req_total"
            assert sampled.value(forced) is not None
            assert sampled.value("pg_stat_checkpointer_num_requested_total") is not None
            if old.version < 16:
                assert sampled.status("stat_io").reason == "VERSION_UNSUPPORTED"
            proxy.cut()
            proxy.point_to(new.host, new.port)
            proxy.heal()
            await eventually(
                lambda: [k[0] for k in sampled.series("pg_static")] == [f"{new_version(new)}.0"]
            )
            await eventually(lambda: set(sampled.states().values()) == {CollectorState.OK})
            assert sampled.value(forced) is not None
            assert sampled.value("pg_stat_checkpointer_num_requested_total") is not None
            assert sampled.series("pg_stat_io_reads_total")
            assert_sound(sampled)
    finally:
        await database.close()
        for server in (old, new):
            servers.discard(server)


def new_version(server: PostgresServer) -> str:
    ((version,),) = server.execute("SELECT split_part(current_setting('server_version'), ' ', 1)")
    return str(version)


def _oldest(servers: PostgresServers) -> int:
    """15 comes from the system's packages, 16 with the development requirements."""
    with contextlib.suppress(LookupError):
        servers.installation(15)
        return 15
    return 16
