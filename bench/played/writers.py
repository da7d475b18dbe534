"""An application that writes to tables, and how long each of its writes took.

`python -m bench.played.writers DSN WRITES_PER_SECOND TABLE…`; a table has a key `id` from 1 to 1000
and a number `v`.
"""

import asyncio
import random
import sys
import time
from contextlib import AsyncExitStack
from typing import Any

import psycopg
from psycopg import sql

from bench.played.commands import answer_commands

_SESSIONS = 4
_IDS = 1000
_SLOW_S = 0.6

Client = psycopg.AsyncConnection[tuple[Any, ...]]


class _Writers:
    def __init__(self, clients: list[Client], pause_s: float, tables: list[str]) -> None:
        self._clients = clients
        self._pause_s = pause_s
        self._updates = [
            sql.SQL("UPDATE {} SET v = v + 1 WHERE id = %s").format(sql.Identifier(table))
            for table in tables
        ]
        self._took_s: list[float] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        self._took_s.clear()
        self._tasks = [asyncio.create_task(self._write(client)) for client in self._clients]

    async def stop(self) -> dict[str, float]:
        """How many writes there were, how many took above 0.6 s, and the longest."""
        for task in self._tasks:
            task.cancel()
        ended = await asyncio.gather(*self._tasks, return_exceptions=True)
        if failed := [each for each in ended if not isinstance(each, asyncio.CancelledError)]:
            raise ExceptionGroup(
                "writers failed", [each for each in failed if isinstance(each, Exception)]
            )
        slow = sum(took_s > _SLOW_S for took_s in self._took_s)
        longest_ms = max(self._took_s) * 1000
        return {"writes": len(self._took_s), "slow": slow, "longest_ms": longest_ms}

    async def _write(self, client: Client) -> None:
        await asyncio.sleep(random.uniform(0, self._pause_s))
        while True:
            began = time.monotonic()
            await client.execute(random.choice(self._updates), (random.randint(1, _IDS),))
            took_s = time.monotonic() - began
            self._took_s.append(took_s)
            await asyncio.sleep(max(self._pause_s - took_s, 0))


async def _main(dsn: str, per_second: float, tables: list[str]) -> None:
    async with AsyncExitStack() as stack:
        clients: list[Client] = []
        for _ in range(_SESSIONS):
            client = await psycopg.AsyncConnection.connect(
                dsn, application_name="shop", autocommit=True
            )
            clients.append(await stack.enter_async_context(client))
        writers = _Writers(clients, _SESSIONS / per_second, tables)
        await answer_commands({"start": writers.start, "stop": writers.stop})


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], float(sys.argv[2]), sys.argv[3:]))
