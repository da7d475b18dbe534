"""Streams that outlive a restart of the server."""

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
    """Say of no item that it is the last: for a stream that has no end."""
    return False


class _Call(Protocol):
    """What is needed of gRPC's synchronous streaming call."""

    def __next__(self) -> Any: ...

    def cancel(self) -> bool: ...


class _AsyncCall(Protocol):
    """What is needed of gRPC's asyncio streaming call."""

    async def read(self) -> Any: ...

    def cancel(self) -> bool: ...


class Watch(Iterator[_Item]):
    """A stream to iterate over, and to `close()`, from any thread, when done.

    After UNAVAILABLE it connects again; the state of that moment comes first then, changed or not.
    An error that cannot be waited out is raised as a DbopsError, and closes the watch. Closed by
    `close()`, it just stops, and so it does after the last message of what has an end. One thread
    iterates at a time.
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
        """How long it has been trying to connect again, in seconds; 0 while it is connected."""
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
        """End the watch, and the wait of a thread that iterates over it. Twice is no error."""
        self._closed.set()
        if (call := self._call) is not None:
            call.cancel()

    def _read(self) -> Any:
        try:
            if self._call is not None:
                return next(self._call)
            self._call = call = self._open_call()
            if (
                self._closed.is_set()
            ):  # close() came while the call was being opened, and did not see it
                call.cancel()
            return _first(call, self._timeout_s)
        except StopIteration:
            raise stream_ended() from None
        except grpc.RpcError as error:
            raise error_from_rpc(error) from error


def _first(call: _Call, timeout_s: float) -> Any:
    """Return the call's first message, or raise DeadlineExceededError.

    gRPC has a deadline for a whole stream, none for its first message: a timer cancels the call. A
    message and the timer may come at once; the lock lets one of them win, so that a call once read
    from is never cancelled later.
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
    """A stream to iterate over with `async for`, and to `close()` when done.

    After UNAVAILABLE it connects again; the state of that moment comes first then, changed or not.
    An error that cannot be waited out is raised as a DbopsError, and closes the watch. Closed by
    `close()`, it just stops, and so it does after the last message of what has an end. One task
    iterates at a time; cancelling it ends the call and closes the watch.
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
        """How long it has been trying to connect again, in seconds; 0 while it is connected."""
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
        """End the watch, and the wait of a task that iterates over it. Twice is no error."""
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
                # On its way out, gRPC's read() cancels the call: a late message finds nobody.
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
