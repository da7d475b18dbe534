"""Folders of real projects, as they are, make the schema that psql makes of them one by one."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from dbopsd.db.database import Database
from dbopsd.migrate.versions.apply_migrations import apply_migrations
from dbopsd.migrate.versions.fingerprint.fingerprint import take_fingerprint
from dbopsd.migrate.versions.model.migration import State
from dbopsd.migrate.versions.model.reports import Outcome
from dbopsd.migrate.versions.model.requests import ApplyMigrationsRequest
from dbopsd.migrate.versions.reader import MigrationReader
from tests.integration.migrate.versions.conftest import OpenMigrated
from tests.support.operation_run import OperationRun
from tests.support.real_histories import REAL_HISTORIES, RealHistory
from tests.support.servers import PostgresServer


def run_by_psql(postgres: PostgresServer, dsn: str, history: RealHistory, scratch: Path) -> None:
    subprocess.run(
        [
            str(postgres.bin_dir / "psql"),
            *("--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--dbname", dsn),
            *history.psql_arguments(scratch),
        ],
        check=True,
        capture_output=True,
    )


async def fingerprint_of(database: Database) -> str:
    async with database.session() as session:
        return (await take_fingerprint(session, ledger_schema="dbops")).digest


# 220 migrations take longer than all others.
LONG = "litellm-proxy-extras"


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.thorough] if name == LONG else [])
        for name in REAL_HISTORIES
    ],
)
async def test_a_real_history_applies_whole(
    open_migrated: OpenMigrated,
    make_database: Callable[..., str],
    postgres: PostgresServer,
    tmp_path: Path,
    name: str,
) -> None:
    history = REAL_HISTORIES[name]
    dsn, by_psql = make_database(), make_database()
    if history.before:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(history.before)
    database = await open_migrated(dsn, history.directory, variables=dict(history.variables))

    report = await apply_migrations(
        OperationRun(database, tmp_path), ApplyMigrationsRequest(override_findings="as it is")
    )

    assert report.outcome is Outcome.SUCCEEDED
    listed = await MigrationReader({"main": database}).list("main", "")
    assert [(each.path, each.state) for each in listed.migrations] == [
        (str(file.relative_to(history.directory)), State.APPLIED) for file in history.files
    ]
    assert (listed.pending, listed.drifted) == (0, False)
    assert [each.layout for each in listed.sets] == [history.layout]
    run_by_psql(postgres, by_psql, history, tmp_path)
    other = await open_migrated(by_psql, history.directory)
    assert listed.fingerprint == await fingerprint_of(other)
