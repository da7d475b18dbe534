"""Takes and restores backups, as a worker does, and says what each has cost.

`python -m bench.played.backups DSN PG_BIN DIRECTORY`; in DIRECTORY are the store, the key `k1`, and
the state of what runs.
"""

import asyncio
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from opentelemetry.metrics import NoOpMeter
from opentelemetry.trace import NoOpTracer

from bench.played.commands import answer_commands
from dbopsd.app.allocator import give_memory_back
from dbopsd.backup.catalog.kind import BackupKind
from dbopsd.backup.create_backup import create_backup
from dbopsd.backup.model.requests import CreateBackupRequest, RecoveryTarget, RestoreBackupRequest
from dbopsd.backup.restore_backup import restore_backup
from dbopsd.config import DatabaseConfig
from dbopsd.db.database import Database
from tests.support.operation_run import OperationRun


class _Backups:
    def __init__(self, database: Database, directory: Path) -> None:
        self._database = database
        self._directory = directory

    async def create(self, kind: str) -> dict[str, Any]:
        """Take a backup."""
        run = OperationRun(self._database, self._directory)
        request = CreateBackupRequest(kind=BackupKind(kind))
        made, cost = await _measured(lambda: create_backup(run, request))
        await run.close()
        return {
            **cost,
            "kind": made.kind.value if made.kind else "",
            "stored_bytes": made.stored_bytes,
            "size_bytes": made.size_bytes,
        }

    async def restore(self, number: int) -> dict[str, Any]:
        """Restore the newest backup, each time into another directory."""
        run = OperationRun(self._database, self._directory, f"restore{number}")
        request = RestoreBackupRequest(target=RecoveryTarget(immediate=True))
        report, cost = await _measured(lambda: restore_backup(run, request))
        await run.close()
        return {**cost, "directory": report.directory}


async def _measured(work: Callable[[], Awaitable[Any]]) -> tuple[Any, dict[str, float]]:
    """The result, and the seconds of the clock and of processors: ours and of all programs."""
    began, cpu_s = time.monotonic(), _cpu_s()
    result = await work()
    return result, {"wall_s": time.monotonic() - began, "cpu_s": _cpu_s() - cpu_s}


def _cpu_s() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in usages)


async def _main(dsn: str, pg_bin: str, directory: Path) -> None:
    config = DatabaseConfig.model_validate(
        {
            "dsn": dsn,
            "pg_bin": pg_bin,
            "backup": {
                "store": (directory / "store").as_uri(),
                "wal": "off",
                "keys": {"k1": f"file:{directory / 'k1'}"},
            },
        }
    )
    database = Database("main", config, tracer=NoOpTracer(), meter=NoOpMeter("bench"))
    await database.open()
    try:
        backups = _Backups(database, directory)
        await answer_commands({"create": backups.create, "restore": backups.restore})
    finally:
        await database.close()


if __name__ == "__main__":
    give_memory_back()  # as a worker does
    asyncio.run(_main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
