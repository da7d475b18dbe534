"""Scratch databases of round trips: what they need, and that none is left behind."""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from dbopsd.db.database import Database
from dbopsd.migrate.versions.folder.read_folder import read_folder
from dbopsd.migrate.versions.kinds import CHECK_MIGRATIONS
from dbopsd.migrate.versions.model.migration_file import Folder
from dbopsd.migrate.versions.model.reports import RoundtripResult
from dbopsd.migrate.versions.model.requests import CheckMigrationsRequest
from dbopsd.migrate.versions.roundtrip.round_trip import round_trip
from tests.support.operation_run import OperationRun
from tests.support.patience import eventually, eventually_blocking
from tests.support.servers import PostgresServer

OpenMigrated = Callable[..., Awaitable[Database]]
SLOW = "SELECT pg_sleep(60)"
KILLED = """
import asyncio, sys
from pathlib import Path
from opentelemetry.metrics import NoOpMeter
from opentelemetry.trace import NoOpTracer
from dbopsd.config import DatabaseConfig
from dbopsd.db.database import Database
from dbopsd.migrate.versions.folder.read_folder import read_folder
from dbopsd.migrate.versions.roundtrip.round_trip import round_trip
from tests.support.operation_run import OperationRun

dsn, directory, scratch = sys.argv[1:]
config = DatabaseConfig.model_validate({"dsn": dsn, "migrations_dir": directory})
database = Database("main", config, tracer=NoOpTracer(), meter=NoOpMeter("x"))
folder = read_folder(config.migrations_dir[0], config.migrations)
asyncio.run(round_trip(OperationRun(database, Path(scratch), "killed"), [folder]))
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A folder with one migration."""
    made = tmp_path / "migrations"
    made.mkdir()
    (made / "001_t.sql").write_text("CREATE TABLE t (a integer)")
    (made / "001_t_rollback.sql").write_text("DROP TABLE t")
    return made


def folder_of(database: Database) -> Folder:
    assert database.config.migrations_dir
    return read_folder(database.config.migrations_dir[0], database.config.migrations)


def left_on(dsn: str) -> list[str]:
    """The names of scratch databases of round trips from this database."""
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "SELECT d.datname FROM pg_database AS d, pg_database AS own"
            " WHERE own.datname = current_database()"
            " AND starts_with(d.datname, format('dbops_roundtrip_%s_', own.oid))"
        ).fetchall()
    return [name for (name,) in rows]


def busy_on(dsn: str) -> bool:
    """Whether the slow migration runs on one of them."""
    names = left_on(dsn)
    with psycopg.connect(dsn) as connection:
        found = connection.execute(
            "SELECT FROM pg_stat_activity WHERE datname = ANY (%s) AND query = %s", (names, SLOW)
        )
        return bool(found.fetchall())


@pytest.fixture
def unwatched_dsn(postgres: PostgresServer) -> Iterator[str]:
    """A database of whose statements not all need spans: a killed process cannot give them."""
    name = postgres.create_database(prefix="unwatched_")
    yield postgres.dsn(dbname=name)
    postgres.drop_database(name)


async def test_what_a_killed_round_trip_left_goes_at_the_start_of_the_next(
    unwatched_dsn: str, directory: Path, tmp_path: Path, open_migrated: OpenMigrated
) -> None:
    dsn = unwatched_dsn
    (directory / "001_t.sql").write_text(SLOW)
    command = [sys.executable, "-c", KILLED, dsn, str(directory), str(tmp_path / "killed")]
    with subprocess.Popen(command) as process:
        try:
            eventually_blocking(lambda: busy_on(dsn), what="the migration runs")
        finally:
            process.kill()
    assert len(left_on(dsn)) == 1

    (directory / "001_t.sql").write_text("CREATE TABLE t (a integer)")
    database = await open_migrated(dsn, directory)
    [result] = await round_trip(OperationRun(database, tmp_path), [folder_of(database)])
    assert result.result is RoundtripResult.RESTORED
    assert left_on(dsn) == []


async def test_a_round_trip_leaves_others_alone_and_nothing_when_it_is_cancelled(
    database_dsn: str, directory: Path, tmp_path: Path, open_migrated: OpenMigrated
) -> None:
    database = await open_migrated(database_dsn, directory)
    quick = folder_of(database)
    (directory / "001_t.sql").write_text(SLOW)
    slow = asyncio.create_task(
        round_trip(OperationRun(database, tmp_path, "slow"), [folder_of(database)])
    )
    await eventually(lambda: busy_on(database_dsn))
    [result] = await round_trip(OperationRun(database, tmp_path, "quick"), [quick])
    assert result.result is RoundtripResult.RESTORED
    other = OperationRun(database, tmp_path, "other")
    await CHECK_MIGRATIONS.clean_up(other, CheckMigrationsRequest(roundtrip=True))
    assert busy_on(database_dsn)

    slow.cancel()
    with pytest.raises(asyncio.CancelledError):
        await slow
    assert left_on(database_dsn) == []


async def test_cleaning_up_drops_the_databases_of_an_operation(
    postgres: PostgresServer,
    database_dsn: str,
    directory: Path,
    tmp_path: Path,
    open_migrated: OpenMigrated,
) -> None:
    database = await open_migrated(database_dsn, directory)
    (directory / "001_t.sql").write_text(SLOW)
    run = OperationRun(database, tmp_path)
    slow = asyncio.create_task(round_trip(run, [folder_of(database)]))
    await eventually(lambda: busy_on(database_dsn))
    # As after a kill -9 of which the server has not heard: the lock is held, statements run.
    await CHECK_MIGRATIONS.clean_up(run, CheckMigrationsRequest(roundtrip=False))
    assert len(left_on(database_dsn)) == 1
    await CHECK_MIGRATIONS.clean_up(run, CheckMigrationsRequest(roundtrip=True))
    assert left_on(database_dsn) == []
    [result] = await slow
    assert result.result is RoundtripResult.FAILED
    assert left_on(database_dsn) == []


async def test_a_role_that_may_not_make_databases_is_told_what_it_needs(
    database_dsn: str,
    directory: Path,
    tmp_path: Path,
    open_migrated: OpenMigrated,
    make_role: Callable[..., dict[str, str]],
) -> None:
    role = make_role()
    dsn = psycopg.conninfo.make_conninfo(database_dsn, **role)
    database = await open_migrated(dsn, directory)
    [result] = await round_trip(OperationRun(database, tmp_path), [folder_of(database)])
    assert result.result is RoundtripResult.NOT_TRIED
    assert f"role '{role['user']}' may not make one: ALTER ROLE" in result.problem


async def test_an_ordinary_role_with_createdb_is_enough(
    postgres: PostgresServer,
    database_dsn: str,
    directory: Path,
    tmp_path: Path,
    open_migrated: OpenMigrated,
    make_role: Callable[..., dict[str, str]],
) -> None:
    role = make_role()
    postgres.execute(f"ALTER ROLE {role['user']} CREATEDB")
    # Rolled back on a schema that is not right, and so made anew.
    (directory / "002_kept.sql").write_text("CREATE TABLE kept ()")
    (directory / "002_kept_rollback.sql").write_text("SELECT 1")
    (directory / "003_u.sql").write_text("CREATE TABLE u ()")
    (directory / "003_u_rollback.sql").write_text("DROP TABLE u")
    database = await open_migrated(psycopg.conninfo.make_conninfo(database_dsn, **role), directory)
    results = await round_trip(OperationRun(database, tmp_path), [folder_of(database)])
    assert [each.result for each in results] == [
        RoundtripResult.RESTORED,
        RoundtripResult.NOT_RESTORED,
        RoundtripResult.RESTORED,
    ]
    assert left_on(database_dsn) == []


async def test_migrations_begin_with_the_search_path_of_the_database(
    postgres: PostgresServer,
    database_dsn: str,
    directory: Path,
    tmp_path: Path,
    open_migrated: OpenMigrated,
) -> None:
    name = psycopg.conninfo.conninfo_to_dict(database_dsn)["dbname"]
    postgres.execute(f"ALTER DATABASE {name} SET search_path = app")
    (directory / "001_t.sql").write_text("CREATE SCHEMA app; CREATE TABLE t (a integer)")
    (directory / "001_t_rollback.sql").write_text("DROP TABLE app.t; DROP SCHEMA app")
    database = await open_migrated(database_dsn, directory)
    [result] = await round_trip(OperationRun(database, tmp_path), [folder_of(database)])
    assert result.result is RoundtripResult.RESTORED


async def test_a_scratch_database_has_the_encoding_and_the_locale_of_the_real_one(
    postgres: PostgresServer, directory: Path, tmp_path: Path, open_migrated: OpenMigrated
) -> None:
    name = "test_round_trip_locale"
    locale = "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C'" if postgres.version >= 17 else ""
    postgres.execute(
        f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' {locale}"
        " LC_COLLATE 'C' LC_CTYPE 'C'"
    )
    facts = "encoding, datcollate, datctype, datlocprovider"
    expected = postgres.execute(f"SELECT {facts} FROM pg_database WHERE datname = '{name}'")
    (directory / "001_t.sql").write_text(
        f"DO $$ BEGIN ASSERT (SELECT ({facts})::text FROM pg_database"
        " WHERE datname = current_database()) = "
        f"'({','.join(map(str, expected[0]))})'; END $$; CREATE TABLE t (a integer)"
    )
    try:
        database = await open_migrated(postgres.dsn(dbname=name), directory)
        [result] = await round_trip(OperationRun(database, tmp_path), [folder_of(database)])
        await database.close()
    finally:
        postgres.drop_database(name)
    assert (result.result, result.problem) == (RoundtripResult.RESTORED, "")


async def test_nothing_of_a_folder_with_a_problem_is_tried(
    database_dsn: str, directory: Path, tmp_path: Path, open_migrated: OpenMigrated
) -> None:
    (directory / "1_again.sql").write_text("SELECT 1")
    database = await open_migrated(database_dsn, directory)
    results = await round_trip(OperationRun(database, tmp_path), [folder_of(database)])
    assert {each.result for each in results} == {RoundtripResult.NOT_TRIED}
    assert all("001_t.sql" in each.problem for each in results)
