"""What works beside a test ends with it, and Ctrl-C ends the test meanwhile, too."""

import asyncio

import pytest

from tests.support.receiving import beside


async def test_a_cancellation_that_comes_while_the_work_ends_is_not_lost() -> None:
    ending, may_end = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ending.set()
            await may_end.wait()

    async def body() -> None:
        async with beside(work()):
            await asyncio.sleep(0)

    task = asyncio.create_task(body())
    await ending.wait()
    task.cancel()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_failure_of_the_work_is_raised() -> None:
    async def work() -> None:
        raise ValueError("failed")

    with pytest.raises(ValueError, match="failed"):
        async with beside(work()):
            await asyncio.sleep(0)
