"""Applies migrations as a worker does, without daemon and queue; lists those of a daemon."""

import asyncio
import time
from pathlib import Path
from typing import Any

import grpc.aio
from dbops.v1 import migrate_pb2_grpc, migrations_pb2
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


async def _list(target: str, calls: int) -> list[float]:
    """`ListMigrations`, call after call: the milliseconds of each."""
    times_ms = []
    request = migrations_pb2.ListMigrationsRequest(parent="databases/main")
    async with grpc.aio.insecure_channel(target) as channel:
        stub = migrate_pb2_grpc.MigrateServiceStub(channel)
        for _ in range(calls):
            began = time.monotonic()
            listed = await stub.ListMigrations(request)
            times_ms.append((time.monotonic() - began) * 1000)
            assert listed.migrations
    return times_ms


if __name__ == "__main__":
    give_memory_back()  # as a worker does
    asyncio.run(answer_commands({"apply": _apply, "list": _list}))
