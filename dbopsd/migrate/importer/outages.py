"""How long an import waits for PostgreSQL to come back: after a restart, or a failover."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from dbopsd.db.retry import retried

PATIENCE_S: Final = 60.0
"""A crash recovery takes no longer, as a rule: `max_wal_size` keeps it short."""

T = TypeVar("T")


async def waited_out(work: Callable[[], Awaitable[T]]) -> T:
    """Do work that may be done again, until it succeeds or fails for a reason that stays.

    It opens its own session: that of before is gone. Raises the last error once `PATIENCE_S` have
    passed since it began.
    """
    return await retried(work, idempotent=True, attempts=None, timeout_s=PATIENCE_S)
