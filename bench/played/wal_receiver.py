"""Receives the WAL of a server, as the duty of a worker does, until its standard input ends.

`python -m bench.played.wal_receiver DSN PG_BIN DIRECTORY`; in DIRECTORY are the store, the key `k1`
and the spool.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

from opentelemetry.metrics import NoOpMeter
from opentelemetry.trace import NoOpTracer

from bench.played.commands import answer_commands
from dbopsd.app.allocator import give_memory_back
from dbopsd.backup.repository import open_repository
from dbopsd.backup.wal.status import read_status
from dbopsd.config import DatabaseConfig
from dbopsd.db.database import Database
from tests.support.receiving import receiving


async def _main(dsn: str, pg_bin: str, directory: Path) -> None:
    config = DatabaseConfig.model_validate(
        {
            "dsn": dsn,
            "pg_bin": pg_bin,
            "backup": {
                "store": (directory / "store").as_uri(),
                "wal_flush_s": 1.0,
                "keys": {"k1": f"file:{directory / 'k1'}"},
            },
        }
    )
    database = Database("main", config, tracer=NoOpTracer(), meter=NoOpMeter("bench"))
    await database.open()

    try:
        async with receiving(database, directory / "state") as duty:

            async def behind() -> dict[str, Any]:
                """How many bytes of WAL are not in the store. Raises what the duty failed with."""
                if duty.failures:
                    raise duty.failures[0]
                async with open_repository("main", config.backup) as repository:
                    status = await read_status(repository, database)
                return {"lag_bytes": status.lag_bytes, "state": status.state.value}

            await answer_commands({"behind": behind})
    finally:
        await database.close()


if __name__ == "__main__":
    give_memory_back()  # as a worker does
    asyncio.run(_main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
