"""Files are checked against a real server, by processes that hostile ones may kill."""

from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from dbopsd.db.database import Database
from dbopsd.db.session import Session
from dbopsd.errors import ConfigurationError
from dbopsd.migrate.versions.check.check_files import blocking, check_files, refuse
from dbopsd.migrate.versions.check.contract_phase import refuse_old_sessions
from dbopsd.migrate.versions.check.errors import ContractBlocked
from dbopsd.migrate.versions.check.live_tables import read_live_tables
from dbopsd.migrate.versions.check.rules import all_rules
from dbopsd.migrate.versions.model.errors import MigrationFilesInvalid
from dbopsd.migrate.versions.model.ledger_run import Direction
from dbopsd.migrate.versions.plan.plan import PlannedRun
from dbopsd.operations.errors import ChildNotStarted
from tests.support.checked_statements import CASES, LIVE, OUTSIDE
from tests.support.migration_files import migration
from tests.support.operation_run import OperationRun


@pytest.fixture
async def session(database: Database) -> AsyncIterator[Session]:
    async with database.dedicated_session(
        "write", application_name="dbopsd migrate", query_timeout_s=30.0
    ) as session:
        yield session


def planned(*texts: str, transactional: bool = True) -> list[PlannedRun]:
    files = [
        migration(f"{number:03}", text, transactional=transactional)
        for number, text in enumerate(texts, start=1)
    ]
    return [PlannedRun(file, file.up, Direction.UP) for file in files]


async def test_problems_and_findings_have_their_places(
    session: Session, database: Database, database_dsn: str, tmp_path: Path
) -> None:
    with psycopg.connect(database_dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE u (id bigint)")
    result = await check_files(
        OperationRun(database, tmp_path),
        planned(
            "create table t(id bigint); create index on t(id);",
            "select 'ü€😀'; update t set id = 1; create index concurrently i on t(id);",
            "selec 1",
            "alter table t\nadd column c int; -- squawk-ignore\n drop table other;",
            'alter table u add column "ü€😀" text, add column b bigserial;',
        ),
        session,
    )
    assert [(each.path, each.rule, each.line, each.column) for each in result.findings] == [
        ("002_m002.sql", "whole-table-update", 1, 15),
        ("004_m004.sql", "prefer-bigint-over-int", 2, 14),
        ("004_m004.sql", "squawk-ignore", 2, 22),
        ("005_m005.sql", "adding-serial-column", 1, 49),
        ("005_m005.sql", "prefer-identity", 1, 51),
    ]
    assert [(each.path, each.reason, each.line, each.column) for each in result.problems] == [
        ("002_m002.sql", "NOT_IN_TRANSACTION", 1, 36),
        ("003_m003.sql", "SYNTAX_ERROR", 1, 1),
    ]
    assert (result.notes, result.files) == ((), 5)
    assert [each.version for each in blocking(result.findings)] == ["002", "005"]


@pytest.mark.parametrize("transactional", [True, False])
async def test_each_statement_is_judged_as_it_should_be(
    session: Session,
    database: Database,
    database_dsn: str,
    postgres_version: int,
    tmp_path: Path,
    transactional: bool,
) -> None:
    with psycopg.connect(database_dsn, autocommit=True) as connection:
        connection.execute(LIVE)
    cases = CASES if transactional else OUTSIDE
    # One plan of all of them: none creates what another one names.
    files = planned(*cases, transactional=transactional)
    result = await check_files(OperationRun(database, tmp_path), files, session)
    found: dict[str, set[str]] = {each.file.version: set() for each in files}
    for finding in result.findings:
        found[finding.version].add(f"{finding.rule}:{finding.severity.name[0]}")
    for problem in result.problems:
        found[problem.version].add(problem.reason)
    expected = {
        each.file.version: {_as_found(one) for one in cases[each.script.text].split()}
        for each in files
    }
    for each in files:
        if "VIRTUAL" in each.script.text and postgres_version < 18:
            expected[each.file.version].add("SYNTAX_ERROR")
    wrong = {
        each.script.text: (found[each.file.version], expected[each.file.version])
        for each in files
        if found[each.file.version] != expected[each.file.version]
    }
    assert not wrong
    assert result.notes == ()


def _as_found(expected: str) -> str:
    rule, _, severity = expected.partition(":")
    return all_rules()[rule].problem if severity == "P" else expected


async def test_locks_count_as_much_as_their_tables_are_large(
    session: Session, database: Database, database_dsn: str, tmp_path: Path
) -> None:
    with psycopg.connect(database_dsn, autocommit=True) as connection:
        connection.execute(LIVE)
        connection.execute("CREATE INDEX big_again ON big (id)")
        connection.execute("SET allow_system_table_mods = on")
        connection.execute("UPDATE pg_class SET relpages = 6401 WHERE relname IN ('big', 'p1')")
    cases = {
        "ALTER TABLE big ALTER COLUMN id TYPE text": "changing-column-type:E",
        "DROP INDEX big_again": "require-concurrent-index-deletion:E",
        "CREATE INDEX i ON p (a)": "require-concurrent-index-creation:E",
        "ALTER TABLE public.big RENAME TO vast; DROP TABLE vast": (
            "ban-drop-table:E renaming-table:E"
        ),
        "CREATE TRIGGER trg BEFORE INSERT ON big EXECUTE FUNCTION f()": "create-trigger:W",
        "ALTER TABLE elsewhere.big DROP COLUMN id": "",
        "CREATE TABLE IF NOT EXISTS t (id bigint); ALTER TABLE t DROP COLUMN a": (
            "ban-drop-column:W"
        ),
    }
    files = planned(*cases)
    result = await check_files(OperationRun(database, tmp_path), files, session)
    found = {
        each.script.text: " ".join(
            sorted(
                f"{finding.rule}:{finding.severity.name[0]}"
                for finding in result.findings
                if finding.version == each.file.version
            )
        )
        for each in files
    }
    assert found == cases


async def test_a_table_that_was_never_analyzed_is_as_large_as_its_file(
    session: Session, database_dsn: str
) -> None:
    with psycopg.connect(database_dsn, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE fresh WITH (autovacuum_enabled = off)"
            " AS SELECT generate_series(1, 10000) AS a"
        )
    tables = await read_live_tables(session, [("", "fresh")])
    pages = tables.pages(("public", "fresh"))
    assert pages is not None
    # 226 rows a page; the server may have added some that are empty.
    assert 45 <= pages < 64
    assert tables.pages(("other", "fresh")) is None


async def test_nothing_in_or_beside_a_file_turns_rules_off(
    session: Session, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".squawk.toml").write_text('excluded_rules = ["ban-drop-schema"]')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SQUAWK_DISABLE", "1")
    result = await check_files(
        OperationRun(database, tmp_path),
        planned(
            "DROP SCHEMA s;",
            "-- squawk-ignore-file\nDROP SCHEMA s;",
            "/* squawk-ignore ban-drop-schema */ DROP SCHEMA s;",
            "-- squawk-disable-assume-in-transaction\n"
            "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID;\n"
            "ALTER TABLE t VALIDATE CONSTRAINT c;",
        ),
        None,
    )
    assert [(each.version, each.rule) for each in result.findings] == [
        ("001", "ban-drop-schema"),
        ("002", "squawk-ignore"),
        ("002", "ban-drop-schema"),
        ("003", "squawk-ignore"),
        ("003", "ban-drop-schema"),
        ("004", "squawk-ignore"),
        ("004", "constraint-missing-not-valid"),
    ]


async def test_what_is_only_dangerous_is_a_warning_in_a_rollback(
    session: Session, database: Database, database_dsn: str, tmp_path: Path
) -> None:
    with psycopg.connect(database_dsn, autocommit=True) as connection:
        connection.execute(LIVE)
    file = migration(
        "001", "SELECT 1;", "DELETE FROM t; DROP TABLE t; ALTER TABLE t RENAME a TO b; VACUUM;"
    )
    assert file.down is not None
    result = await check_files(
        OperationRun(database, tmp_path), [PlannedRun(file, file.down, Direction.DOWN)], session
    )
    assert [(each.rule, each.severity.name) for each in result.findings] == [
        ("whole-table-delete", "WARNING")
    ]
    assert result.findings[0].message.startswith("in the rollback: ")
    assert [each.reason for each in result.problems] == ["NOT_IN_TRANSACTION"]
    with pytest.raises(MigrationFilesInvalid):
        refuse("main", result, override="it must be")


async def test_a_hostile_file_says_so_and_leaves_the_others_their_answers(
    database: Database, tmp_path: Path
) -> None:
    deep = "SELECT " + "||".join(["'a'"] * 100_000)
    result = await check_files(
        OperationRun(database, tmp_path),
        planned("DROP SCHEMA a;", deep, "(" * 100_000, "DROP SCHEMA b;"),
        None,
    )
    assert [(each.version, each.rule) for each in result.findings] == [
        ("001", "ban-drop-schema"),
        ("002", "not-inspected"),
        ("003", "syntax-error"),
        ("004", "ban-drop-schema"),
    ]


async def test_contract_migrations_wait_for_older_applications(
    session: Session, database_dsn: str
) -> None:
    await refuse_old_sessions(session, "main", None)
    await refuse_old_sessions(session, "main", "^shop-v1")
    with (
        psycopg.connect(database_dsn, application_name="shop-v1.9") as old,
        psycopg.connect(database_dsn, application_name="shop-v2.0"),
    ):
        said = f"pid {old.info.backend_pid} (application 'shop-v1.9', user '{old.info.user}')"
        with pytest.raises(ContractBlocked) as blocked:
            await refuse_old_sessions(session, "main", "^shop-v1")
    assert (blocked.value.count, blocked.value.sessions) == (1, said)
    with pytest.raises(ConfigurationError, match="old_applications"):
        await refuse_old_sessions(session, "main", "(")


async def test_an_older_server_is_asked_about_every_file(
    session: Session, database: Database, postgres_version: int, tmp_path: Path
) -> None:
    virtual = "CREATE TABLE v (a bigint,\n b bigint GENERATED ALWAYS AS (a) VIRTUAL);"
    files = planned("SELECT 'ü€😀' -- no semicolon", virtual, "SELECT 1;", virtual)
    result = await check_files(OperationRun(database, tmp_path), files, session)
    known = [] if postgres_version >= 18 else [("002", 2, 35), ("004", 2, 35)]
    assert [(each.version, each.line, each.column) for each in result.problems] == known


async def test_the_same_text_is_looked_into_once(database: Database, tmp_path: Path) -> None:
    run = OperationRun(database, tmp_path)
    files = planned(f"DROP SCHEMA {tmp_path.name};", f"SELECT '{tmp_path.name}';")
    first = await check_files(run, files, None)
    # Whatever would start a process now fails.
    await run.close()
    assert await check_files(run, files, None) == first
    assert [each.rule for each in first.findings] == ["ban-drop-schema"]
    with pytest.raises(ChildNotStarted):
        await check_files(run, planned(f"SELECT 2, '{tmp_path.name}'"), None)
