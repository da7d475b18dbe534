"""Works side by side: their results, and the first failure alone."""

import asyncio

import pytest

from dbopsd.operations.gather_or_cancel import gather_or_cancel


async def test_results_are_in_the_order_of_the_works() -> None:
    later = asyncio.Event()

    async def first() -> int:
        await later.wait()
        return 1

    async def second() -> int:
        later.set()
        return 2

    assert await gather_or_cancel([first(), second()]) == [1, 2]


async def test_the_first_failure_ends_the_others_and_comes_alone() -> None:
    ended: list[str] = []

    async def fails() -> None:
        raise ValueError("first")

    async def fails_as_it_ends() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("waiting")
            raise KeyError("second")

    async def has_others_within() -> None:
        await gather_or_cancel([fails(), fails_as_it_ends()])

    with pytest.raises(ValueError, match="first") as caught:
        await gather_or_cancel([fails_as_it_ends(), has_others_within()])
    assert ended == ["waiting", "waiting"]
    assert caught.value.__cause__ is None


async def test_cancelling_ends_them_all() -> None:
    ended: list[int] = []

    async def waits(number: int) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(number)

    task = asyncio.create_task(gather_or_cancel([waits(1), waits(2)]))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(ended) == [1, 2]


async def test_what_fails_while_the_caller_is_cancelled_does_not_hide_that() -> None:
    begun = asyncio.Event()

    async def fails_as_it_ends() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            raise ValueError("as it ends")

    task = asyncio.create_task(gather_or_cancel([fails_as_it_ends()]))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    # A deadline of the caller's is one, too.
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await gather_or_cancel([fails_as_it_ends()])


async def test_a_failure_is_raised_as_it_is_where_a_caller_was_cancelled_before() -> None:
    async def fails() -> None:
        raise ValueError("first")

    async def goes_on() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await gather_or_cancel([fails()])

    task = asyncio.create_task(goes_on())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(ValueError, match="first"):
        await task
