"""Closing a watch while it waits to connect again."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import grpc.aio
from dbops_client import AsyncWatch, Watch
from dbops_client._reconnect import Reconnect

UNAVAILABLE = grpc.aio.AioRpcError(
    grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata()
)


class BrokenCall:
    def __next__(self):
        raise UNAVAILABLE

    def cancel(self):
        return False


class BrokenAsyncCall(BrokenCall):
    async def read(self):
        raise UNAVAILABLE


def ten_minutes(waiting):
    """A backoff of ten minutes, which says when it begins."""

    def jitter(low, high):
        waiting.set()
        return 600

    return Reconnect(3600, jitter=jitter)


def test_a_thread_in_its_backoff_is_let_go():
    waiting = threading.Event()
    watch = Watch(BrokenCall, lambda r: r, timeout_s=1, reconnect=ten_minutes(waiting))
    with ThreadPoolExecutor() as threads:
        reader = threads.submit(list, watch)
        assert waiting.wait(10)
        watch.close()
        assert reader.result(10) == []
    watch.close()


async def test_a_task_in_its_backoff_is_let_go():
    waiting = asyncio.Event()
    watch = AsyncWatch(BrokenAsyncCall, lambda r: r, timeout_s=1, reconnect=ten_minutes(waiting))

    async def read():
        return [each async for each in watch]

    reader = asyncio.create_task(read())
    await asyncio.wait_for(waiting.wait(), 10)
    watch.close()
    assert await asyncio.wait_for(reader, 10) == []
    watch.close()


async def test_a_task_cancelled_in_its_backoff_closes_the_watch():
    waiting = asyncio.Event()
    watch = AsyncWatch(BrokenAsyncCall, lambda r: r, timeout_s=1, reconnect=ten_minutes(waiting))
    reader = asyncio.ensure_future(anext(watch))
    await asyncio.wait_for(waiting.wait(), 10)
    reader.cancel()
    await asyncio.wait({reader})
    assert reader.cancelled()
    assert [each async for each in watch] == []
