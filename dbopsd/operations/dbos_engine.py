"""DBOS as this process runs it: the queue, the durable steps, the cron, and its recovery.

DBOS decides which worker runs what and remembers each finished step. That an operation's worker is
gone is found by its heartbeat (`liveness.py`), which DBOS's open part does not have.
"""

import json
import logging
import sys
from collections.abc import Awaitable, Callable, Collection, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from dbos import DBOS, DBOSPortableJSONSerializer

from dbopsd.config import OperationsConfig
from dbopsd.operations.store.requests import QUEUE, WORKFLOW
from dbopsd.operations.store.schedules import SCHEDULED
from dbopsd.operations.store.sql_engine import serialised, translated
from dbopsd.operations.store.store import APPLICATION, ControlStore

# Work belongs to whoever can take it: DBOS would leave that of an older version lying.
_VERSION: Final = "1"
_FORGET_AT_ONCE: Final = 500
POLL_S: Final = 0.1
"""How often a worker looks for something to do, in seconds."""

_SCHEDULES_POLL_S: Final = 2.0


class Engine:
    """Runs `operation(id)` for each queued operation and `scheduled(context, time)` by the clock.

    Both run in the event loop that `launch` is called in.
    """

    def __init__(
        self,
        store: ControlStore,
        worker: str,
        *,
        operation: Callable[[str], Awaitable[None]],
        scheduled: Callable[[dict[str, Any], datetime, str], Awaitable[None]],
    ) -> None:
        self._store = store
        self._worker = worker
        self._operation = operation
        self._scheduled = scheduled

    def register_queue(self, config: OperationsConfig) -> None:
        """Set the queue's limits, for every worker of the control store. Blocks."""
        total = config.total_concurrency
        with translated(self._store.where):
            self._store.client.register_queue(
                QUEUE,
                # DBOS wants no worker to be allowed more than all together.
                worker_concurrency=min(config.worker_concurrency, total or sys.maxsize),
                global_concurrency=total,
                polling_interval_sec=POLL_S,
                on_conflict="always_update",
            )

    def launch(self) -> None:
        """Begin to take work; call it in the event loop. Blocks while the store answers."""
        logger = logging.getLogger("dbos")
        # Or DBOS would write to standard error in a format of its own.
        logger.addHandler(logging.NullHandler())
        DBOS(
            config={
                "name": APPLICATION,
                "system_database_url": self._store.url,
                "system_database_engine": serialised(self._store.engine),
                "application_version": _VERSION,
                "executor_id": self._worker,
                "serializer": DBOSPortableJSONSerializer(),
                # Tables are made by the control store itself, which knows their version.
                "run_migrations": False,
                "use_listen_notify": False,
                "scheduler_polling_interval_sec": _SCHEDULES_POLL_S,
                "log_level": logging.getLevelName(logger.getEffectiveLevel()),
            }
        )

        @DBOS.workflow(name=WORKFLOW, max_recovery_attempts=None)
        async def operation(operation_id: str) -> None:
            await self._operation(operation_id)

        @DBOS.workflow(name=SCHEDULED, max_recovery_attempts=None)
        async def scheduled(time: datetime, context: dict[str, Any]) -> None:
            await self._scheduled(context, time, DBOS.workflow_id or "")

        DBOS.launch()

    def close(self) -> None:
        """Take no new work. What runs is not waited for."""
        DBOS.destroy(workflow_completion_timeout_sec=0)

    def claimed(self) -> dict[str, str]:
        """The worker that has claimed it, by the id of each piece of work that is claimed."""
        with translated(self._store.where):
            found = self._store.client.list_workflows(
                status="PENDING", load_input=False, load_output=False
            )
        return {status.workflow_id: status.executor_id or "" for status in found}

    def is_claimed(self, work: str) -> bool:
        """Whether this worker has claimed it, still: a thread of DBOS that hung may not know."""
        with translated(self._store.where):
            found = self._store.client.list_workflows(
                workflow_ids=[work], load_input=False, load_output=False
            )
        return any(
            status.status == "PENDING" and status.executor_id == self._worker for status in found
        )

    def forget_ticks(self) -> None:
        """Forget that schedules were due more than a day ago. Blocks."""
        before = datetime.now(UTC) - timedelta(days=1)
        with translated(self._store.where):
            old = self._store.client.list_workflows(
                name=SCHEDULED,
                status=["SUCCESS", "ERROR"],
                end_time=before.isoformat(),
                limit=_FORGET_AT_ONCE,
                load_input=False,
                load_output=False,
            )
            self._store.client.delete_workflows([each.workflow_id for each in old])

    def requeue(self, work: str, worker: str) -> bool:
        """Let others claim what `worker` has claimed; False where it has it no more.

        Whatever `worker` still does with it is refused from here on: DBOS fences each write by a
        token of the claim.
        """
        with translated(self._store.where):
            # DBOS has this behind its paid conductor only; its own start does exactly this.
            return self._store.client._sys_db.reenqueue_for_recovery(  # noqa: SLF001
                work, [worker], QUEUE
            )


async def step(name: str, work: Callable[[], Coroutine[Any, Any, str]]) -> str:
    """The text that `work` gave once, whichever process did it. Within an operation only."""
    recorded: str = await DBOS.run_step_async({"name": name}, work)
    return recorded


def strand(claimed: dict[str, str], there: Collection[str]) -> dict[str, str]:
    """What is claimed by workers that are not `there`."""
    return {work: worker for work, worker in claimed.items() if worker not in there}


def encode(value: object) -> str:
    """JSON, the same text for the same value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
