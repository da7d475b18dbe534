"""A call's only request is waited for for a limited time, and only so many calls wait at once.

gRPC's own handlers for such methods are entered once the request is there. A caller could begin
any number of calls and send nothing in them: each would stay for ever, known to no limit.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

from dbopsd.errors import MalformedRequest
from dbopsd.rpc.auth_interceptor import address_of
from dbopsd.rpc.call_adapters import Send, StreamCall, UnaryCall
from dbopsd.security.addresses import network_of
from dbopsd.security.errors import RequestMissing, TooManyCalls

FIRST_REQUEST_S: Final = 10.0


@dataclass(eq=False, slots=True)
class _Wait:
    """A call that waits for its request."""

    timeout: asyncio.Timeout
    displaced: bool = False
    """Whether a later call has taken its place."""


class FirstRequest:
    """Turns calls that take one request into calls that take a stream of them.

    `most` calls of one network wait at once. One more takes the place of the oldest, or whoever
    has many of them waiting would keep the others of that network out.
    """

    def __init__(self, most: int, timeout_s: float = FIRST_REQUEST_S) -> None:
        self._most = most
        self._timeout_s = timeout_s
        # In the order in which they began.
        self._waiting: dict[str, dict[_Wait, None]] = {}

    @property
    def waiting(self) -> int:
        """How many calls wait for their request."""
        return sum(map(len, self._waiting.values()))

    def unary(self, full_name: str, call: UnaryCall) -> UnaryCall:
        """`call`, with the first of the requests."""

        async def received(requests: AsyncIterator[Any], context: Any) -> Any:
            return await call(await self._receive(full_name, requests, context), context)

        return received

    def stream(self, full_name: str, call: StreamCall) -> StreamCall:
        """The same for a call that streams its responses."""

        async def received(requests: AsyncIterator[Any], context: Any, send: Send) -> None:
            await call(await self._receive(full_name, requests, context), context, send)

        return received

    async def _receive(self, full_name: str, requests: AsyncIterator[Any], context: Any) -> Any:
        network = network_of(address_of(context.peer()))
        waiting = self._waiting.setdefault(network, {})
        if len(waiting) >= self._most:
            oldest = next(iter(waiting))
            del waiting[oldest]
            # One whose time is up already is about to leave by itself.
            if not oldest.timeout.expired():
                oldest.displaced = True
                oldest.timeout.reschedule(asyncio.get_running_loop().time())
        wait = _Wait(asyncio.timeout(self._timeout_s))
        try:
            async with wait.timeout:
                waiting[wait] = None
                try:
                    return await anext(requests)
                finally:
                    waiting.pop(wait, None)
                    if not waiting:
                        self._waiting.pop(network, None)
        except TimeoutError:
            if wait.displaced:
                # Its request may well have been on its way: many calls began at once.
                raise TooManyCalls(self._most) from None
            raise RequestMissing(self._timeout_s) from None
        except StopAsyncIteration:
            raise MalformedRequest(full_name) from None
