"""Work that is retried through an outage."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

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
