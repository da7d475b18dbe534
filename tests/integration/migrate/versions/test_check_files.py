"""Files are checked against a real server, by processes that hostile ones may kill."""

from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from dbopsd.db.database import Database
from dbopsd.db.session import Session
from dbopsd.migrate.versions.check.check_files import blocking, check_files
from dbopsd.migrate.versions.check.rules import all_rules
from dbopsd.migrate.versions.model.ledger_run import Direction
from dbopsd.migrate.versions.plan.plan import PlannedRun
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
    session: Session, database: Database, tmp_path: Path
) -> None:
    result = await check_files(
        OperationRun(database, tmp_path),
        planned(
            "create table t(id bigint); create index on t(id);",
            "select 'ü€😀'; update t set id = 1; create index concurrently i on t(id);",
            "selec 1",
            "alter table t\nadd column c int; -- squawk-ignore\n drop table other;",
        ),
        session,
    )
    assert [(each.path, each.rule, each.line, each.column) for each in result.findings] == [
        ("002_m002.sql", "whole-table-update", 1, 15),
        ("004_m004.sql", "prefer-bigint-over-int", 2, 14),
        ("004_m004.sql", "squawk-ignore", 2, 22),
    ]
    assert [(each.path, each.reason, each.line, each.column) for each in result.problems] == [
        ("002_m002.sql", "NOT_IN_TRANSACTION", 1, 36),
        ("003_m003.sql", "SYNTAX_ERROR", 1, 1),
    ]
    assert (result.notes, result.files) == ((), 4)
    assert [each.rule for each in blocking(result.findings)] == ["whole-table-update"]


@pytest.mark.parametrize("transactional", [True, False])
async def test_each_statement_is_judged_as_it_should_be(
    session: Session,
    database: Database,
    database_dsn: str,
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
