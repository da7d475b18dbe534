"""Databases with a folder of migrations."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from dbopsd.config import DatabaseConfig
from dbopsd.db.database import Database
from tests.support.recording import Recording

OpenMigrated = Callable[..., Awaitable[Database]]


@pytest.fixture
async def open_migrated(
    recording: Recording, make_database: Callable[..., str]
) -> AsyncIterator[OpenMigrated]:
    """`await open_migrated(dsn, directory, **migrations) -> Database`, closed after the test.

    `migrations` is its section of the configuration. Asks for `make_database` so that the pools are
    closed before their database is dropped.
    """
    async with AsyncExitStack() as stack:

        async def make(
            dsn: str, directory: Path | list[dict[str, str]], **migrations: Any
        ) -> Database:
            config = DatabaseConfig.model_validate(
                {
                    "dsn": SecretStr(dsn),
                    "migrations_dir": directory,
                    "migrations": migrations,
                }
            )
            telemetry = recording.telemetry
            database = Database("main", config, tracer=telemetry.tracer, meter=telemetry.meter)
            stack.push_async_callback(database.close)
            await database.open()
            return database

        yield make
