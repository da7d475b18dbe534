"""An apply as a worker does it, without the daemon and its queue."""

import asyncio
import time
from pathlib import Path
from typing import Any

from opentelemetry.metrics import NoOpMeter
from opentelemetry.trace import NoOpTracer
from pydantic import SecretStr

from bench.played.commands import answer_commands
from dbopsd.app.allocator import give_memory_back
from dbopsd.config import DatabaseConfig
from dbopsd.db.database import Database
from dbopsd.migrate.versions.apply_migrations import apply_migrations
from dbopsd.migrate.versions.model.requests import ApplyMigrationsRequest
from tests.support.operation_run import OperationRun


async def _apply(dsn: str, files: str, scratch: str) -> dict[str, Any]:
    """Apply everything in `files`: the seconds, and how many migrations there were."""
    config = DatabaseConfig.model_validate(
        {"dsn": SecretStr(dsn), "migrations_dir": files, "pool": {"min_size": 0}}
    )
    database = Database("main", config, tracer=NoOpTracer(), meter=NoOpMeter("bench"))
    await database.open()
    try:
        began = time.monotonic()
        report = await apply_migrations(
            OperationRun(database, Path(scratch)), ApplyMigrationsRequest()
        )
        took_s = time.monotonic() - began
    finally:
        await database.close()
    return {"took_s": took_s, "migrations": len(report.migrations)}


if __name__ == "__main__":
    give_memory_back()  # as a worker does
    asyncio.run(answer_commands({"apply": _apply}))
