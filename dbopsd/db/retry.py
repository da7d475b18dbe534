"""Retry work after a transient failure, only where that is safe."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import stamina

from dbopsd.db.errors import DatabaseError

ATTEMPTS = 6
FIRST_WAIT_S = 0.05
LONGEST_WAIT_S = 2.0

T = TypeVar("T")


async def retried(
    work: Callable[[], Awaitable[T]],
    *,
    idempotent: bool,
    attempts: int | None = ATTEMPTS,
    timeout_s: float | None = 30.0,
) -> T:
    """Do `work`, and again after a transient `DatabaseError`, with jittered backoff.

    `attempts` are all that there are, the first one included; None: as many as there is time for.

    A serialization failure, a deadlock or a refused connection certainly left nothing behind and
    is always tried again. A connection lost under way may have left the work done: only
    `idempotent` work is repeated then. Raises the last error once `timeout_s` has passed.
    """

    def again(exc: Exception) -> bool:
        return isinstance(exc, DatabaseError) and exc.transient and (idempotent or exc.left_nothing)

    async for attempt in stamina.retry_context(
        on=again,
        attempts=attempts,
        timeout=timeout_s,
        wait_initial=FIRST_WAIT_S,
        wait_max=LONGEST_WAIT_S,
        wait_jitter=FIRST_WAIT_S,
    ):
        with attempt:
            return await work()
    raise AssertionError("unreachable: stamina re-raises the last error")
