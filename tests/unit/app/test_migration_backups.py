"""The backup before a rollback of migrations: which others it excludes."""

from pathlib import Path

import pytest
from opentelemetry.metrics import NoOpMeter
from opentelemetry.trace import NoOpTracer
from pydantic import SecretStr

from dbopsd.app.migration_backups import take_backup_before
from dbopsd.backup.catalog.errors import BackupsNotConfigured
from dbopsd.backup.kinds import CREATE_BACKUP
from dbopsd.config import DatabaseConfig
from dbopsd.db.database import Database
from tests.support.operation_run import OperationRun


@pytest.mark.parametrize(
    ("kind", "locks"), [("schema", []), ("full", [(CREATE_BACKUP.locks, 7.0)])]
)
async def test_only_a_full_one_excludes_others(
    tmp_path: Path, kind: str, locks: list[tuple[frozenset[str], float]]
) -> None:
    config = DatabaseConfig(dsn=SecretStr("host=127.0.0.1 port=9 dbname=x"))
    database = Database("main", config, tracer=NoOpTracer(), meter=NoOpMeter("tests"))
    run = OperationRun(database, tmp_path)
    with pytest.raises(BackupsNotConfigured):
        await take_backup_before(run, kind, 7.0)
    assert run.locks_log == locks
    assert CREATE_BACKUP.locks
