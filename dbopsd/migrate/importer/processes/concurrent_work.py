"""Work that is repeated until PostgreSQL is back, and work that is done side by side."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, Final, TypeVar

from dbopsd.db.retry import retried

PATIENCE_S: Final = 60.0
"""How long an import waits for PostgreSQL to come back.

A crash recovery takes no longer, as a rule: `max_wal_size` keeps it short.
"""

T = TypeVar("T")


async def retry_through_outage(work: Callable[[], Awaitable[T]]) -> T:
    """Do work that may be done again, until it succeeds or fails for a reason that stays.

    It opens its own session: that of before is gone. Raises the last error once `PATIENCE_S` have
    passed since it began.
    """
    return await retried(work, idempotent=True, attempts=None, timeout_s=PATIENCE_S)


async def gather_or_cancel(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results, in order. The first that fails has the others cancelled, and is raised alone."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in works]
    except ExceptionGroup as failures:
        # One alone, so that whoever asked need not know how many there were.
        first: BaseException = failures
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from None
    return [task.result() for task in tasks]
