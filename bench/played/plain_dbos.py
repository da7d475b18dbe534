"""DBOS by itself: workflows of one short step from a queue, all in this one process.

With a worker's settings as they come. Its argument: the URL of its database.
"""

import asyncio
import sys
import time

from dbos import DBOS

from bench.played.commands import answer_commands
from dbopsd.config import OperationsConfig
from dbopsd.operations.dbos_engine import POLL_S

_QUEUE = "bench"
_LOOK_S = 0.02


@DBOS.step()
async def _step() -> int:
    return 1


@DBOS.workflow()
async def _workflow() -> int:
    return await _step()


async def _burst(count: int) -> float:
    """Seconds from enqueueing the first of `count` workflows until the last is recorded as done."""
    began = time.time()
    await asyncio.gather(*(DBOS.enqueue_workflow_async(_QUEUE, _workflow) for _ in range(count)))
    while await DBOS.list_workflows_async(
        status=["ENQUEUED", "PENDING"], load_input=False, load_output=False, limit=1
    ):
        await asyncio.sleep(_LOOK_S)
    return time.time() - began


async def _main(url: str) -> None:
    DBOS(config={"name": "plain", "system_database_url": url, "log_level": "ERROR"})
    DBOS.launch()
    try:
        await DBOS.register_queue_async(
            _QUEUE,
            worker_concurrency=OperationsConfig().worker_concurrency,
            polling_interval_sec=POLL_S,
        )
        await answer_commands({"burst": _burst})
    finally:
        DBOS.destroy(workflow_completion_timeout_sec=0)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1]))
