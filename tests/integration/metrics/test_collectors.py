"""Every collector on real servers of each version, with and without privileges."""

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from dbopsd.metrics.model import CollectorState, MetricType
from tests.integration.conftest import OpenDatabase
from tests.support.patience import eventually
from tests.support.replication import ReplicationPair
from tests.support.sampling import COLLECTORS, Sampled, sampling
from tests.support.servers import PostgresServer

LACKING = {"VERSION_UNSUPPORTED", "OTHER_ROLE", "EXTENSION_MISSING", "LEDGER_MISSING"}
NAMES = {each.name for each in COLLECTORS}


def assert_sound(sampled: Sampled) -> None:
    """Nothing is negative that counts, no series comes twice, and each is one that is declared."""
    samples = list(sampled.hub.snapshot("main").samples())
    assert len({each.series for each in samples}) == len(samples)
    for each in samples:
        if each.series.metric.type is MetricType.COUNTER:
            assert each.value >= 0, each


async def test_every_collector_answers(
    open_database: OpenDatabase, make_database: Callable[..., str], postgres: PostgresServer
) -> None:
    dsn = make_database()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements SCHEMA public")
        connection.execute("CREATE TABLE public.t (a int PRIMARY KEY); INSERT INTO t VALUES (1)")
    database = await open_database(dsn)
    async with sampling(database) as sampled:
        await eventually(sampled.all_ran, 60)
        assert sampled.failures() == {}
        lacking = {
            name: sampled.status(name).reason
            for name, state in sampled.states().items()
            if state is CollectorState.NOT_APPLICABLE
        }
        assert set(lacking.values()) <= LACKING - {"EXTENSION_MISSING"}, lacking
        assert set(sampled.states()) == NAMES
        assert_sound(sampled)
        assert sampled.series("pg_static")


DASHBOARDS = Path(__file__).parents[2] / "unit" / "metrics" / "dashboard_series.tsv"


async def test_every_setting_that_dashboards_ask_for_is_there(
    open_database: OpenDatabase, database_dsn: str
) -> None:
    rows = [line.split("\t") for line in DASHBOARDS.read_text().splitlines()]
    asked = {name for name, *origin in rows if origin == ["setting"]}
    assert len(asked) == 48
    settings = [each for each in COLLECTORS if each.name == "settings"]
    async with sampling(await open_database(database_dsn), settings) as sampled:
        await eventually(sampled.all_ran, 60)
        missing = {name for name in asked if sampled.value(name) is None}
        # One was replaced in PostgreSQL 9.5, the other is no number since 15.
        assert missing == {"pg_settings_checkpoint_segments", "pg_settings_wal_compression"}
        assert sampled.value("pg_settings_block_size") == 8192
        assert sampled.value("pg_settings_autovacuum_naptime_seconds") == 60
        assert sampled.value("pg_settings_autovacuum_work_mem_bytes") == -1


async def test_what_pg_stat_bgwriter_lost_is_found_elsewhere(
    open_database: OpenDatabase, disposable_server: Callable[..., PostgresServer]
) -> None:
    server = disposable_server()
    some = [each for each in COLLECTORS if each.name in ("stat_bgwriter", "stat_checkpointer")]
    async with sampling(await open_database(server.dsn()), some) as sampled:
        await eventually(sampled.all_ran)
        written = sampled.value("pg_stat_bgwriter_buffers_backend_total")
        forced = sampled.value("pg_stat_bgwriter_checkpoints_req_total")
        assert written is not None
        assert forced is not None
        server.execute("CREATE TABLE long AS SELECT n FROM generate_series(1, 200000) AS n")
        server.execute("CHECKPOINT")

        # It has 885 pages, which a backend has added. Up to 16 the view has its own way to count.
        added = 800 if server.version >= 17 else 0

        def whole() -> bool:
            backend = sampled.value("pg_stat_bgwriter_buffers_backend_total") or 0
            checkpoints = sampled.value("pg_stat_bgwriter_checkpoints_req_total") or 0
            return backend >= written + added and checkpoints == forced + 1

        await eventually(whole)
        for old, new in {
            "checkpoints_req": "num_requested",
            "checkpoints_timed": "num_timed",
            "buffers_checkpoint": "buffers_written",
        }.items():
            names = f"pg_stat_bgwriter_{old}_total", f"pg_stat_checkpointer_{new}_total"
            # The two collectors run one after the other.
            await eventually(lambda names=names: len({*map(sampled.value, names)}) == 1)
            assert sampled.value(names[0]) is not None


@pytest.mark.parametrize("membership", ["", "pg_monitor"])
async def test_a_role_without_privileges_is_told_what_it_lacks(
    open_database: OpenDatabase,
    make_database: Callable[..., str],
    make_role: Callable[..., dict[str, str]],
    membership: str,
) -> None:
    role = make_role(*([membership] if membership else []))
    database = await open_database(make_database(**role))
    async with sampling(database) as sampled:
        await eventually(sampled.all_ran, 60)
        failures = sampled.failures()
        if membership:
            assert failures == {}
            assert sampled.states()["table_bloat"] is CollectorState.NOT_APPLICABLE
            assert "GRANT pg_read_all_data" in sampled.status("table_bloat").message
        for reason, message in failures.values():
            assert reason == "PERMISSION_MISSING", message
            assert "GRANT" in message
        assert_sound(sampled)


async def test_a_standby_has_what_is_for_standbys(
    open_database: OpenDatabase, replication_pair: ReplicationPair
) -> None:
    pair = replication_pair
    database = await open_database(pair.standby.dsn(), min_size=0)
    async with sampling(database) as sampled:
        await eventually(sampled.all_ran, 60)
        assert sampled.failures() == {}
        assert {
            sampled.status(name).reason
            for name, state in sampled.states().items()
            if state is CollectorState.NOT_APPLICABLE
        } <= LACKING
        assert sampled.value("pg_replication_is_replica") == 1
        assert_sound(sampled)
