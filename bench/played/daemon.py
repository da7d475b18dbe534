"""The daemon within a process that can also use its pool: to empty it, or to write through it."""

import asyncio
import sys
import time
from collections import Counter
from typing import Any

from bench.played.commands import answer_commands
from dbopsd.app import running
from dbopsd.config import Config
from dbopsd.db.database import Database
from dbopsd.db.errors import DatabaseError
from dbopsd.db.statement import Statement

_WRITERS = 4
_PAUSE_S = 0.01
_CREATE = Statement(
    "CREATE TABLE IF NOT EXISTS bench_writes (at timestamptz NOT NULL)", "CREATE TABLE bench_writes"
)
_WRITE = Statement("INSERT INTO bench_writes VALUES (now())", "INSERT bench_writes")


class _Crowd:
    """Callers that keep the pool empty: as many as it has connections, and `waiting` more."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tasks: list[asyncio.Task[None]] = []

    async def hold(self, waiting: int) -> None:
        """Returns once every connection is lent and the others wait."""
        lent = self._database.pool_stats().max_size
        self._tasks = [asyncio.create_task(self._take()) for _ in range(lent + waiting)]
        async with asyncio.timeout(30):
            while (stats := self._database.pool_stats()).used < lent or stats.waiting < waiting:
                await asyncio.sleep(_PAUSE_S)

    async def leave(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _take(self) -> None:
        while True:
            try:
                async with self._database.session():
                    await asyncio.sleep(3600)
            except DatabaseError:
                continue  # waited for too long: wait on


class _Writers:
    """Callers that write all the time, as an application would, and never give up."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tasks: list[asyncio.Task[None]] = []
        self._written = asyncio.Event()
        self._last_written_at = 0.0
        self._errors: Counter[str] = Counter()

    async def start(self) -> None:
        async with self._database.session() as session:
            await session.execute(_CREATE)
        self._tasks = [asyncio.create_task(self._write()) for _ in range(_WRITERS)]

    async def first_after(self, moment: float) -> dict[str, Any]:
        """When, by time.monotonic(), the first write came through after `moment`.

        With it, the errors that callers got since the last time, by reason.
        """
        while self._last_written_at <= moment:
            self._written.clear()
            await self._written.wait()
        answer = {"at": self._last_written_at, "errors": dict(self._errors)}
        self._errors.clear()
        return answer

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _write(self) -> None:
        while True:
            try:
                async with self._database.session() as session:
                    await session.execute(_WRITE)
            except DatabaseError as exc:
                self._errors[exc.reason] += 1
            else:
                self._last_written_at = time.monotonic()
                self._written.set()
            await asyncio.sleep(_PAUSE_S)


async def _main(configuration: str) -> None:
    config = Config.model_validate_json(configuration)
    async with running(config) as serving:
        database = serving.databases["main"]
        crowd, writers = _Crowd(database), _Writers(database)

        async def target() -> str:
            return f"127.0.0.1:{serving.grpc_port}"

        try:
            await answer_commands(
                {
                    "target": target,
                    "hold_pool": crowd.hold,
                    "leave_pool": crowd.leave,
                    "start_writing": writers.start,
                    "first_write_after": writers.first_after,
                }
            )
        finally:
            await crowd.leave()
            await writers.stop()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1]))
