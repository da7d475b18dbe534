"""Streams that reconnect after a restart of the server."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Protocol, Self, TypeVar

import grpc

from dbops_client._cancellation import call_cancelled, task_is_cancelled
from dbops_client._errors import DbopsError, error_from_rpc, first_message_late, stream_ended
from dbops_client._reconnect import Reconnect

_Item = TypeVar("_Item")


def endless(_: object) -> bool:
    """Return False: no item of an endless stream is the last."""
    return False


class _Call(Protocol):
    """The part of gRPC's synchronous streaming call that a watch uses."""

    def __next__(self) -> Any: ...

    def cancel(self) -> bool: ...


class _AsyncCall(Protocol):
    """The part of gRPC's asyncio streaming call that a watch uses."""

    async def read(self) -> Any: ...

    def cancel(self) -> bool: ...


class Watch(Iterator[_Item]):
    """A stream to iterate over. Close it when done, with `close()` or as a context manager.

    After UNAVAILABLE it reconnects, and starts with the present state, changed or not. Any other
    error, or a longer outage, is raised as a DbopsError and closes the watch. The iteration stops
    after `close()`, which any thread may call, and after the last message of a stream that has an
    end. Only one thread may iterate at a time.
    """

    def __init__(
        self,
        open_call: Callable[[], _Call],
        decode: Callable[[Any], _Item],
        *,
        timeout_s: float,
        reconnect: Reconnect,
        is_last: Callable[[_Item], bool] = endless,
    ) -> None:
        self._open_call = open_call
        self._decode = decode
        self._timeout_s = timeout_s
        self._reconnect = reconnect
        self._is_last = is_last
        self._call: _Call | None = None
        self._closed = threading.Event()

    @property
    def outage_s(self) -> float:
        """How long it has been trying to reconnect, in seconds; 0 while it is connected."""
        return self._reconnect.outage_s

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __next__(self) -> _Item:
        while not self._closed.is_set():
            try:
                response = self._read()
            except DbopsError as error:
                self._call = None
                if self._closed.is_set():
                    break
                delay_s = self._reconnect.delay_s(error)
                if delay_s is None:
                    self.close()
                    raise
                self._closed.wait(delay_s)
            else:
                self._reconnect.connected()
                item = self._decode(response)
                if self._is_last(item):
                    self.close()
                return item
        raise StopIteration

    def close(self) -> None:
        """End the watch, and the wait of a thread that iterates over it. May be called twice."""
        self._closed.set()
        if (call := self._call) is not None:
            call.cancel()

    def _read(self) -> Any:
        try:
            if self._call is not None:
                return next(self._call)
            self._call = call = self._open_call()
            if self._closed.is_set():
                call.cancel()  # close() ran while the call was opened, and did not see it
            return _first(call, self._timeout_s)
        except StopIteration:
            raise stream_ended() from None
        except grpc.RpcError as error:
            raise error_from_rpc(error) from error


def _first(call: _Call, timeout_s: float) -> Any:
    """Return the call's first message, or raise DeadlineExceededError.

    gRPC has no deadline for the first message of a stream, so a timer cancels the call. If the
    message and the timer come at once, the lock lets one of them win: a call that was read from is
    not cancelled later.
    """
    lock = threading.Lock()
    settled = expired = False

    def expire() -> None:
        nonlocal expired
        with lock:
            expired = not settled
        if expired:
            call.cancel()

    timer = threading.Timer(timeout_s, expire)
    timer.daemon = True
    timer.start()
    try:
        message = next(call)
    except grpc.RpcError as error:
        if expired:
            raise first_message_late(timeout_s) from error
        raise
    finally:
        timer.cancel()
        with lock:
            settled = True
    if expired:
        raise first_message_late(timeout_s)
    return message


class AsyncWatch(AsyncIterator[_Item]):
    """A stream for `async for`. Close it when done, with `close()` or as a context manager.

    After UNAVAILABLE it reconnects, and starts with the present state, changed or not. Any other
    error, or a longer outage, is raised as a DbopsError and closes the watch. The iteration stops
    after `close()`, and after the last message of a stream that has an end. Only one task may
    iterate at a time; if it is cancelled, the watch is closed.
    """

    def __init__(
        self,
        open_call: Callable[[], _AsyncCall],
        decode: Callable[[Any], _Item],
        *,
        timeout_s: float,
        reconnect: Reconnect,
        is_last: Callable[[_Item], bool] = endless,
    ) -> None:
        self._open_call = open_call
        self._decode = decode
        self._timeout_s = timeout_s
        self._reconnect = reconnect
        self._is_last = is_last
        self._call: _AsyncCall | None = None
        self._closed = asyncio.Event()

    @property
    def outage_s(self) -> float:
        """How long it has been trying to reconnect, in seconds; 0 while it is connected."""
        return self._reconnect.outage_s

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    async def __anext__(self) -> _Item:
        try:
            return await self._next()
        except asyncio.CancelledError:
            self.close()
            raise

    def close(self) -> None:
        """End the watch, and the wait of a task that iterates over it. May be called twice."""
        self._closed.set()
        if self._call is not None:
            self._call.cancel()

    async def _next(self) -> _Item:
        while not self._closed.is_set():
            try:
                response = await self._read()
            except DbopsError as error:
                self._call = None
                if self._closed.is_set():
                    break
                delay_s = self._reconnect.delay_s(error)
                if delay_s is None:
                    self.close()
                    raise
                await self._closed_within(delay_s)
            else:
                self._reconnect.connected()
                item = self._decode(response)
                if self._is_last(item):
                    self.close()
                return item
        raise StopAsyncIteration

    async def _read(self) -> Any:
        try:
            if self._call is not None:
                message = await self._call.read()
            else:
                self._call = self._open_call()
                # When the timeout cancels read(), gRPC cancels the call.
                async with asyncio.timeout(self._timeout_s):
                    message = await self._call.read()
        except TimeoutError as error:
            raise first_message_late(self._timeout_s) from error
        except grpc.RpcError as error:
            raise error_from_rpc(error) from error
        except asyncio.CancelledError:
            if task_is_cancelled():
                raise
            raise call_cancelled() from None
        if message is grpc.aio.EOF:
            raise stream_ended()
        return message

    async def _closed_within(self, delay_s: float) -> None:
        try:
            async with asyncio.timeout(delay_s):
                await self._closed.wait()
        except TimeoutError:
            pass
