"""Names that are no text of any encoding: catalogs of real servers have them."""

from collections.abc import Iterator

import psycopg
import pytest

from dbopsd.metrics.collector import Collector
from dbopsd.metrics.model import CollectorState
from dbopsd.metrics.on_demand import OnDemand
from dbopsd.metrics.sessions.sessions import Sessions
from tests.integration.conftest import OpenDatabase
from tests.support.patience import eventually
from tests.support.sampling import COLLECTORS, sampling
from tests.support.servers import PostgresServer

DATABASE = "test_bad_text"
# A text with such bytes in it makes it fail in every other database of the server.
UNSEEN = "-c pg_stat_statements.track=none"
BAD = "d\N{REPLACEMENT CHARACTER}ta"


@pytest.fixture
def bad_dsn(postgres: PostgresServer) -> Iterator[str]:
    """A database without an encoding, and in it what a client with LATIN1 has named."""
    postgres.execute(
        f"CREATE DATABASE {DATABASE} ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LOCALE 'C' "
        "TEMPLATE template0"
    )
    dsn = postgres.dsn(dbname=DATABASE)
    with psycopg.connect(dsn, autocommit=True, options=UNSEEN) as connection:
        connection.execute(b'CREATE TABLE public."d\xe4ta" (a int)')
    yield dsn
    postgres.drop_database(DATABASE)


async def test_names_in_another_encoding_are_shown_as_far_as_they_can_be_read(
    open_database: OpenDatabase, bad_dsn: str
) -> None:
    database = await open_database(bad_dsn)
    chosen = [each for each in COLLECTORS if each.name in ("stat_user_tables", "roles", "database")]
    async with sampling(database, chosen) as sampled:
        await eventually(sampled.all_ran)
        assert not sampled.failures()
        tables = {labels[2] for labels in sampled.series("pg_stat_user_tables_n_live_tup")}
        assert BAD in tables
        assert ("postgres",) in sampled.series("pg_roles_connection_limit")
    with psycopg.connect(bad_dsn, autocommit=True, options=UNSEEN) as connection:
        connection.execute(b"SELECT '\xe4'::text")
        sessions = await Sessions(OnDemand({"main": database})).list("main")
        (session,) = (each for each in sessions if each.pid == connection.info.backend_pid)
        assert session.statement == "SELECT '\N{REPLACEMENT CHARACTER}'::text"
        assert session.postgres_database == DATABASE


async def test_a_collector_that_fails_for_whatever_reason_holds_up_no_other(
    open_database: OpenDatabase, database_dsn: str
) -> None:
    # No error that anybody has thought of.
    strange = Collector.parse(
        "strange.sql",
        '/*\nabout = "x."\nevery_s = 10\nrows_name_metrics = true\n*/\n'
        "SELECT 'strange_value' AS metric, 'none' AS type, '1' AS unit, 'x.' AS help, 1 AS value",
    )
    database = await open_database(database_dsn)
    good = next(each for each in COLLECTORS if each.name == "stat_database")
    async with sampling(database, [strange, good]) as sampled:
        await eventually(sampled.all_ran)
        assert sampled.status("strange").state is CollectorState.FAILED
        assert sampled.status("strange").reason == "COLLECTOR_FAILED"
        first = sampled.status("stat_database").sampled_at
        assert first is not None
        await eventually(lambda: (sampled.status("stat_database").sampled_at or 0) > first)
