"""Writers whose rows tell afterwards whether anything acknowledged was lost or came twice."""

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from dbopsd.db.database import Database
from dbopsd.db.errors import DatabaseError
from dbopsd.db.session import Session
from dbopsd.db.statement import Statement

CREATE = "CREATE TABLE written (key text, at timestamptz DEFAULT clock_timestamp())"
UNIQUE = "CREATE UNIQUE INDEX ON written (key)"
_INSERT = Statement(
    "INSERT INTO written (key) VALUES (%s) ON CONFLICT DO NOTHING", "INSERT written"
)


async def write(database: Database, key: str | None = None) -> str:
    """Add a row through the pool, as often as needed: its key makes it happen once."""
    key = key or uuid.uuid4().hex

    async def work(session: Session) -> None:
        await session.execute(_INSERT, (key,))

    await database.run(work, idempotent=True)
    return key


@dataclass
class Writers:
    """What was acknowledged, and when (by time.monotonic()), and what was not."""

    acknowledged: dict[str, float] = field(default_factory=dict)
    errors: list[DatabaseError] = field(default_factory=list)


@asynccontextmanager
async def writing(database: Database, count: int = 4) -> AsyncIterator[Writers]:
    """`count` tasks that write all the time."""
    writers = Writers()

    async def go_on() -> None:
        while True:
            try:
                key = await write(database)
            except DatabaseError as exc:
                writers.errors.append(exc)
            else:
                writers.acknowledged[key] = time.monotonic()
            await asyncio.sleep(0.005)

    tasks = [asyncio.create_task(go_on()) for _ in range(count)]
    try:
        yield writers
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def first_write(database: Database, timeout_s: float = 20.0) -> float:
    """Write until it succeeds; how long that took, in seconds."""
    started = time.monotonic()
    async with asyncio.timeout(timeout_s):
        while True:
            try:
                await write(database)
            except DatabaseError:
                await asyncio.sleep(0.01)
            else:
                return time.monotonic() - started
