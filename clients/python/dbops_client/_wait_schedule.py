"""When WaitOperation is called again, and for how long: the decisions alone, no I/O."""

import time
from collections.abc import Callable

from google.longrunning import operations_pb2 as longrunning_pb2

from dbops_client._channel import seconds
from dbops_client._errors import DbopsError
from dbops_client._reconnect import Reconnect

# How long one call waits at most: by then a dead connection is noticed.
_PIECE_S = 30.0
# The pause after a call that ended early: a server that stops ends all calls that wait.
_PAUSE_S = 0.2


class WaitSchedule:
    """Calls of WaitOperation until the operation has ended, or for `within_s` seconds in all.

    Without `within_s` there is no limit. `reconnect` decides how long an outage may last.
    """

    def __init__(
        self,
        name: str,
        within_s: float | None,
        reconnect: Reconnect,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._reconnect = reconnect
        self._clock = clock
        self._call_start_s = clock()
        self._end_s = (
            float("inf") if within_s is None else self._call_start_s + seconds("within_s", within_s)
        )
        self.piece_s = 0.0

    def request(self) -> longrunning_pb2.WaitOperationRequest:
        """Return the next call's request; the server answers it within `piece_s`."""
        self._call_start_s = self._clock()
        self.piece_s = max(0.0, min(_PIECE_S, self._end_s - self._call_start_s))
        request = longrunning_pb2.WaitOperationRequest(name=self._name)
        request.timeout.FromNanoseconds(round(self.piece_s * 1e9))
        return request

    def after_answer(self, *, done: bool) -> float | None:
        """Return how long to wait before the next call, in seconds, or None if this is the last."""
        self._reconnect.connected()
        now_s = self._clock()
        if done or now_s >= self._end_s:
            return None
        early = now_s - self._call_start_s < self.piece_s
        return min(_PAUSE_S, self._end_s - now_s) if early else 0.0

    def after_error(self, error: DbopsError) -> float | None:
        """Return how long to wait before the next call, in seconds, or None to give up."""
        delay_s = self._reconnect.delay_s(error)
        if delay_s is None or self._clock() + delay_s >= self._end_s:
            return None
        return delay_s
