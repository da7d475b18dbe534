"""Rows are counted at a position of the WAL, on a quiet server and on a busy one."""

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest

from dbopsd.backup.catalog.commit import RowCounts
from dbopsd.backup.row_counts.count_rows import Limits, count_rows
from dbopsd.backup.row_counts.snapshot import Patience
from dbopsd.db.database import Database
from tests.support.backed_up import backed_up
from tests.support.servers import PostgresServer

HURRIED = Limits(patience=Patience(quiet_s=0.2, locked_s=5.0))


@pytest.fixture
def tables(cluster: PostgresServer) -> Iterator[None]:
    """Tables in two databases, and some that are not counted."""
    cluster.execute("CREATE DATABASE counted")
    cluster.execute(
        'CREATE TABLE public."odd %s ""name""" AS SELECT generate_series(1, 7) AS id;'
        "CREATE UNLOGGED TABLE public.unlogged AS SELECT 1 AS id;"
        "CREATE TABLE public.parts (id int) PARTITION BY RANGE (id);"
        "CREATE TABLE public.part PARTITION OF public.parts FOR VALUES FROM (0) TO (100);"
        "INSERT INTO public.parts SELECT generate_series(0, 9);"
        "CREATE TABLE public.busy AS SELECT generate_series(1, 3) AS id;",
        dbname="counted",
    )
    yield
    cluster.execute("DROP DATABASE counted WITH (FORCE)")


@asynccontextmanager
async def _writing(server: PostgresServer, statement: str) -> AsyncIterator[None]:
    """Run a statement over and over, each time in a transaction of its own."""
    dsn = server.dsn(dbname="counted")
    connection = await psycopg.AsyncConnection.connect(dsn, autocommit=True)

    async def write() -> None:
        while True:
            await connection.execute(statement)

    task = asyncio.create_task(write())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await connection.close()


def _rows(counts: RowCounts) -> dict[str, int]:
    return {each.table: each.rows for each in counts.tables if each.database == "counted"}


async def _count(database: Database, limits: Limits = HURRIED) -> RowCounts:
    return await count_rows(database, limits, lambda _done, _total: None)


@pytest.mark.usefixtures("tables")
async def test_a_quiet_server_is_counted_whole(cluster: PostgresServer, tmp_path: Path) -> None:
    async with backed_up(cluster, tmp_path) as database:
        counts = await _count(database, Limits())
    assert _rows(counts) == {'odd %s "name"': 7, "part": 10, "busy": 3}
    assert counts.left_out == ()
    ((before,),) = cluster.execute(f"SELECT '{counts.lsn}' <= pg_current_wal_insert_lsn()")
    assert before


@pytest.mark.usefixtures("tables")
async def test_tables_that_are_written_to_are_left_out_and_the_others_counted(
    cluster: PostgresServer, tmp_path: Path
) -> None:
    async with (
        backed_up(cluster, tmp_path) as database,
        await psycopg.AsyncConnection.connect(cluster.dsn(dbname="counted")) as writer,
    ):
        await writer.execute("INSERT INTO busy VALUES (4)")
        counts = await _count(database)
        assert _rows(counts) == {'odd %s "name"': 7, "part": 10}
        assert counts.left_out == ("counted.public.busy: others write to it",)
        await writer.rollback()
        # The locks are gone.
        await writer.execute("INSERT INTO busy VALUES (4)")


@pytest.mark.usefixtures("tables")
async def test_what_is_counted_on_a_busy_server_is_what_was_committed_by_then(
    cluster: PostgresServer, tmp_path: Path
) -> None:
    statement = "INSERT INTO busy SELECT max(id) + 1 FROM busy"
    async with backed_up(cluster, tmp_path) as database:
        async with _writing(cluster, statement):
            found = [await _count(database) for _ in range(3)]
        for counts in found:
            rows = _rows(counts)
            assert rows["part"] == 10
            if "busy" not in rows:
                continue
            # Each commit adds a row: those with a commit record before the position count.
            commits = _commits_before(cluster, counts)
            assert rows["busy"] == commits


@pytest.mark.usefixtures("tables")
async def test_a_table_that_is_emptied_meanwhile_is_left_out(
    cluster: PostgresServer, tmp_path: Path
) -> None:
    emptied = False

    def empty(_done: int, _total: int) -> None:
        nonlocal emptied
        if not emptied:
            cluster.execute("TRUNCATE busy", dbname="counted")
            emptied = True

    async with backed_up(cluster, tmp_path) as database:
        counts = await count_rows(database, Limits(), empty)
    assert _rows(counts) == {'odd %s "name"': 7, "part": 10}
    assert counts.left_out == ("counted.public.busy: it was emptied or rewritten meanwhile",)


@pytest.mark.usefixtures("tables")
async def test_what_a_role_may_not_read_is_left_out(
    cluster: PostgresServer, tmp_path: Path
) -> None:
    cluster.execute("CREATE ROLE counter LOGIN PASSWORD 'counter'")
    cluster.execute("GRANT SELECT ON public.busy, public.part TO counter", dbname="counted")
    cluster.execute("ALTER TABLE public.part ENABLE ROW LEVEL SECURITY", dbname="counted")
    cluster.execute("CREATE DATABASE locked")
    cluster.execute("REVOKE CONNECT ON DATABASE locked FROM PUBLIC")
    try:
        dsn = cluster.dsn(user="counter", password="counter")
        async with backed_up(cluster, tmp_path, dsn=dsn) as database:
            counts = await _count(database)
    finally:
        cluster.execute("DROP DATABASE locked")
        cluster.execute("DROP OWNED BY counter", dbname="counted")
        cluster.execute("DROP ROLE counter")
    assert _rows(counts) == {"busy": 3}
    assert any("odd" in each and "may not read" in each for each in counts.left_out)
    assert any("public.part" in each and "row-level" in each for each in counts.left_out)
    assert "locked: the role may not connect to it" in counts.left_out


def _commits_before(server: PostgresServer, counts: RowCounts) -> int:
    """How many rows `busy` had at the position, by the WAL itself."""
    ((now, count),) = server.execute(
        "SELECT pg_current_wal_lsn()::text, (SELECT count(*) FROM busy)", dbname="counted"
    )
    after = _committed(server, str(counts.lsn), str(now))
    assert isinstance(count, int)
    return count - after


def _committed(server: PostgresServer, start: str, end: str) -> int:
    done = subprocess.run(
        [
            server.bin_dir / "pg_waldump",
            f"--path={server.data_dir / 'pg_wal'}",
            f"--start={start}",
            f"--end={end}",
            "--rmgr=Transaction",
        ],
        check=False,
        capture_output=True,
        text=True,
    )
    return done.stdout.count("COMMIT")
