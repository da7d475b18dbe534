"""Round trips of migrations whose rollbacks are right, wrong in each way, or not there."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from dbopsd.db.database import Database
from dbopsd.migrate.versions.folder.read_folder import read_folder
from dbopsd.migrate.versions.model.migration_file import Folder
from dbopsd.migrate.versions.model.reports import (
    Aspect,
    Change,
    Difference,
    RoundtripResult,
)
from dbopsd.migrate.versions.roundtrip.round_trip import round_trip
from tests.support.operation_run import OperationRun
from tests.support.servers import PostgresServer

MIGRATIONS = {
    "001_users": ("CREATE TABLE users (id bigint PRIMARY KEY, a text, b text)", "DROP TABLE users"),
    "002_order": ("ALTER TABLE users DROP COLUMN a", "ALTER TABLE users ADD COLUMN a text"),
    "003_nothing": ("CREATE INDEX users_b ON users (b)", "-- Not reversible.\n"),
    "004_left": (
        "CREATE TYPE mood AS ENUM ('sad'); CREATE TABLE moods (m mood)",
        "DROP TABLE moods",
    ),
    "005_uses": ("ALTER TABLE moods ADD COLUMN n integer", "ALTER TABLE moods DROP COLUMN n"),
    "006_wrong_down": ("CREATE VIEW names AS SELECT b FROM users", "DROP VIEW no_names"),
    "007_half": (
        "-- dbops: transaction=off\nCREATE TABLE half (a integer);\nSELECT 1 / 0;\n",
        "DROP TABLE half",
    ),
    "008_needs_half": ("ALTER TABLE half ADD COLUMN b integer", "SELECT 1"),
    "009_concurrently": (
        "-- dbops: transaction=off\nCREATE INDEX CONCURRENTLY names_b ON users (b)",
        "-- dbops: transaction=off\nDROP INDEX CONCURRENTLY names_b",
    ),
    "010_role": ("DO $$ BEGIN CREATE ROLE dbops_round_trip_role; END $$", "SELECT 1"),
    "011_server": ("ALTER SYSTEM SET work_mem = '8MB'", "ALTER SYSTEM RESET work_mem"),
    "012_grants": (
        "GRANT SELECT ON users TO PUBLIC",
        "SELECT set_config('search_path', '', false)",
    ),
    "013_settings": ("SET search_path = nowhere; SET ROLE pg_monitor", "SELECT 1"),
    "014_left_function": (
        "CREATE OR REPLACE FUNCTION f() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "SELECT 1",
    ),
    "015_last": ("CREATE TABLE last (u bigint REFERENCES users)", "DROP TABLE last"),
}


@pytest.fixture
def folder_of(tmp_path: Path) -> Callable[[Database, dict[str, tuple[str, str]]], Folder]:
    """`folder_of(database, {name: (up, down)}) -> Folder`, its files written."""

    def make(database: Database, migrations: dict[str, tuple[str, str]]) -> Folder:
        directory = tmp_path / "migrations"
        directory.mkdir(exist_ok=True)
        for name, (up, down) in migrations.items():
            (directory / f"{name}.sql").write_text(up)
            (directory / f"{name}_rollback.sql").write_text(down)
        assert database.config.migrations_dir
        return read_folder(database.config.migrations_dir[0], database.config.migrations)

    return make


def left_on(server: PostgresServer) -> list[tuple[object, ...]]:
    """The names of scratch databases that are there."""
    return server.execute("SELECT datname FROM pg_database WHERE datname ~ '^dbops_roundtrip'")


async def test_each_rollback_gets_its_own_result_and_none_stops_the_rest(
    postgres: PostgresServer,
    database_dsn: str,
    tmp_path: Path,
    open_migrated: Callable[..., Awaitable[Database]],
    folder_of: Callable[..., Folder],
) -> None:
    database = await open_migrated(database_dsn, tmp_path / "migrations")
    run = OperationRun(database, tmp_path)
    results = await round_trip(run, [folder_of(database, MIGRATIONS)])
    found = {f"{each.version}_{each.name}": each for each in results}
    result = RoundtripResult
    assert {name: each.result for name, each in found.items()} == {
        "001_users": result.RESTORED,
        "002_order": result.ONLY_ORDER_OR_GRANTS,
        "003_nothing": result.NO_ROLLBACK,
        "004_left": result.NOT_RESTORED,
        "005_uses": result.RESTORED,
        "006_wrong_down": result.FAILED,
        "007_half": result.FAILED,
        "008_needs_half": result.NOT_TRIED,
        "009_concurrently": result.RESTORED,
        "010_role": result.NOT_TRIED,
        "011_server": result.NOT_TRIED,
        "012_grants": result.ONLY_ORDER_OR_GRANTS,
        "013_settings": result.RESTORED,
        "014_left_function": result.NOT_RESTORED,
        "015_last": result.RESTORED,
    }
    assert {name: each.problem for name, each in found.items() if each.problem} == {
        "004_left": 'applying again: 004_left.sql:1:1: type "mood" already exists',
        "006_wrong_down": "rolling back: 006_wrong_down_rollback.sql:1:1: "
        'view "no_names" does not exist',
        "007_half": "applying: 007_half.sql:3:1: division by zero",
        "008_needs_half": "applying, without 007 before it: 008_needs_half.sql:1:1: "
        'relation "half" does not exist',
        "010_role": "010_role.sql: it changes roles of the server, which all its databases share",
        "011_server": "011_server.sql:1:1: it changes settings of the server, "
        "which all its databases share",
    }
    assert found["004_left"].differences == (
        Difference("type", "public.mood", Change.ADDED, actual="ENUM ('sad')"),
    )
    assert [each.aspect for each in found["002_order"].differences] == [Aspect.COLUMN_ORDER]
    assert [each.identity for each in found["014_left_function"].differences] == ["public.f()"]
    assert left_on(postgres) == []
    assert postgres.execute("SELECT FROM pg_roles WHERE rolname = 'dbops_round_trip_role'") == []
    assert run.progress_log[-1] == ("round trips", len(MIGRATIONS), len(MIGRATIONS), "{migrations}")


async def test_what_reaches_beyond_its_database_is_undone_wherever_it_stands(
    postgres: PostgresServer,
    database_dsn: str,
    tmp_path: Path,
    open_migrated: Callable[..., Awaitable[Database]],
    folder_of: Callable[..., Folder],
) -> None:
    role = "dbops_round_trip_role"
    migrations = {
        "001_half": (
            (
                "-- dbops: transaction=off\nCREATE TABLE t ();\n"
                f"DO $$ BEGIN CREATE ROLE {role}; END $$;"
            ),
            "SELECT 1",
        ),
        "002_anew": ("CREATE TABLE t (); ALTER TABLE t ADD a integer", "DROP TABLE t"),
        "003_privilege": (
            (
                "DO $$ BEGIN GRANT TEMPORARY ON DATABASE postgres TO pg_monitor;"
                " EXCEPTION WHEN division_by_zero THEN NULL; END $$"
            ),
            "SELECT 1",
        ),
        "004_setting": ("DO $$ BEGIN ALTER ROLE CURRENT_USER SET jit = off; END $$", "SELECT 1"),
        "005_down": ("CREATE TABLE u ()", f"DROP TABLE u; CREATE ROLE {role}"),
        "006_commits": (
            (
                "-- dbops: transaction=off\n"
                "DO $$ BEGIN CREATE TABLE c (); COMMIT; CREATE TABLE d (); END $$;"
            ),
            "DROP TABLE c, d",
        ),
    }
    database = await open_migrated(database_dsn, tmp_path / "migrations")
    results = await round_trip(OperationRun(database, tmp_path), [folder_of(database, migrations)])
    assert [each.result.value for each in results] == [
        *("NOT_TRIED", "RESTORED", "NOT_TRIED", "NOT_TRIED", "NOT_TRIED", "RESTORED"),
    ]
    assert [each.problem.partition(":")[2] for each in results if each.problem] == [
        " it changes roles of the server, which all its databases share",
        " it changes databases of the server, which all its databases share",
        " it changes settings of roles or databases of the server, which all its databases share",
        "1:15: it changes roles of the server, which all its databases share",
    ]
    assert postgres.execute(f"SELECT FROM pg_roles WHERE rolname = '{role}'") == []
    assert left_on(postgres) == []


async def test_what_there_is_no_time_for_says_so(
    postgres: PostgresServer,
    database_dsn: str,
    tmp_path: Path,
    open_migrated: Callable[..., Awaitable[Database]],
    folder_of: Callable[..., Folder],
) -> None:
    database = await open_migrated(database_dsn, tmp_path / "migrations")
    migrations = {
        "001_slow": ("CREATE TABLE t (); SELECT pg_sleep(0.1)", "DROP TABLE t"),
        "002_none": ("CREATE TABLE u ()", "DROP TABLE u"),
        "003_none": ("CREATE TABLE v ()", "DROP TABLE v"),
    }
    run = OperationRun(database, tmp_path)
    results = await round_trip(run, [folder_of(database, migrations)], limit_s=0.1)
    assert [each.result.value for each in results] == ["RESTORED", "NOT_TRIED", "NOT_TRIED"]
    over = "the time for round trips was over after 1 of 3"
    assert [each.problem for each in results] == ["", over, over]
    assert left_on(postgres) == []
