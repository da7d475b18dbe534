"""Work that is retried through an outage, and work that runs concurrently."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, Final, TypeVar

from dbopsd.db.retry import retried

PATIENCE_S: Final = 60.0
"""How long an import waits for PostgreSQL to come back, in seconds.

A crash recovery is usually shorter: `max_wal_size` limits it.
"""

T = TypeVar("T")


async def retry_through_outage(work: Callable[[], Awaitable[T]]) -> T:
    """Repeat idempotent work until it succeeds or fails for a lasting reason.

    The work must open its own session: an outage ends sessions. Raises the last error once
    `PATIENCE_S` have passed since it began.
    """
    return await retried(work, idempotent=True, attempts=None, timeout_s=PATIENCE_S)


async def gather_or_cancel(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Run works concurrently. Returns their results; the first failure cancels the others."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in works]
    except ExceptionGroup as failures:
        # Raise the first error alone, so that callers need not handle groups.
        first: BaseException = failures
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from None
    return [task.result() for task in tasks]
