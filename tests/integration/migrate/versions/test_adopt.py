"""Histories of other tools are taken over into the ledger, and stay as they are."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from dbopsd.db.database import Database
from dbopsd.db.errors import PermissionMissing
from dbopsd.errors import InvalidField
from dbopsd.migrate.versions.adopt.applied_elsewhere import AppliedElsewhere
from dbopsd.migrate.versions.adopt.errors import (
    HistoryContradicts,
    HistoryNotFound,
    HistoryUnclear,
)
from dbopsd.migrate.versions.adopt_migrations import adopt_migrations
from dbopsd.migrate.versions.apply.pooler import PoolerInTheWay
from dbopsd.migrate.versions.apply_migrations import apply_migrations
from dbopsd.migrate.versions.folder.read_folder import read_folder
from dbopsd.migrate.versions.ledger.ledger import Ledger
from dbopsd.migrate.versions.ledger.new_run import NewRun
from dbopsd.migrate.versions.model.errors import MigrationFilesInvalid
from dbopsd.migrate.versions.model.ledger_run import Direction, LedgerRun, Result
from dbopsd.migrate.versions.model.migration import Migration, State
from dbopsd.migrate.versions.model.reports import AdoptReport
from dbopsd.migrate.versions.model.requests import (
    AdoptMigrationsRequest,
    ApplyMigrationsRequest,
    Tool,
)
from dbopsd.migrate.versions.plan.description import migrations_of
from dbopsd.operations.errors import FailedWithResult
from tests.integration.migrate.versions.conftest import OpenMigrated
from tests.support.operation_run import OperationRun
from tests.support.recorded_histories import ALL, RECORDED, RecordedHistory
from tests.support.transaction_pooler import TransactionPooler

GOLANG_MIGRATE = RECORDED[Tool.GOLANG_MIGRATE]


def execute(dsn: str, statement: str) -> list[Any]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def migrated(dsn: str, directory: Path, tool: Tool) -> None:
    """A database that the tool has migrated, and its files."""
    execute(dsn, RECORDED[tool].table)
    RECORDED[tool].write(directory)


async def adopt(database: Database, scratch: Path, tool: Tool, **request: Any) -> AdoptReport:
    return await adopt_migrations(
        OperationRun(database, scratch), AdoptMigrationsRequest(tool=tool, **request)
    )


async def ledger_runs(database: Database) -> list[LedgerRun]:
    async with database.session() as session:
        return await Ledger.of(database).read(session)


async def listed(database: Database) -> list[Migration]:
    (directory,) = database.config.migrations_dir
    folder = read_folder(directory, database.config.migrations)
    return list(migrations_of(folder, await ledger_runs(database)))


async def states(database: Database) -> dict[str, State]:
    """The states of all migrations by their paths."""
    return {each.path: each.state for each in await listed(database)}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "migrations").mkdir()
    return tmp_path / "migrations"


@pytest.mark.parametrize(("tool", "recorded"), ALL.values(), ids=ALL)
async def test_what_a_tool_has_applied_is_adopted(
    open_migrated: OpenMigrated,
    database_dsn: str,
    directory: Path,
    tmp_path: Path,
    tool: Tool,
    recorded: RecordedHistory,
) -> None:
    execute(database_dsn, recorded.table)
    recorded.write(directory)
    rows = f"SELECT * FROM {recorded.source_table}"
    before = execute(database_dsn, rows)
    database = await open_migrated(database_dsn, directory, layout=recorded.layout)

    foreseen = await adopt(database, tmp_path, tool, validate_only=True)
    assert await ledger_runs(database) == []
    report = await adopt(database, tmp_path, tool)

    assert [each.path for each in report.adopted] == list(recorded.applied)
    assert [each.path for each in foreseen.adopted] == list(recorded.applied)
    paths = {each.version: each.path for each in await listed(database)}
    assert [paths[each.version] for each in report.mismatched] == list(recorded.mismatched)
    assert [paths[each.version] for each in report.failed] == list(recorded.failed)
    assert [each.version for each in report.unknown] == list(recorded.unknown)
    assert report.source_table == recorded.source_table
    assert report.notes
    timed = tool in (Tool.FLYWAY, Tool.SQLX, Tool.PRISMA, Tool.ATLAS)
    assert {
        each.duration_s is not None
        for each in await listed(database)
        if each.path in recorded.applied and "by_hand" not in each.path
    } == {timed}
    by_state: dict[State, set[str]] = {}
    for path, state in (await states(database)).items():
        by_state.setdefault(state, set()).add(path)
    assert by_state.get(State.ADOPTED) == set(recorded.applied)
    assert by_state.get(State.CHANGED, set()) == set(recorded.mismatched)
    assert by_state.get(State.INTERRUPTED, set()) == set(recorded.failed)
    assert execute(database_dsn, rows) == before
    again = await adopt(database, tmp_path, tool)
    assert again.adopted == ()
    taken = (*recorded.applied, *recorded.mismatched, *recorded.failed)
    assert len(await ledger_runs(database)) == len(taken)


async def test_validating_creates_nothing(
    open_migrated: OpenMigrated, database_dsn: str, directory: Path, tmp_path: Path
) -> None:
    migrated(database_dsn, directory, Tool.GOLANG_MIGRATE)
    database = await open_migrated(database_dsn, directory)
    await adopt(database, tmp_path, Tool.GOLANG_MIGRATE, validate_only=True)
    assert execute(database_dsn, "SELECT 1 FROM pg_namespace WHERE nspname = 'dbops'") == []


async def test_nothing_is_adopted_through_a_pooler_in_transaction_mode(
    open_migrated: OpenMigrated, database_dsn: str, directory: Path, tmp_path: Path
) -> None:
    migrated(database_dsn, directory, Tool.GOLANG_MIGRATE)
    with TransactionPooler(database_dsn, size=2, oldest_first=True) as pooler:
        login = f"host=127.0.0.1 port={pooler.port} user=anybody dbname=any"
        database = await open_migrated(login, directory)
        with pytest.raises(PoolerInTheWay):
            await adopt(database, tmp_path, Tool.GOLANG_MIGRATE)
    assert execute(database_dsn, "SELECT 1 FROM pg_namespace WHERE nspname = 'dbops'") == []


async def test_only_what_is_new_is_adopted_later(
    open_migrated: OpenMigrated, database_dsn: str, directory: Path, tmp_path: Path
) -> None:
    migrated(database_dsn, directory, Tool.GOLANG_MIGRATE)
    database = await open_migrated(database_dsn, directory)
    await adopt(database, tmp_path, Tool.GOLANG_MIGRATE)
    execute(database_dsn, "UPDATE schema_migrations SET version = 3")
    report = await adopt(database, tmp_path, Tool.GOLANG_MIGRATE)
    assert [each.version for each in report.adopted] == ["000003"]
    assert [run.key for run in await ledger_runs(database)] == ["000001", "000002", "000003"]


async def test_an_unfinished_version_is_recorded_as_interrupted_until_it_is_finished(
    open_migrated: OpenMigrated, database_dsn: str, directory: Path, tmp_path: Path
) -> None:
    migrated(database_dsn, directory, Tool.GOLANG_MIGRATE)
    execute(database_dsn, "UPDATE schema_migrations SET dirty = true")
    database = await open_migrated(database_dsn, directory)
    report = await adopt(database, tmp_path, Tool.GOLANG_MIGRATE)
    assert [each.version for each in report.failed] == ["000002"]
    assert (await states(database))["000002_users_name.up.sql"] is State.INTERRUPTED
    execute(database_dsn, "UPDATE schema_migrations SET dirty = false")
    report = await adopt(database, tmp_path, Tool.GOLANG_MIGRATE)
    assert [each.version for each in report.adopted] == ["000002"]
    assert (await states(database))["000002_users_name.up.sql"] is State.ADOPTED


async def test_a_file_that_was_changed_or_lost_since_is_said(
    open_migrated: OpenMigrated, database_dsn: str, directory: Path, tmp_path: Path
) -> None:
    migrated(database_dsn, directory, Tool.SQLX)
    changed, lost = "20240101120000_create_users.up.sql", "20240102120000_users_email_unique"
    (directory / changed).write_text("CREATE TABLE users ();")
    (directory / f"{lost}.up.sql").unlink()
    (directory / f"{lost}.down.sql").unlink()
    database = await open_migrated(database_dsn, directory, layout="sqlx")
    report = await adopt(database, tmp_path, Tool.SQLX)
    assert [each.path for each in report.adopted] == ["20240103120000_users_name.up.sql"]
    assert [(each.version, each.name) for each in report.unknown] == [
        ("20240102120000", "users email unique")
    ]
    assert [each.version for each in report.mismatched] == ["20240101120000"]
    assert "its sha384 was ccc07995" in report.mismatched[0].problem
    assert (await states(database))[changed] is State.CHANGED
    RECORDED[Tool.SQLX].write(directory)
    report = await adopt(database, tmp_path, Tool.SQLX)
    assert [each.path for each in report.adopted] == [changed, f"{lost}.up.sql"]
    assert set((await states(database)).values()) == {State.ADOPTED}


async def test_what_follows_is_applied(
    open_migrated: OpenMigrated, database_dsn: str, directory: Path, tmp_path: Path
) -> None:
    migrated(database_dsn, directory, Tool.GOLANG_MIGRATE)
    execute(database_dsn, "CREATE TABLE users (id bigint PRIMARY KEY, email text, name text)")
    database = await open_migrated(database_dsn, directory)
    await adopt(database, tmp_path, Tool.GOLANG_MIGRATE)
    report = await apply_migrations(OperationRun(database, tmp_path), ApplyMigrationsRequest())
    assert [each.version for each in report.migrations] == ["000003"]
    assert execute(database_dsn, "SELECT age FROM users") == []


async def test_what_another_tool_has_applied_is_not_applied_again(
    open_migrated: OpenMigrated, database_dsn: str, directory: Path, tmp_path: Path
) -> None:
    migrated(database_dsn, directory, Tool.FLYWAY)
    database = await open_migrated(database_dsn, directory, layout="flyway")
    with pytest.raises(FailedWithResult) as refused:
        await apply_migrations(OperationRun(database, tmp_path), ApplyMigrationsRequest())
    error = refused.value.cause
    assert isinstance(error, AppliedElsewhere)
    first, *others = RECORDED[Tool.FLYWAY].applied
    assert (error.tool, error.path, error.files) == ("Flyway", first, 1 + len(others))
    assert "--from flyway --table" in error.message
    assert execute(database_dsn, "SELECT 1 FROM pg_namespace WHERE nspname = 'dbops'") == []


async def test_a_history_of_a_stranger_runs_nothing(
    open_migrated: OpenMigrated,
    make_database: Callable[..., str],
    make_role: Callable[..., dict[str, str]],
    directory: Path,
    tmp_path: Path,
) -> None:
    dsn = make_database()
    role = make_role()
    execute(
        dsn,
        f"""GRANT CREATE ON DATABASE "{conninfo_to_dict(dsn)["dbname"]}" TO {role["user"]};
        GRANT ALL ON SCHEMA public TO {role["user"]};
        CREATE SCHEMA evil;
        GRANT ALL ON SCHEMA evil TO public;
        CREATE FUNCTION evil.steal() RETURNS boolean LANGUAGE plpgsql
            AS 'BEGIN CREATE TABLE evil.made (); RETURN true; END';
        CREATE TABLE evil.schema_migrations (version bigint PRIMARY KEY, dirty boolean NOT NULL);
        INSERT INTO evil.schema_migrations VALUES (1, false);
        ALTER TABLE evil.schema_migrations ENABLE ROW LEVEL SECURITY;
        CREATE POLICY p ON evil.schema_migrations USING (evil.steal());
        GRANT SELECT ON evil.schema_migrations TO public""",
    )
    (directory / "000001_a.up.sql").write_text("CREATE TABLE public.a ()")
    database = await open_migrated(make_conninfo(dsn, **role), directory)
    report = await apply_migrations(OperationRun(database, tmp_path), ApplyMigrationsRequest())
    await database.close()
    assert [each.state for each in report.migrations] == [State.APPLIED]
    assert execute(dsn, "SELECT to_regclass('evil.made')") == [(None,)]
    execute(dsn, f"DROP OWNED BY {role['user']}")


async def test_an_empty_history_of_another_tool_is_in_nobodys_way(
    open_migrated: OpenMigrated, database_dsn: str, directory: Path, tmp_path: Path
) -> None:
    execute(database_dsn, RECORDED[Tool.GOLANG_MIGRATE].table)
    execute(database_dsn, "DELETE FROM schema_migrations")
    (directory / "000001_a.up.sql").write_text("CREATE TABLE a ()")
    database = await open_migrated(database_dsn, directory)
    report = await apply_migrations(OperationRun(database, tmp_path), ApplyMigrationsRequest())
    assert [each.state for each in report.migrations] == [State.APPLIED]


async def test_the_schema_is_the_one_that_drift_is_measured_from(
    open_migrated: OpenMigrated, database_dsn: str, directory: Path, tmp_path: Path
) -> None:
    migrated(database_dsn, directory, Tool.GOLANG_MIGRATE)
    database = await open_migrated(database_dsn, directory)
    await adopt(database, tmp_path, Tool.GOLANG_MIGRATE)
    async with database.session() as session:
        assert await Ledger.of(database).last_fingerprint(session) is not None


@pytest.mark.parametrize(
    ("direction", "result", "says"),
    [
        (Direction.DOWN, Result.DONE, "rolled back"),
        (Direction.RESOLVE_NOT_APPLIED, Result.DONE, "resolved as not applied"),
        (Direction.UP, Result.INTERRUPTED, "interrupted"),
        (Direction.UP, Result.FAILED, ""),
        (Direction.UP, Result.DONE, ""),
    ],
)
async def test_a_ledger_that_says_something_else_is_not_overruled(
    open_migrated: OpenMigrated,
    database_dsn: str,
    directory: Path,
    tmp_path: Path,
    direction: Direction,
    result: Result,
    says: str,
) -> None:
    migrated(database_dsn, directory, Tool.GOLANG_MIGRATE)
    database = await open_migrated(database_dsn, directory)
    ledger = Ledger.of(database)
    async with database.session() as session:
        await ledger.prepare(session)
        run = NewRun("default", "000001", "000001", "create_users", direction, result, checksum="0")
        await ledger.record(session, [run])
    if says:
        with pytest.raises(HistoryContradicts, match=f"'000001' as applied.* it as {says}"):
            await adopt(database, tmp_path, Tool.GOLANG_MIGRATE)
        assert len(await ledger_runs(database)) == 1
    else:
        report = await adopt(database, tmp_path, Tool.GOLANG_MIGRATE)
        adopted = ["000001", "000002"] if result is Result.FAILED else ["000002"]
        assert [each.version for each in report.adopted] == adopted


async def test_a_rollback_after_the_adoption_makes_the_row_old(
    open_migrated: OpenMigrated, database_dsn: str, directory: Path, tmp_path: Path
) -> None:
    migrated(database_dsn, directory, Tool.GOLANG_MIGRATE)
    database = await open_migrated(database_dsn, directory)
    await adopt(database, tmp_path, Tool.GOLANG_MIGRATE)
    async with database.session() as session:
        down = NewRun("default", "000002", "000002", "users_name", Direction.DOWN)
        await Ledger.of(database).record(session, [down])
    report = await adopt(database, tmp_path, Tool.GOLANG_MIGRATE)
    assert report.adopted == ()
    assert (await states(database))["000002_users_name.up.sql"] is State.PENDING


async def test_what_cannot_be_adopted_changes_nothing(
    open_migrated: OpenMigrated, database_dsn: str, directory: Path, tmp_path: Path
) -> None:
    migrated(database_dsn, directory, Tool.GOLANG_MIGRATE)
    database = await open_migrated(database_dsn, directory)
    with pytest.raises(HistoryNotFound, match=r"public\.flyway_schema_history"):
        await adopt(database, tmp_path, Tool.FLYWAY)
    with pytest.raises(HistoryNotFound, match="looks like that of golang-migrate"):
        await adopt(database, tmp_path, Tool.DBMATE, table="public.schema_migrations")
    (directory / "000002_again.up.sql").write_text("SELECT 1;")
    with pytest.raises(MigrationFilesInvalid):
        await adopt(database, tmp_path, Tool.GOLANG_MIGRATE)
    assert execute(database_dsn, "SELECT 1 FROM pg_namespace WHERE nspname = 'dbops'") == []


async def test_two_at_once_record_everything_once(
    open_migrated: OpenMigrated, database_dsn: str, directory: Path, tmp_path: Path
) -> None:
    migrated(database_dsn, directory, Tool.GOLANG_MIGRATE)
    database = await open_migrated(database_dsn, directory)
    reports = await asyncio.gather(
        *(adopt(database, tmp_path, Tool.GOLANG_MIGRATE) for _ in range(2))
    )
    assert sorted(len(report.adopted) for report in reports) == [0, 2]
    assert len(await ledger_runs(database)) == 2


async def test_rows_that_a_policy_hides_are_not_taken_for_pending(
    open_migrated: OpenMigrated,
    make_database: Callable[..., str],
    make_role: Callable[..., dict[str, str]],
    directory: Path,
    tmp_path: Path,
) -> None:
    dsn = make_database()
    migrated(dsn, directory, Tool.DBMATE)
    role = make_role()
    execute(
        dsn,
        "ALTER TABLE schema_migrations ENABLE ROW LEVEL SECURITY;"
        f" GRANT SELECT ON schema_migrations TO {role['user']}",
    )
    hidden = psycopg.conninfo.make_conninfo(dsn, **role)
    database = await open_migrated(hidden, directory, layout="dbmate")
    with pytest.raises(PermissionMissing, match="row-level security"):
        await adopt(database, tmp_path, Tool.DBMATE, validate_only=True)
    await database.close()
    execute(dsn, f"DROP OWNED BY {role['user']}")


async def test_a_table_that_is_too_long_is_no_history(
    open_migrated: OpenMigrated, database_dsn: str, directory: Path, tmp_path: Path
) -> None:
    migrated(database_dsn, directory, Tool.DBMATE)
    execute(
        database_dsn,
        "INSERT INTO schema_migrations SELECT n::text FROM generate_series(1, 100001) AS n",
    )
    database = await open_migrated(database_dsn, directory, layout="dbmate")
    with pytest.raises(HistoryUnclear, match="more than 100,000 rows"):
        await adopt(database, tmp_path, Tool.DBMATE)


async def test_a_table_that_only_looks_like_a_history_is_in_nobodys_way(
    open_migrated: OpenMigrated, database_dsn: str, directory: Path, tmp_path: Path
) -> None:
    execute(
        database_dsn,
        """CREATE TABLE public.schema_migrations (version bigint, dirty bool);
        INSERT INTO public.schema_migrations VALUES (NULL, NULL);
        CREATE TABLE public.goose_db_version
            (id int, version_id bigint, is_applied bool, tstamp timestamp);
        INSERT INTO public.goose_db_version VALUES (1, 1, true, 'infinity');
        CREATE TABLE public._sqlx_migrations (version bigint, description text,
            installed_on timestamptz, success bool, checksum bytea, execution_time bigint);
        INSERT INTO public._sqlx_migrations VALUES (1, 'a', '9999-01-01', true, '', 9e18)""",
    )
    (directory / "1_a.sql").write_text("CREATE TABLE a ();")
    database = await open_migrated(database_dsn, directory)
    for tool, problem in (
        (Tool.GOLANG_MIGRATE, "has NULL where golang-migrate has a value$"),
        (Tool.GOOSE, "has a value that cannot be read$"),
        (Tool.SQLX, "beyond all years"),
    ):
        with pytest.raises(HistoryUnclear, match=problem):
            await adopt(database, tmp_path, tool)
    with psycopg.connect(database_dsn) as other:
        other.execute("LOCK TABLE schema_migrations")
        report = await apply_migrations(OperationRun(database, tmp_path), ApplyMigrationsRequest())
    assert [each.state for each in report.migrations] == [State.APPLIED]


@pytest.mark.parametrize("table", ["schema_migrations", ".t", "s.", "a" * 64 + ".t"])
def test_a_table_is_named_with_its_schema(table: str) -> None:
    with pytest.raises(InvalidField):
        AdoptMigrationsRequest(tool=Tool.DBMATE, table=table).check()
    AdoptMigrationsRequest(tool=Tool.DBMATE, table="app.schema_migrations").check()
