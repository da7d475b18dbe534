"""Lists, resolutions and baselines on a real server, with real folders."""

import asyncio
import dataclasses
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dbopsd.config import DatabaseConfig
from dbopsd.db.database import Database
from dbopsd.db.errors import ConnectFailed
from dbopsd.db.session import Session
from dbopsd.migrate.versions.apply_migrations import apply_migrations
from dbopsd.migrate.versions.baseline_migrations import baseline_migrations
from dbopsd.migrate.versions.fingerprint.fingerprint import take_fingerprint
from dbopsd.migrate.versions.folder.read_folder import read_folder
from dbopsd.migrate.versions.ledger.advisory_lock import database_lock
from dbopsd.migrate.versions.ledger.errors import LedgerNewer, MigrationsBusy
from dbopsd.migrate.versions.ledger.ledger import LEDGER_VERSION, Ledger
from dbopsd.migrate.versions.ledger.new_run import NewRun
from dbopsd.migrate.versions.model.errors import (
    MigrationsNotConfigured,
    SetRequired,
    SetUnknown,
    TooManyReaders,
    VersionNotFound,
)
from dbopsd.migrate.versions.model.ledger_run import Direction, Result
from dbopsd.migrate.versions.model.migration import Migration, MigrationList, State
from dbopsd.migrate.versions.model.requests import (
    ApplyMigrationsRequest,
    BaselineMigrationsRequest,
    Resolution,
)
from dbopsd.migrate.versions.plan.baseline import HistoryExists
from dbopsd.migrate.versions.plan.resolution import NotResolvable
from dbopsd.migrate.versions.plan.unconfigured_sets import SetHistoryUnconfigured
from dbopsd.migrate.versions.reader import MigrationReader
from dbopsd.operations.errors import FailedWithResult, RequestIdReused
from tests.support.operation_run import OperationRun
from tests.support.patience import eventually
from tests.support.recording import Recording

FILES = {
    "001_users.sql": "CREATE TABLE users (id bigint);",
    "001_users_rollback.sql": "DROP TABLE users;",
    "002_orders.sql": "CREATE TABLE orders (id bigint);",
    "010_items.sql": "CREATE TABLE items (id bigint);",
    "R_totals.sql": "CREATE OR REPLACE VIEW totals AS SELECT 1 AS a;",
}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "migrations"
    made.mkdir()
    for name, text in FILES.items():
        (made / name).write_text(text)
    return made


@pytest.fixture
async def database(open_migrated: Any, database_dsn: str, directory: Path) -> Database:
    opened: Database = await open_migrated(database_dsn, directory)
    return opened


@pytest.fixture
def reader(database: Database) -> MigrationReader:
    return MigrationReader({"main": database})


@pytest.fixture
async def session(database: Database) -> AsyncIterator[Session]:
    async with database.dedicated_session(
        "write", application_name="dbopsd migrate", query_timeout_s=30.0
    ) as session:
        yield session


def do(dsn: str, query: str) -> list[Any]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(query)
        return cursor.fetchall() if cursor.description else []


def new_run(
    database: Database, key: str, result: Result = Result.DONE, direction: Direction = Direction.UP
) -> NewRun:
    [configured] = database.config.migrations_dir
    folder = read_folder(configured, database.config.migrations)
    file = next(each for each in folder.migrations if each.key == key)
    run = NewRun.of(file, direction, operation="op", who="ann", statements=2)
    return dataclasses.replace(run, result=result)


async def record(session: Session, database: Database, *runs: NewRun, settled: bool = True) -> None:
    """Have it in the ledger that these ran; with the schema of now, unless it is not `settled`."""
    ledger = Ledger.of(database)
    await ledger.prepare(session)
    await ledger.record(session, runs)
    if settled:
        fingerprint = await take_fingerprint(session, ledger_schema=ledger.schema)
        await ledger.store_fingerprint(session, fingerprint)
        [*_, last] = await ledger.read(session)
        await ledger.set_fingerprint(session, last.id, fingerprint.digest)


def states(found: MigrationList) -> dict[str, str]:
    return {each.version or each.name: each.state.value for each in found.migrations}


def reasons(found: MigrationList) -> list[str]:
    return [each.reason for each in found.problems]


async def resolved(
    reader: MigrationReader,
    version: str,
    resolution: Resolution,
    *,
    validate_only: bool = False,
    request_id: str = "",
    set_: str = "",
) -> Migration:
    return await reader.resolve(
        *("main", set_, version, resolution),
        reason="seen",
        who="bob",
        validate_only=validate_only,
        request_id=request_id,
    )


async def test_a_list_of_a_database_without_a_ledger(
    reader: MigrationReader, database_dsn: str
) -> None:
    found = await reader.list("main", "")
    assert states(found) == dict.fromkeys(("001", "002", "010", "totals"), "PENDING")
    assert (found.current_version, found.pending, found.problems) == ("", 4, ())
    assert (found.drifted, len(found.fingerprint)) == (False, 64)
    [only] = found.sets
    assert (only.set, only.layout, only.pending) == ("default", "dbops", 4)
    assert do(database_dsn, "SELECT 1 FROM pg_namespace WHERE nspname = 'dbops'") == []


async def test_drift_is_what_nobody_migrated(
    reader: MigrationReader, session: Session, database: Database, database_dsn: str
) -> None:
    await record(session, database, new_run(database, "001"))
    found = await reader.list("main", "")
    assert (found.current_version, found.pending, found.drifted) == ("001", 3, False)
    do(database_dsn, "CREATE TABLE by_hand (id int)")
    drifted = await reader.list("main", "")
    assert drifted.drifted
    async with database_lock(session, Ledger.of(database)):
        assert not (await reader.list("main", "")).drifted
    assert drifted.fingerprint != found.fingerprint
    # A migration whose fingerprint nobody took may have made it.
    await record(session, database, new_run(database, "002"), settled=False)
    unknown = await reader.list("main", "")
    assert (unknown.drifted, reasons(unknown)) == (False, ["DRIFT_UNKNOWN"])


async def test_a_list_while_somebody_migrates(
    reader: MigrationReader, session: Session, database: Database, database_dsn: str
) -> None:
    do(database_dsn, "CREATE TABLE t (a int); CREATE VIEW v AS SELECT a FROM t")
    await record(session, database, new_run(database, "001"))
    with psycopg.connect(database_dsn) as migrating:
        # A view cannot be written down while its table is locked.
        migrating.execute("ALTER TABLE t ADD b int")
        async with database_lock(session, Ledger.of(database)):
            await Ledger.of(database).begin(session, new_run(database, "002"))
            found = await reader.list("main", "")
            with pytest.raises(MigrationsBusy, match="operations/op"):
                await resolved(reader, "002", Resolution.APPLIED)
            with pytest.raises(MigrationsBusy, match="operations/op"):
                await resolved(reader, "002", Resolution.APPLIED, validate_only=True)
    assert states(found)["002"] == "RUNNING"
    assert set(reasons(found)) == {"MIGRATIONS_BUSY", "FINGERPRINT_NOT_TAKEN"}
    assert (found.fingerprint, found.drifted) == ("", False)


async def test_a_run_of_a_backend_that_is_gone_was_interrupted(
    reader: MigrationReader, session: Session, database: Database
) -> None:
    await record(session, database, new_run(database, "001", Result.RUNNING), settled=False)
    found = await reader.list("main", "")
    assert states(found)["001"] == "INTERRUPTED"
    assert reasons(found) == ["MIGRATION_INTERRUPTED", "DRIFT_UNKNOWN"]
    assert found.current_version == ""


async def test_a_request_that_comes_twice_is_answered_once(
    reader: MigrationReader, session: Session, database: Database
) -> None:
    await record(session, database, new_run(database, "001", Result.FAILED))
    assert (
        await resolved(reader, "001", Resolution.APPLIED, request_id="a")
    ).state is State.APPLIED
    await record(session, database, new_run(database, "001", direction=Direction.DOWN))
    # What it is a repetition of was answered before the rollback.
    again = await resolved(reader, "001", Resolution.APPLIED, request_id="a")
    assert again.state is State.PENDING
    for version, resolution in (("001", Resolution.NOT_APPLIED), ("002", Resolution.APPLIED)):
        with pytest.raises(RequestIdReused, match="for version 001: use a new id"):
            await resolved(reader, version, resolution, request_id="a")
    other = await resolved(reader, "001", Resolution.APPLIED, request_id="b")
    assert other.state is State.APPLIED


@pytest.mark.parametrize(
    ("result", "resolution", "expected"),
    [
        (Result.RUNNING, Resolution.APPLIED, "APPLIED"),
        (Result.INTERRUPTED, Resolution.NOT_APPLIED, "PENDING"),
    ],
)
async def test_somebody_says_what_is_so(
    reader: MigrationReader,
    session: Session,
    database: Database,
    database_dsn: str,
    result: Result,
    resolution: Resolution,
    expected: str,
) -> None:
    await record(session, database, new_run(database, "001", result), settled=False)
    would_be = await resolved(reader, "1", resolution, validate_only=True)
    assert states(await reader.list("main", ""))["001"] != expected
    for _ in range(2):
        migration = await resolved(reader, "001", resolution)
        assert migration.state.value == would_be.state.value == expected
    rows = do(database_dsn, "SELECT direction, who, reason FROM dbops.migration_runs ORDER BY id")
    assert rows[1:] == [(f"resolve-{resolution.value.lower().replace('_', '-')}", "bob", "seen")]
    # What was done by hand is no drift.
    do(database_dsn, "CREATE TABLE by_hand (id int)")
    found = await reader.list("main", "")
    assert states(found)["001"] == expected
    assert found.drifted


async def test_what_is_known_is_not_resolved(
    reader: MigrationReader, session: Session, database: Database, directory: Path
) -> None:
    await record(session, database, new_run(database, "001"))
    for version, resolution, state in (
        ("001", Resolution.NOT_APPLIED, "APPLIED"),
        ("001", Resolution.APPLIED, "APPLIED"),
        ("002", Resolution.NOT_APPLIED, "PENDING"),
        ("totals", Resolution.NOT_APPLIED, "PENDING"),
    ):
        for validate_only in (True, False):
            with pytest.raises(NotResolvable, match=f"is {state}, which cannot"):
                await resolved(reader, version, resolution, validate_only=validate_only)
    with pytest.raises(VersionNotFound):
        await resolved(reader, "3", Resolution.APPLIED)
    # The file was mended: what it says now is what the database has.
    (directory / "001_users.sql").write_text("CREATE TABLE users (id int8);")
    assert states(await reader.list("main", ""))["001"] == "CHANGED"
    with pytest.raises(NotResolvable, match="--applied"):
        await resolved(reader, "001", Resolution.NOT_APPLIED)
    assert (await resolved(reader, "001", Resolution.APPLIED)).state is State.APPLIED
    (directory / "001_users.sql").write_text("CREATE TABLE users (id int4);")
    assert (await resolved(reader, "001", Resolution.APPLIED)).state is State.APPLIED


async def test_a_repeatable_is_resolved_by_its_name(
    reader: MigrationReader, session: Session, database: Database
) -> None:
    await record(session, database, new_run(database, "R:totals", Result.FAILED))
    migration = await resolved(reader, "totals", Resolution.APPLIED)
    assert (migration.name, migration.state) == ("totals", State.APPLIED)


async def test_one_without_its_file_is_resolved(
    reader: MigrationReader, session: Session, database: Database, directory: Path
) -> None:
    await record(session, database, new_run(database, "002", Result.INTERRUPTED))
    (directory / "002_orders.sql").unlink()
    migration = await resolved(reader, "002", Resolution.APPLIED)
    assert migration.state is State.MISSING
    # A folder was pruned on purpose.
    for _ in range(2):
        migration = await resolved(reader, "002", Resolution.NOT_APPLIED)
        assert (migration.version, migration.state) == ("002", State.PENDING)
    assert "002" not in states(await reader.list("main", ""))


async def test_what_failed_of_a_set_that_is_gone_is_named_and_resolved(
    open_migrated: Any,
    database_dsn: str,
    directory: Path,
    session: Session,
    database: Database,
) -> None:
    await record(session, database, new_run(database, "002", Result.FAILED))
    sets = [{"set": "app", "dir": str(directory)}]
    renamed = MigrationReader({"main": await open_migrated(database_dsn, sets)})
    assert reasons(await renamed.list("main", "")) == ["MIGRATION_FAILED"]
    with pytest.raises(SetUnknown):
        await resolved(renamed, "002", Resolution.NOT_APPLIED, set_="none")
    migration = await resolved(renamed, "002", Resolution.NOT_APPLIED, set_="default")
    assert migration.state is State.PENDING
    assert not reasons(await renamed.list("main", ""))
    assert do(database_dsn, "SELECT state FROM dbops.migrations") == [("PENDING",)]


async def test_sets_have_histories_of_their_own(
    open_migrated: Any, database_dsn: str, directory: Path, tmp_path: Path
) -> None:
    other = tmp_path / "audit"
    other.mkdir()
    (other / "001_log.sql").write_text("CREATE TABLE log (id int);")
    sets = [{"set": "app", "dir": str(directory)}, {"set": "audit", "dir": str(other)}]
    database = await open_migrated(database_dsn, sets)
    reader = MigrationReader({"main": database})
    found = await reader.list("main", "")
    assert [(each.set, each.version or each.name) for each in found.migrations] == [
        *(("app", version) for version in ("001", "002", "010", "totals")),
        ("audit", "001"),
    ]
    assert (found.current_version, found.pending) == ("", 5)
    assert [each.set for each in (await reader.list("main", "audit")).migrations] == ["audit"]
    with pytest.raises(SetUnknown):
        await reader.list("main", "none")
    with pytest.raises(SetRequired):
        await resolved(reader, "001", Resolution.APPLIED)


async def test_a_set_that_got_another_name_is_said_and_not_applied_again(
    open_migrated: Any,
    database: Database,
    session: Session,
    database_dsn: str,
    directory: Path,
    tmp_path: Path,
) -> None:
    await record(session, database, new_run(database, "001"))
    renamed = await open_migrated(database_dsn, [{"set": "core", "dir": str(directory)}])
    [problem] = (await MigrationReader({"main": renamed}).list("main", "")).problems
    assert (problem.reason, problem.set) == ("SET_HISTORY_UNCONFIGURED", "default")
    with pytest.raises(FailedWithResult) as refused:
        await apply_migrations(run_of(renamed, tmp_path), ApplyMigrationsRequest())
    assert isinstance(refused.value.cause, SetHistoryUnconfigured)
    overridden = ApplyMigrationsRequest(override_findings="another schema", count=1)
    report = await apply_migrations(run_of(renamed, tmp_path), overridden)
    assert [each.state for each in report.migrations] == [State.APPLIED]


async def test_what_cannot_be_listed(
    open_migrated: Any, database_dsn: str, directory: Path, session: Session, database: Database
) -> None:
    without = await open_migrated(database_dsn, [])
    with pytest.raises(MigrationsNotConfigured):
        await MigrationReader({"main": without}).list("main", "")
    ledger = Ledger.of(database)
    await ledger.prepare(session)
    await session.execute(ledger.statement("insert_version"), (LEDGER_VERSION + 1,))
    with pytest.raises(LedgerNewer):
        await MigrationReader({"main": database}).list("main", "")


@pytest.mark.parametrize(
    ("create", "message"),
    [
        (
            """CREATE TABLE _sqlx_migrations (version bigint PRIMARY KEY, description text NOT NULL,
            installed_on timestamptz NOT NULL DEFAULT now(), success boolean NOT NULL,
            checksum bytea NOT NULL, execution_time bigint NOT NULL)""",
            "`dbops migrate adopt main --from sqlx --table public._sqlx_migrations`",
        ),
        ("CREATE TABLE alembic_version (version_num varchar(32))", "it cannot be adopted"),
    ],
)
async def test_the_history_of_another_tool_is_shown_while_there_is_none_of_ours(
    reader: MigrationReader,
    session: Session,
    database: Database,
    database_dsn: str,
    create: str,
    message: str,
) -> None:
    do(database_dsn, create)
    [problem] = (await reader.list("main", "")).problems
    assert (problem.reason, problem.blocking) == ("OTHER_HISTORY", False)
    assert message in problem.message
    await record(session, database, new_run(database, "001"))
    assert (await reader.list("main", "")).problems == ()


async def test_an_answer_comes_while_the_database_hangs(
    disposable_server: Callable[[], Any], directory: Path, recording: Recording
) -> None:
    server = disposable_server()
    config = DatabaseConfig.model_validate(
        {"dsn": server.dsn(), "migrations_dir": directory, "pool": {"connect_timeout_s": 2}}
    )
    telemetry = recording.telemetry
    database = Database("main", config, tracer=telemetry.tracer, meter=telemetry.meter)
    reader = MigrationReader({"main": database}, wait_s=0.1)
    await reader.list("main", "")
    server.pause()
    try:
        answers = await asyncio.gather(
            *(reader.list("main", "") for _ in range(6)), return_exceptions=True
        )
    finally:
        server.resume()
    kinds = Counter(isinstance(each, ConnectFailed) for each in answers)
    assert kinds == {True: 4, False: 2}
    assert sum(isinstance(each, TooManyReaders) for each in answers) == 2

    async def answers_again() -> MigrationList:
        return await reader.list("main", "")

    assert (await eventually(answers_again)).pending == 4


def run_of(database: Database, tmp_path: Path) -> OperationRun:
    return OperationRun(database, tmp_path)


async def test_a_baseline_is_recorded_once(
    reader: MigrationReader, database: Database, database_dsn: str, tmp_path: Path
) -> None:
    do(database_dsn, "CREATE TABLE users (id bigint)")
    run = run_of(database, tmp_path)
    tried = await baseline_migrations(
        run, BaselineMigrationsRequest("2", "was there", validate_only=True)
    )
    assert do(database_dsn, "SELECT 1 FROM pg_namespace WHERE nspname = 'dbops'") == []
    request = BaselineMigrationsRequest("2", "was there")
    report = await baseline_migrations(run, request)
    assert [each.version for each in report.migrations] == ["001", "002"]
    assert {each.state for each in report.migrations} == {State.BASELINED}
    assert [each.state for each in tried.migrations] == [each.state for each in report.migrations]
    assert tried.fingerprint == report.fingerprint
    again = await baseline_migrations(run, request)
    assert again == report
    rows = do(database_dsn, "SELECT who, reason, operation FROM dbops.migration_runs")
    assert rows == [("tests", "was there", "test-op")] * 2

    found = await reader.list("main", "")
    assert states(found) == {
        "001": "BASELINED", "002": "BASELINED", "010": "PENDING", "totals": "PENDING"
    }  # fmt: skip
    assert (found.current_version, found.fingerprint, found.drifted) == (
        "002",
        report.fingerprint,
        False,
    )
    do(database_dsn, "DROP TABLE users")
    assert (await reader.list("main", "")).drifted
    with pytest.raises(HistoryExists, match="002 is BASELINED"):
        await baseline_migrations(run, BaselineMigrationsRequest("010", "x"))


async def test_a_baseline_after_a_first_apply_that_failed(
    database: Database, session: Session, tmp_path: Path
) -> None:
    """A forgotten baseline shows when the first migration finds its tables there."""
    await record(session, database, new_run(database, "001", Result.FAILED))
    run = run_of(database, tmp_path)
    with pytest.raises(VersionNotFound):
        await baseline_migrations(run, BaselineMigrationsRequest("3", "was there"))
    report = await baseline_migrations(run, BaselineMigrationsRequest("001", "was there"))
    assert [each.state for each in report.migrations] == [State.BASELINED]


async def test_no_baseline_where_something_was_applied(
    database: Database, session: Session, tmp_path: Path
) -> None:
    await record(session, database, new_run(database, "001"))
    request = BaselineMigrationsRequest("001", "x")
    for each in (request, dataclasses.replace(request, validate_only=True)):
        with pytest.raises(HistoryExists, match="001 is APPLIED"):
            await baseline_migrations(run_of(database, tmp_path), each)


async def test_two_baselines_at_once_are_one(
    database: Database, database_dsn: str, tmp_path: Path
) -> None:
    request = BaselineMigrationsRequest("002", "was there")
    runs = [run_of(database, tmp_path / str(number)) for number in range(3)]
    reports = await asyncio.gather(*(baseline_migrations(run, request) for run in runs))
    assert len({report.fingerprint for report in reports}) == 1
    assert do(database_dsn, "SELECT count(*) FROM dbops.migration_runs") == [(2,)]
