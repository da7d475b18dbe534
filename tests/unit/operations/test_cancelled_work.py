"""What cancelled work has to tell."""

import asyncio

from dbopsd.operations.errors import CancelledWithResult
from dbopsd.operations.runner import told_of
from tests.support.demo.kind import DemoResult


async def test_cancelled_work_tells_what_it_did() -> None:
    async def work(*, tells: bool) -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as cancelled:
            if tells:
                raise CancelledWithResult(DemoResult(2, 1)) from cancelled
            raise
        return ""

    told = []
    for tells in (True, False):
        task = asyncio.ensure_future(work(tells=tells))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
        told.append(await told_of(task, DemoResult))
    assert told == ['{"attempts":1,"step_attempts":[],"steps_done":2}', None]
