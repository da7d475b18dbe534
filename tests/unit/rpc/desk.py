"""Operations of the demo's kinds on a control store without any worker.

A test moves an operation on as a worker would: by what a worker writes.
"""

from collections.abc import Sequence
from typing import Any

from dbopsd.metrics.alerts.alerts import Alerts
from dbopsd.metrics.alerts.board import AlertBoard
from dbopsd.metrics.alerts.channels import Channel
from dbopsd.metrics.alerts.silences import Silences
from dbopsd.operations import store
from dbopsd.operations.alert_records import Silence
from dbopsd.operations.async_store import AsyncControlStore
from dbopsd.operations.duty import DutyKey
from dbopsd.operations.kind import Kind
from dbopsd.operations.record import Failure, Operation, Progress, Schedule, State
from dbopsd.operations.service import Operations, StartRequest
from dbopsd.operations.store.attempts import Report
from tests.support.demo.kind import KINDS, DemoRequest

WORKER = "worker-1"
_PROCESS = {"host": "host-1", "pid": 42, "version": "1.2.3", "replaces": ""}


class Desk:
    """The operations of a control store, and a worker's pen."""

    def __init__(self, threads: AsyncControlStore, kinds: Sequence[Kind[Any, Any]] = KINDS) -> None:
        self.operations = Operations(
            threads, {kind.name: kind for kind in kinds}, ("main", "other", "orders")
        )
        self._threads = threads
        self._duties: list[DutyKey] = []

    def alerts(self, board: AlertBoard | None = None, **channels: Channel) -> Alerts:
        """Alerts whose silences are in the same control store."""
        board = board or AlertBoard()
        silences = Silences(self._threads, board, ("DeadRows", "DatabaseDown"), ("main", "other"))
        return Alerts(board, silences, channels, judged=True)

    async def silence(self, silence: Silence) -> None:
        """Keep a silence, if it is not there."""
        await self._threads.ask(lambda store_: store.alerts.create_silence(store_, silence, ""))

    async def start(
        self,
        database: str = "main",
        *,
        kind: str = "demo",
        requester: str = "tester",
        role: int = 2,
        request_id: str = "",
    ) -> Operation:
        return await self.operations.start(
            StartRequest(kind, DemoRequest(), database, requester, role, request_id=request_id)
        )

    async def begin(self, operation: Operation) -> Operation:
        await self._ask(store.liveness.register, WORKER, **_PROCESS)
        begun = await self._ask(store.attempts.begin, operation.id, WORKER)
        return begun.operation

    async def report(self, begun: Operation, stage: str, progress: Progress | None) -> None:
        report = Report(begun.id, begun.attempt, stage, progress)
        await self._ask(store.attempts.report, WORKER, [report])

    async def succeed(self, begun: Operation, result: str) -> None:
        assert await self._ask(store.attempts.finish, begun, state=State.SUCCEEDED, result=result)

    async def fail(self, begun: Operation, failure: Failure) -> None:
        assert await self._ask(store.attempts.finish, begun, state=State.FAILED, failure=failure)

    async def schedule(self, *schedules: Schedule) -> None:
        await self._ask(store.schedules.apply, schedules)

    async def duty(self, database: str, name: str, *, holder: str = "") -> int:
        """Declare a duty, and take it for the holder if one is given; its token."""
        key = DutyKey(database, name)
        self._duties.append(key)
        await self._ask(store.duties.declare, self._duties)
        if not holder:
            return 0
        _, (lease,) = await self._ask(store.duties.renew, holder, {}, [key])
        token: int = await self._ask(store.duties.acquire, holder, lease)
        return token

    async def _ask(self, what: Any, *args: Any, **keywords: Any) -> Any:
        return await self._threads.ask(lambda control: what(control, *args, **keywords))
