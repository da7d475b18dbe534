"""The sampler against real servers that answer, refuse, hang and come back."""

import asyncio
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from dbopsd.metrics.collector import Collector
from dbopsd.metrics.model import CollectorState
from dbopsd.metrics.sources import load_sources
from tests.integration.conftest import OpenDatabase
from tests.support.patience import eventually
from tests.support.sampling import sampling
from tests.support.servers import PostgresServer

OURS = "application_name LIKE 'dbopsd-sampler-%'"


def collector(name: str, sql: str, head: str = "", *, value: str = "n") -> Collector:
    """A collector of one gauge."""
    return Collector.parse(
        f"{name}.sql",
        f'/*\nabout = "x."\nevery_s = 10\n{head}\n[metrics.{name}_value]\nunit = "1"\n'
        f'help = "x."\ncolumn = "{value}"\n*/\n{sql}',
    )


GOOD = collector("good", "SELECT 1 AS n")


def backends(server: PostgresServer) -> int:
    ((count,),) = server.execute(f"SELECT count(*) FROM pg_stat_activity WHERE {OURS}")
    return int(count)


async def test_one_that_fails_is_told_of_and_holds_up_no_other(
    open_database: OpenDatabase, database_dsn: str
) -> None:
    bad = collector("bad", "SELECT 1 / 0 AS n")
    other = collector("other", "SELECT 1 AS m")
    database = await open_database(database_dsn)
    async with sampling(database, [bad, GOOD, other]) as sampled:
        await eventually(sampled.all_ran)
        assert sampled.status("bad").reason == "INVALID_DATA", sampled.status("bad")
        assert "division by zero" in sampled.status("bad").message
        assert sampled.status("other").reason == "COLLECTOR_MISMATCH", sampled.status("other")
        first = sampled.status("good").sampled_at
        assert first is not None
        await eventually(lambda: (sampled.status("good").sampled_at or 0) > first + 2)
        assert sampled.status("bad").interval_s > sampled.status("good").interval_s


async def test_one_that_takes_too_long_is_ended_by_the_server(
    open_database: OpenDatabase, database_dsn: str
) -> None:
    slow = collector("sleepy", "SELECT pg_catalog.pg_sleep(60), 1 AS n", "timeout_s = 0.2")
    database = await open_database(database_dsn)
    async with sampling(database, [slow, GOOD]) as sampled:
        await eventually(sampled.all_ran)
        assert sampled.status("sleepy").reason == "QUERY_CANCELED"
        assert sampled.status("good").state is CollectorState.OK


async def test_a_locked_table_holds_up_its_collector_alone(
    open_database: OpenDatabase, database_dsn: str
) -> None:
    locked = collector("locked", "SELECT count(*) AS n FROM public.t")
    database = await open_database(database_dsn)
    with psycopg.connect(database_dsn) as locker:
        locker.execute("CREATE TABLE public.t (a int)")
        locker.commit()
        locker.execute("LOCK TABLE public.t IN ACCESS EXCLUSIVE MODE")
        async with sampling(database, [locked, GOOD]) as sampled:
            await eventually(sampled.all_ran)
            assert sampled.status("locked").reason == "LOCK_TIMEOUT"
            assert sampled.status("good").state is CollectorState.OK
            locker.rollback()
            await eventually(lambda: sampled.status("locked").state is CollectorState.OK)
            assert sampled.value("locked_value") == 0


async def test_it_writes_nothing_and_finds_nothing_but_the_catalog(
    open_database: OpenDatabase, database_dsn: str
) -> None:
    writes = collector("writes", "INSERT INTO public.t VALUES (1) RETURNING a AS n")
    unqualified = collector("unqualified", "SELECT count(*) AS n FROM t")
    database = await open_database(database_dsn)
    with psycopg.connect(database_dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE public.t (a int)")
        async with sampling(database, [writes, unqualified]) as sampled:
            await eventually(sampled.all_ran)
            assert sampled.status("writes").reason == "READ_ONLY_SERVER"
            assert sampled.status("unqualified").reason == "INVALID_STATEMENT"
        assert connection.execute("SELECT count(*) FROM public.t").fetchone() == (0,)


async def test_an_interval_follows_what_a_run_costs(
    open_database: OpenDatabase, database_dsn: str
) -> None:
    costly = collector("costly", "SELECT 1 AS n FROM pg_catalog.pg_sleep(0.2)")
    database = await open_database(database_dsn)
    async with sampling(database, [costly, GOOD]) as sampled:
        await eventually(sampled.all_ran)
        # Two hundredths of the time is what one may cost.
        assert sampled.status("costly").interval_s >= 10
        assert sampled.status("good").interval_s < 10


async def test_a_server_that_hangs_has_two_connections_of_it_and_comes_back(
    open_database: OpenDatabase, disposable_server: Callable[..., PostgresServer]
) -> None:
    server = disposable_server()
    slow = collector("slow", "SELECT 1 AS n", "slow = true")
    database = await open_database(server.dsn(), min_size=0, health={"interval_s": 0.2})
    async with sampling(database, [GOOD, slow], sources=load_sources()) as sampled:
        await eventually(lambda: sampled.value("pg_up") == 1)
        await eventually(lambda: backends(server) == 2)
        await asyncio.to_thread(server.pause)
        await eventually(lambda: sampled.value("pg_up") == 0)
        # What it knew is told no longer: nobody is to take it for how things are.
        await eventually(lambda: sampled.value("good_value") is None)
        assert sampled.status("good").state is CollectorState.FAILED
        await asyncio.sleep(3)
        await asyncio.to_thread(server.resume)
        await eventually(lambda: sampled.value("pg_up") == 1)
        await eventually(lambda: sampled.value("good_value") == 1)
        assert backends(server) <= 2


async def test_a_server_that_is_restarted_is_sampled_anew(
    open_database: OpenDatabase, disposable_server: Callable[..., PostgresServer]
) -> None:
    server = disposable_server()
    database = await open_database(server.dsn(), min_size=0, health={"interval_s": 0.2})
    async with sampling(database, [GOOD], sources=load_sources()) as sampled:
        await eventually(lambda: sampled.value("pg_up") == 1)
        await asyncio.to_thread(server.stop)
        await eventually(lambda: sampled.value("pg_up") == 0)
        assert sampled.status("good").message
        await asyncio.to_thread(server.start)
        await eventually(lambda: sampled.value("pg_up") == 1)
        await eventually(lambda: sampled.status("good").state is CollectorState.OK)


async def test_a_session_that_is_terminated_is_made_anew(
    open_database: OpenDatabase, database_dsn: str, postgres: PostgresServer
) -> None:
    database = await open_database(database_dsn)
    mine = f"{OURS} AND datname = '{psycopg.conninfo.conninfo_to_dict(database_dsn)['dbname']}'"
    async with sampling(database, [GOOD]) as sampled:
        await eventually(sampled.all_ran)
        postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {mine}")
        ended = sampled.status("good").sampled_at or 0.0
        await eventually(lambda: (sampled.status("good").sampled_at or 0) > ended + 1)


async def test_a_large_table_of_samples_comes_in_slices(
    open_database: OpenDatabase, database_dsn: str
) -> None:
    sliced = Collector.parse(
        "sliced.sql",
        '/*\nabout = "x."\nevery_s = 1\nslice_rows = 4\nlabels = ["k"]\n[metrics.sliced_value]\n'
        'unit = "1"\nhelp = "x."\ncolumn = "n"\n*/\n'
        "SELECT i AS slice_key, i AS k, i AS n FROM pg_catalog.generate_series(1, 10) AS i"
        " WHERE i > %(after)s ORDER BY i LIMIT %(slice_rows)s",
    )
    database = await open_database(database_dsn)
    counts: list[int] = []
    async with sampling(database, [sliced]) as sampled:

        def whole() -> bool:
            counts.append(len(sampled.series("sliced_value")))
            return counts[-1] == 10

        await eventually(whole)
        assert {4, 8, 10} >= set(counts) - {0}
        # From then on, all of them stay while the next round goes on.
        ran_at = sampled.status("sliced").sampled_at or 0.0
        await eventually(lambda: (sampled.status("sliced").sampled_at or 0) > ran_at + 1.5)
        assert len(sampled.series("sliced_value")) == 10


@pytest.mark.parametrize("top", [3, 100])
async def test_the_busiest_tables_are_shown_and_the_rest_together(
    open_database: OpenDatabase, make_database: Callable[..., Any], top: int
) -> None:
    dsn = make_database()
    with psycopg.connect(dsn, autocommit=True) as connection:
        for number in range(10):
            connection.execute(f"CREATE TABLE public.t{number} (a int)")
            connection.execute(
                f"INSERT INTO public.t{number} SELECT generate_series(1, {number * 10})"
            )
        connection.execute("SELECT pg_stat_force_next_flush()")
    database = await open_database(dsn)
    async with sampling(database, top_tables=top) as sampled:
        inserted = "pg_stat_user_tables_n_tup_ins"
        await eventually(lambda: sum(sampled.series(inserted).values()) == 450)
        shown = {labels[2]: value for labels, value in sampled.series(inserted).items()}
    if top == 3:
        assert shown == {"t9": 90, "t8": 80, "t7": 70, "(others)": 210}
    else:
        assert shown == {f"t{number}": number * 10 for number in range(10)}
