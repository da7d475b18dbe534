"""What servers do to samplers: each of these made another one silent, wrong or a burden."""

import asyncio
import contextlib
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict

from dbopsd.metrics.exposition import Exposition, Format
from dbopsd.metrics.model import CollectorState, MetricType
from dbopsd.metrics.sources import load_sources
from tests.integration.conftest import OpenDatabase
from tests.integration.metrics.test_sampler import GOOD
from tests.support.patience import eventually
from tests.support.replication import ReplicationPair
from tests.support.sampling import COLLECTORS, Sampled, sampling
from tests.support.servers import PostgresServer


def some(*names: str):
    """Those collectors, of every version."""
    chosen = [each for each in COLLECTORS if each.name in names]
    assert {each.name for each in chosen} == set(names)
    return chosen


def assert_sound(sampled: Sampled) -> None:
    """No series comes twice, nothing that counts is negative, and the text can be written."""
    snapshot = sampled.hub.snapshot("main")
    samples = list(snapshot.samples())
    assert [each for each, n in Counter(s.series for s in samples).items() if n > 1] == []
    for each in samples:
        assert each.value >= 0 or each.series.metric.type is MetricType.GAUGE, each
    assert Exposition(Format.OPENMETRICS, server_label=False).write([snapshot])


def name_of(dsn: str) -> str:
    return str(conninfo_to_dict(dsn)["dbname"])


@contextlib.contextmanager
def receivers(server: PostgresServer, name: str, count: int) -> Iterator[None]:
    """Receivers of WAL that all call themselves `name`."""
    dsn = server.dsn(application_name=name, replication="true")
    connections = [pq.PGconn.connect(dsn.encode()) for _ in range(count)]
    try:
        for connection in connections:
            assert connection.status == pq.ConnStatus.OK, connection.error_message
            ((lsn,),) = server.execute("SELECT pg_current_wal_flush_lsn()::text")
            started = connection.exec_(f"START_REPLICATION PHYSICAL {lsn}".encode())
            assert started.status == pq.ExecStatus.COPY_BOTH, started.error_message
        yield
    finally:
        for connection in connections:
            connection.finish()


async def test_receivers_of_one_name_are_two_series_and_no_long_queries(
    open_database: OpenDatabase, database_dsn: str, postgres: PostgresServer
) -> None:
    database = await open_database(database_dsn)
    chosen = some("stat_replication", "sessions", "long_running_transactions", "stat_activity")
    with receivers(postgres, "twin", 2):
        async with sampling(database, chosen) as sampled:
            lag = "pg_stat_replication_reply_age_seconds"
            await eventually(lambda: sampled.all_ran() and sampled.series(lag))
            assert len([each for each in sampled.series(lag) if each[0] == "twin"]) == 2
            assert_sound(sampled)
            # A walsender has been "active" with one query since it began, in no database.
            assert ("",) not in sampled.series("pg_sessions_max_statement_seconds")
            assert sampled.value("pg_long_running_transactions") is not None


async def test_a_statement_called_by_itself_and_by_a_function_is_one_series(
    open_database: OpenDatabase, make_database: Callable[..., str]
) -> None:
    dsn = make_database()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements SCHEMA public")
        connection.execute("SET pg_stat_statements.track = 'all'")
        connection.execute("CREATE TABLE public.twice (a int)")
        connection.execute(
            "CREATE FUNCTION public.nested() RETURNS int LANGUAGE plpgsql AS"
            " 'BEGIN PERFORM a FROM public.twice WHERE a = 7; RETURN 1; END'"
        )
        for _ in range(3):
            connection.execute("SELECT public.nested()")
        connection.execute("SELECT a FROM public.twice WHERE a = 7")
        twice = connection.execute(
            "SELECT queryid FROM public.pg_stat_statements AS s JOIN pg_database AS d"
            " ON d.oid = s.dbid WHERE datname = current_database() AND query LIKE '%public.twice%'"
            " GROUP BY queryid HAVING count(DISTINCT toplevel) = 2"
        ).fetchall()
    assert len(twice) == 1
    database = await open_database(dsn)
    async with sampling(database, some("stat_statements"), top_statements=10_000) as sampled:
        await eventually(sampled.all_ran)
        assert sampled.failures() == {}
        calls = sampled.series("pg_stat_statements_calls_total")
        found = [v for labels, v in calls.items() if labels[1:] == (name_of(dsn), str(twice[0][0]))]
        assert found == [4]
        assert_sound(sampled)


async def test_sizes_are_known_of_the_databases_that_may_be_entered(
    open_database: OpenDatabase,
    make_database: Callable[..., str],
    make_role: Callable[..., dict[str, str]],
    postgres: PostgresServer,
) -> None:
    role, locked, invalid = make_role(), name_of(make_database()), name_of(make_database())
    postgres.execute(f'REVOKE CONNECT ON DATABASE "{locked}" FROM PUBLIC')
    dsn = make_database(**role)
    postgres.execute(f"UPDATE pg_database SET datconnlimit = -2 WHERE datname = '{invalid}'")
    try:
        database = await open_database(dsn)
        chosen = some("database_size", "database", "stat_database")
        async with sampling(database, chosen, sources=load_sources()) as sampled:
            sizes = "pg_database_size_bytes"
            await eventually(lambda: sampled.status("database_size").state.name == "PARTIAL")
            await eventually(lambda: (name_of(dsn),) in sampled.series(sizes))
            assert (locked,) not in sampled.series(sizes)
            assert (invalid,) not in sampled.series(sizes)
            await eventually(
                lambda: f"database {locked} " in sampled.status("database_size").message
            )
            assert "needs CONNECT on it" in sampled.status("database_size").message
            assert f"database {invalid} is invalid" in sampled.status("database_size").message
            assert sampled.status("database_size").reason == "PARTLY_UNKNOWN"
            await eventually(lambda: sampled.value("pg_up") == 1)
            assert sampled.value("pg_database_invalid", invalid) == 1
            assert sampled.value("pg_database_invalid", name_of(dsn)) == 0
            assert sampled.value("pg_scrape_collector_success", "database_size") == 1
            assert sampled.failures() == {}
    finally:
        postgres.execute(f"UPDATE pg_database SET datconnlimit = -1 WHERE datname = '{invalid}'")


async def test_without_pg_monitor_it_says_what_is_hidden_and_what_to_grant(
    open_database: OpenDatabase,
    make_database: Callable[..., str],
    make_role: Callable[..., dict[str, str]],
) -> None:
    database = await open_database(make_database(**make_role()))
    async with sampling(database) as sampled:
        await eventually(sampled.all_ran, 60)
        activity, wal = sampled.status("stat_activity"), sampled.status("wal")
        assert (activity.state, activity.reason) == (CollectorState.PARTIAL, "PERMISSION_MISSING")
        assert "GRANT pg_read_all_stats" in activity.message
        assert (wal.state, wal.reason) == (CollectorState.FAILED, "PERMISSION_MISSING")
        assert "GRANT pg_monitor" in wal.message
        assert sampled.status("stat_database").state is CollectorState.OK
        missing = sampled.status("stat_statements")
        assert (missing.state, missing.reason) == (
            CollectorState.NOT_APPLICABLE,
            "EXTENSION_MISSING",
        )
        assert "CREATE EXTENSION pg_stat_statements" in missing.message
        assert_sound(sampled)


async def test_a_vacuum_in_another_database_goes_by_its_number(
    open_database: OpenDatabase, make_database: Callable[..., str]
) -> None:
    table = "CREATE TABLE public.t AS SELECT generate_series(1, 100000) AS a"
    here, there = make_database(table), make_database(table)
    oids = []
    for dsn in (here, there):
        with psycopg.connect(dsn, autocommit=True) as connection:
            oids.append(connection.execute("SELECT 'public.t'::regclass::oid::text").fetchone())
    (oid, same) = oids
    # Copies of one database: the number is that of a table here, too.
    assert oid is not None
    assert oid == same
    database = await open_database(here)
    async with await psycopg.AsyncConnection.connect(there, autocommit=True) as vacuums:
        await vacuums.execute("SET vacuum_cost_delay = 100; SET vacuum_cost_limit = 1")
        running = asyncio.create_task(vacuums.execute("VACUUM public.t"))
        chosen = some("stat_progress_vacuum", "progress")
        try:
            async with sampling(database, chosen) as sampled:
                total = "pg_stat_progress_vacuum_heap_blks"
                key = (name_of(there), oid[0])
                await eventually(lambda: sampled.series(total).get(key))
                done = sampled.series("pg_progress_done_ratio")
                assert [labels[:3] for labels in done if labels[1] == key[0]] == [("VACUUM", *key)]
                assert_sound(sampled)
        finally:
            vacuums.cancel()
            with pytest.raises(psycopg.errors.QueryCanceled):
                await running


async def test_statistics_that_are_reset_make_nothing_negative(
    open_database: OpenDatabase, make_database: Callable[..., str]
) -> None:
    dsn = make_database()
    with psycopg.connect(dsn, autocommit=True) as connection:
        for number in range(4):
            connection.execute(f"CREATE TABLE public.t{number} (a int)")
            connection.execute(f"INSERT INTO public.t{number} SELECT generate_series(1, 100)")
        connection.execute("SELECT pg_stat_force_next_flush()")
        database = await open_database(dsn)
        chosen = some("stat_user_tables", "stat_database", "stat_wal", "stat_io", "stat_archiver")
        async with sampling(database, chosen, top_tables=2) as sampled:
            inserted = "pg_stat_user_tables_n_tup_ins"
            others = (name_of(dsn), "(others)", "(others)")
            await eventually(lambda: sampled.series(inserted).get(others) == 200)
            connection.execute("SELECT pg_stat_reset()")
            reset = "pg_stat_database_stats_reset"
            await eventually(
                lambda: any(
                    at > 0 for labels, at in sampled.series(reset).items() if name_of(dsn) in labels
                )
            )
            await eventually(
                lambda: sum(v for k, v in sampled.series(inserted).items() if k != others) == 0
            )
            # What it has counted stands, so that no rate is wrong.
            assert sampled.series(inserted)[others] == 200

            def grows() -> bool:
                # What was done between the reset and the next look at all tables is lost.
                for number in range(4):
                    connection.execute(f"INSERT INTO public.t{number} SELECT generate_series(1, 5)")
                connection.execute("SELECT pg_stat_force_next_flush()")
                return sampled.series(inserted)[others] > 200

            await eventually(grows, 60)
            assert_sound(sampled)


async def test_many_databases_are_bounded_and_summed_up(
    open_database: OpenDatabase, make_database: Callable[..., str]
) -> None:
    dsns = [make_database() for _ in range(6)]
    for dsn in dsns[1:]:
        with psycopg.connect(dsn, autocommit=True) as connection:
            for _ in range(300):
                connection.execute("SELECT 1")
            connection.execute("SELECT pg_stat_force_next_flush()")
    database = await open_database(dsns[0])
    chosen = some("stat_database", "database_size", "database", "locks", "stat_activity")
    async with sampling(database, chosen, top_databases=3) as sampled:
        sizes = "pg_database_size_bytes"
        await eventually(lambda: sampled.all_ran() and ("(others)",) in sampled.series(sizes))
        assert len(sampled.series(sizes)) == 4
        backends = sampled.series("pg_stat_database_numbackends")
        assert len(backends) == 4
        assert ("", "(others)") in backends
        assert len(sampled.series("pg_database_xid_age")) == 3
        # Whatever the others do, one's own is among them.
        own = name_of(dsns[0])
        for family in (sizes, "pg_stat_database_numbackends", "pg_database_xid_age"):
            assert any(own in labels for labels in sampled.series(family)), family
        for family in ("pg_locks_count", "pg_stat_activity_count"):
            assert any(own in labels for labels in sampled.series(family)), family
        assert len({labels[0] for labels in sampled.series("pg_stat_activity_count")}) <= 4
        assert len({labels[0] for labels in sampled.series("pg_locks_count")}) <= 4


async def test_a_backend_that_hangs_alone_gets_no_others_beside_it(
    open_database: OpenDatabase, disposable_server: Callable[..., PostgresServer]
) -> None:
    server = disposable_server()
    database = await open_database(server.dsn(), min_size=1, health={"interval_s": 0.2})
    ours = "backend_type = 'client backend' AND application_name LIKE 'dbopsd-sampler-%'"

    def backends() -> list[int]:
        rows = server.execute(f"SELECT pid FROM pg_stat_activity WHERE {ours}")
        return [int(str(pid)) for (pid,) in rows]

    async with sampling(database, [GOOD], sources=load_sources()) as sampled:
        await eventually(lambda: sampled.value("pg_up") == 1)
        (hung,) = backends()
        os.kill(hung, signal.SIGSTOP)
        try:
            await eventually(lambda: sampled.status("good").reason == "QUERY_TIMEOUT")
            # The prober has its answers meanwhile, and the sampler asks for its old backend.
            since = asyncio.get_running_loop().time()
            await eventually(lambda: asyncio.get_running_loop().time() - since > 3)
            assert backends() == [hung]
            assert sampled.value("pg_up") == 0
        finally:
            os.kill(hung, signal.SIGCONT)
        await eventually(lambda: sampled.value("pg_up") == 1)
        assert len(backends()) == 1


async def test_after_a_failover_the_new_primary_is_sampled_and_nothing_jumps(
    open_database: OpenDatabase, replication_pair: ReplicationPair
) -> None:
    pair = replication_pair
    for number in range(3):
        pair.primary.execute(f"CREATE TABLE public.t{number} (a int)")
        pair.primary.execute(f"INSERT INTO public.t{number} SELECT generate_series(1, 100)")
    pair.wait_until_caught_up()
    database = await open_database(pair.dsn(), min_size=0, health={"interval_s": 0.2})
    chosen = some("stat_user_tables", "replication", "wal_receivers")
    async with sampling(database, chosen, top_tables=1) as sampled:
        inserted = "pg_stat_user_tables_n_tup_ins"
        others = ("postgres", "(others)", "(others)")
        await eventually(lambda: sampled.series(inserted).get(others) == 200)
        assert sampled.status("wal_receivers").reason == "OTHER_ROLE"
        await asyncio.to_thread(pair.primary.stop, "immediate")
        await asyncio.to_thread(pair.promote)
        lost = sampled.status("stat_user_tables").sampled_at or 0.0
        await eventually(
            lambda: (
                (sampled.status("stat_user_tables").sampled_at or 0.0) > lost
                and sampled.status("stat_user_tables").state is CollectorState.OK
            ),
            40,
        )
        # The other server has counted nothing yet.
        assert sampled.series(inserted)[others] == 200
        assert_sound(sampled)


async def test_who_blocks_whom_is_named(
    open_database: OpenDatabase, make_database: Callable[..., str]
) -> None:
    dsn = make_database()
    database = await open_database(dsn)
    connect = psycopg.AsyncConnection.connect
    async with (
        await connect(dsn, application_name="head") as head,
        await connect(dsn, autocommit=True) as first,
        await connect(dsn, autocommit=True) as second,
    ):
        await head.execute("CREATE TABLE public.t (a int)")
        await head.commit()
        await head.execute("LOCK TABLE public.t IN ROW EXCLUSIVE MODE")
        waiters = [asyncio.create_task(first.execute("ALTER TABLE public.t ADD b int"))]
        try:
            async with sampling(database, some("blocked", "locks")) as sampled:
                blocked = "pg_blocked_sessions"
                await eventually(lambda: sampled.value(blocked) == 1)
                # It waits for the one that waits.
                waiters.append(asyncio.create_task(second.execute("SELECT a FROM public.t")))
                await eventually(lambda: sampled.value(blocked) == 2)
                assert sampled.value("pg_blocked_sessions_head_blockers") == 1
                waiting = sampled.series("pg_head_blocker_waiting_sessions")
                assert waiting == {
                    (str(head.info.backend_pid), name_of(dsn), "postgres", "head"): 1,
                }
                assert (sampled.value("pg_blocked_sessions_oldest_wait_seconds") or 0) > 0
                await head.commit()
                await eventually(lambda: sampled.value(blocked) == 0)
                assert sampled.series("pg_head_blocker_waiting_sessions") == {}
        finally:
            await head.rollback()
            await asyncio.gather(*waiters)
