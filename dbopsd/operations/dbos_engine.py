"""DBOS as this process runs it: the queue, the durable steps, the cron, and its recovery.

DBOS decides which worker runs what and remembers each finished step. That an operation's worker is
gone is found by its heartbeat (`liveness.py`), which DBOS's open part does not have.

DBOS polls its queues all the time, a hundred statements a second, and has nothing to wake it. So
its own threads are stopped and its functions for a queue and for the schedules are run with an
event that notifications wake (`PollEvent`). This is the one module that knows of that.
"""

import json
import logging
import sys
import threading
from collections.abc import Awaitable, Callable, Collection, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from dbos import DBOS, DBOSPortableJSONSerializer
from dbos._queue import queue_worker_thread
from dbos._scheduler import dynamic_scheduler_loop

from dbopsd.config import OperationsConfig
from dbopsd.operations.poll_event import PollEvent
from dbopsd.operations.store.notifications import Topic
from dbopsd.operations.store.requests import QUEUE, WORKFLOW
from dbopsd.operations.store.schedules import SCHEDULED
from dbopsd.operations.store.sql_engine import serialised, translated
from dbopsd.operations.store.store import APPLICATION, ControlStore

_log = logging.getLogger(__name__)

# Work belongs to whoever can take it: DBOS would leave that of an older version lying.
_VERSION: Final = "1"
_FORGET_AT_ONCE: Final = 500
POLL_S: Final = 0.1
"""How soon a worker that was notified looks again for something to do, in seconds."""

# Should everything else fail that wakes its threads.
_IDLE_S: Final = 30.0
_JOIN_S: Final = 1.0


class Engine:
    """Runs `operation(id)` for each queued operation and `scheduled(context, time)` by the clock.

    Both run in the event loop that `launch` is called in.
    """

    def __init__(
        self,
        store: ControlStore,
        worker: str,
        config: OperationsConfig,
        *,
        operation: Callable[[str], Awaitable[None]],
        scheduled: Callable[[dict[str, Any], datetime, str], Awaitable[None]],
    ) -> None:
        self._store = store
        self._worker = worker
        self._operation = operation
        self._scheduled = scheduled
        self._config = config
        # DBOS has a queue of its own for what its cron finds to be due.
        self._due = PollEvent(_IDLE_S)
        self._events = {
            Topic.WORK: PollEvent(_IDLE_S),
            Topic.SCHEDULES: PollEvent(_IDLE_S),
        }
        self._threads: list[threading.Thread] = []

    def register_queue(self) -> None:
        """Set the queue's limits, for every worker of the control store. Blocks."""
        config = self._config
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
        dbos = DBOS(
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
                "log_level": logging.getLevelName(logger.getEffectiveLevel()),
            }
        )

        @DBOS.workflow(name=WORKFLOW, max_recovery_attempts=None)
        async def operation(operation_id: str) -> None:
            try:
                await self._operation(operation_id)
            finally:
                # There is room for another.
                self.wake(Topic.WORK)

        @DBOS.workflow(name=SCHEDULED, max_recovery_attempts=None)
        async def scheduled(time: datetime, context: dict[str, Any]) -> None:
            await self._scheduled(context, time, DBOS.workflow_id or "")

        DBOS.launch()
        # Its own threads end here. None has asked for anything yet that the ones below do not.
        for event in [*dbos.background_thread_stop_events, dbos._background_jobs_stop_event]:  # noqa: SLF001
            event.set()
        ticks = dbos._registry.get_internal_queue()  # noqa: SLF001
        work, schedules = self._events[Topic.WORK], self._events[Topic.SCHEDULES]
        self._run("dbos-operations", lambda: self._serve_queue(dbos, work))
        self._run("dbos-ticks", lambda: queue_worker_thread(self._due, dbos, ticks))
        self._run("dbos-schedules", lambda: dynamic_scheduler_loop(schedules, POLL_S))
        for topic in self._events:
            self.wake(topic)

    def wake(self, topic: Topic) -> None:
        """Look for what `topic` says; from any thread."""
        event = self._events.get(topic)
        if event is not None:
            event.wake()

    def wake_ticks(self) -> None:
        """Run what DBOS's cron has found to be due."""
        self._due.wake()

    def close(self) -> None:
        """Take no new work. What runs is not waited for."""
        for event in (*self._events.values(), self._due):
            event.set()
        for thread in self._threads:
            thread.join(_JOIN_S)
        DBOS.destroy(workflow_completion_timeout_sec=0)

    def _run(self, name: str, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _serve_queue(self, dbos: DBOS, event: PollEvent) -> None:
        """Take work from the queue; DBOS's function ends where somebody deleted the queue."""
        while not event.is_set():
            try:
                queue = DBOS.retrieve_queue(QUEUE)
                if queue is None:
                    self.register_queue()
                    continue
                queue_worker_thread(event, dbos, queue)
            except Exception as exc:  # noqa: BLE001 - the store is away; a worker waits for it
                _log.warning("the queue cannot be read: %s", exc)
                event.wait(POLL_S)

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
