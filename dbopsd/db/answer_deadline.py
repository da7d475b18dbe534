"""Deadlines for answers of a server that may hang."""

import asyncio
import time
from types import TracebackType
from typing import Self

from dbopsd.db.connection import Connection

# By how much longer than the server's own statement_timeout an answer is waited for: past
# that the server hangs or is cut off, and the connection is severed.
_TIMEOUT_GRACE_S = 1.0


class AnswerDeadline:
    """Severs the connection when the server has not answered long after it should have.

    Whoever waits for the answer then gets an error at once, and `expired` says why. `timeout_s` is
    what the server was told to end the statement after; None: it may take as long as it likes.
    """

    __slots__ = ("_connection", "_timeout_s", "_timer", "expired")

    def __init__(self, connection: Connection, timeout_s: float | None) -> None:
        self._connection = connection
        self._timeout_s = timeout_s
        self._timer: asyncio.TimerHandle | None = None
        self.expired = False

    def __enter__(self) -> Self:
        if self._timeout_s is not None:
            self._timer = asyncio.get_running_loop().call_later(
                self._timeout_s + _TIMEOUT_GRACE_S, self._expire
            )
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._connection.last_used = time.monotonic()
        if self._timer is not None:
            self._timer.cancel()

    def _expire(self) -> None:
        self.expired = True
        self._connection.sever()
