"""Restores in tests: one call each, and a look into the server that was started."""

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg

from dbopsd.backup.create_backup import create_backup
from dbopsd.backup.model.reports import BackupDescription, RestoreReport
from dbopsd.backup.model.requests import CreateBackupRequest, RecoveryTarget, RestoreBackupRequest
from dbopsd.backup.restore_backup import clean_up, restore_backup
from dbopsd.db.database import Database
from dbopsd.db.server.leftovers import end_leftovers
from tests.support.operation_run import OperationRun


async def back_up(database: Database, directory: Path, **request: Any) -> BackupDescription:
    """Take a backup."""
    run = OperationRun(database, directory, "backup")
    try:
        return await create_backup(run, CreateBackupRequest(**request))
    finally:
        await run.close()


async def restore(
    database: Database,
    place: Path,
    target: RecoveryTarget,
    *,
    operation: str = "restore",
    **request: Any,
) -> RestoreReport:
    """Restore, and clean up after a failure as a worker does."""
    run = OperationRun(database, place, operation)
    asked = RestoreBackupRequest(target=target, **request)
    asked.check()
    try:
        return await restore_backup(run, asked)
    except BaseException:
        await clean_up(run, asked)
        raise
    finally:
        await run.close()


@asynccontextmanager
async def restored_server(
    database: Database, place: Path, target: RecoveryTarget, **request: Any
) -> AsyncIterator[tuple[RestoreReport, "psycopg.Connection[Any]"]]:
    """A restored and started server, for the time of the context, and a connection to it."""
    report = await restore(database, place, target, start=True, **request)
    try:
        dsn = f"host={report.address} port=5432 user=postgres dbname=postgres"
        with contextlib.closing(psycopg.connect(dsn, autocommit=True)) as connection:
            yield report, connection
    finally:
        await end_leftovers(Path(report.directory))
