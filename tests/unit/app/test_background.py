"""Work beside the answers: it goes on, whatever happens to it."""

import asyncio
import contextlib

import pytest

from dbopsd.app.background import start
from tests.support.patience import eventually


async def test_work_that_fails_begins_anew_and_is_told(caplog: pytest.LogCaptureFixture) -> None:
    runs = []

    async def run() -> None:
        runs.append(len(runs))
        if len(runs) < 3:
            raise ValueError("nobody foresaw it")
        await asyncio.Event().wait()

    task = start("sampler", run, again_after_s=0.01)
    await eventually(lambda: len(runs) == 3)
    assert not task.done()
    told = [each for each in caplog.records if "'sampler' failed" in each.message]
    assert len(told) == 2
    assert told[0].exc_info
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_work_that_ends_is_left_alone() -> None:
    runs = []

    async def run() -> None:
        runs.append(1)

    await start("once", run, again_after_s=0.01)
    assert runs == [1]
