"""`dbops.v1.OperationsService`."""

import asyncio
import re
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import aclosing
from typing import Any, Final

from dbops.v1 import operations_pb2, operations_pb2_grpc
from google.longrunning import operations_pb2 as longrunning_pb2

from dbopsd.errors import DatabaseNotFound, InvalidField, ShuttingDown
from dbopsd.operations.record import Comparison, Condition
from dbopsd.operations.service import Operations
from dbopsd.rpc.operation_access import find, require, visible_databases
from dbopsd.rpc.operation_encode import (
    encode_duty,
    encode_operation,
    encode_schedule,
    encode_worker,
)
from dbopsd.rpc.operation_methods import OperationMethod, method_of
from dbopsd.rpc.operation_start import OperationStarter
from dbopsd.rpc.paging import paginate
from dbopsd.rpc.validation import SEGMENT
from dbopsd.security.caller import Role

_PARENT: Final = re.compile(rf"databases/({SEGMENT}|-)")
_ANY: Final = "-"
_NOT_DONE: Final = Condition("done", Comparison.EQUAL, value=False)
# More than all workers together are ever at.
_MAX_RUNNING: Final = 10_000


class OperationsService(operations_pb2_grpc.OperationsServiceServicer):
    """`databases` are the names of those configured; `methods`: as for `LongRunning`."""

    def __init__(
        self,
        operations: Operations,
        methods: Mapping[str, OperationMethod[Any, Any]],
        databases: Collection[str],
    ) -> None:
        self._operations = operations
        self._methods = methods
        self._databases = databases
        self._starter = OperationStarter(operations, methods)

    async def WatchOperation(  # noqa: N802 - gRPC's names
        self, request: operations_pb2.WatchOperationRequest, context: Any
    ) -> AsyncIterator[operations_pb2.WatchOperationResponse]:
        """An operation as it is, each change, and as it ended."""
        operation = await find(self._operations, request.name)
        async with aclosing(self._operations.watch(operation.id)) as states:
            async for operation in states:
                yield operations_pb2.WatchOperationResponse(
                    operation=encode_operation(operation, self._methods)
                )
        if not operation.state.done:
            # It ended and was deleted between two looks at it, which this says, or we stop.
            await self._operations.get(operation.id)
            raise ShuttingDown

    async def ListSchedules(  # noqa: N802
        self, request: operations_pb2.ListSchedulesRequest, context: Any
    ) -> operations_pb2.ListSchedulesResponse:
        """A page of the schedules that the caller may see."""
        match = _PARENT.fullmatch(request.parent)
        if match is None:
            raise InvalidField("parent", "is not of the form databases/{database}, nor databases/-")
        if match.group(1) == _ANY:
            visible = visible_databases()
            schedules = [
                schedule
                for schedule in await self._operations.schedules()
                if visible is None or schedule.database in visible
            ]
        else:
            database = match.group(1)
            require(Role.VIEWER, database)
            if database not in self._databases:
                raise DatabaseNotFound(database)
            schedules = await self._operations.schedules(database)
        page = paginate(
            sorted(schedules, key=lambda schedule: schedule.name),
            key=lambda schedule: schedule.name,
            of=f"ListSchedules {request.parent}",
            page_size=request.page_size,
            page_token=request.page_token,
        )
        return operations_pb2.ListSchedulesResponse(
            schedules=[encode_schedule(schedule) for schedule in page.items],
            next_page_token=page.next_page_token,
        )

    async def RunSchedule(  # noqa: N802
        self, request: operations_pb2.RunScheduleRequest, context: Any
    ) -> longrunning_pb2.Operation:
        """Start a schedule's operation now, or say only whether that would be refused."""
        database, name = _schedule(request.name)
        require(Role.OPERATOR, database)
        schedule = await self._operations.schedule(database, name)
        method = method_of(schedule.kind, self._methods)
        return await self._starter.start(
            method,
            await asyncio.to_thread(method.read_stored, schedule.request),
            database=database,
            request_id=request.request_id,
            validate_only=request.validate_only,
        )

    async def PauseSchedule(  # noqa: N802
        self, request: operations_pb2.PauseScheduleRequest, context: Any
    ) -> operations_pb2.Schedule:
        """Pause a schedule until it is resumed."""
        database, name = _schedule(request.name)
        require(Role.OPERATOR, database)
        return encode_schedule(await self._operations.pause_schedule(database, name))

    async def ResumeSchedule(  # noqa: N802
        self, request: operations_pb2.ResumeScheduleRequest, context: Any
    ) -> operations_pb2.Schedule:
        """Resume a paused schedule."""
        database, name = _schedule(request.name)
        require(Role.OPERATOR, database)
        return encode_schedule(await self._operations.resume_schedule(database, name))

    async def ListWorkers(  # noqa: N802
        self, request: operations_pb2.ListWorkersRequest, context: Any
    ) -> operations_pb2.ListWorkersResponse:
        """A page of the workers, each with those of its operations that the caller may see."""
        workers = await self._operations.workers()
        page = paginate(
            sorted(workers, key=lambda worker: worker.id),
            key=lambda worker: worker.id,
            of="ListWorkers",
            page_size=request.page_size,
            page_token=request.page_token,
        )
        visible = await self._visible_running()
        return operations_pb2.ListWorkersResponse(
            workers=[encode_worker(worker, visible) for worker in page.items],
            next_page_token=page.next_page_token,
        )

    async def ListDuties(  # noqa: N802
        self, request: operations_pb2.ListDutiesRequest, context: Any
    ) -> operations_pb2.ListDutiesResponse:
        """A page of the duties of no database and of those that the caller may see."""
        visible = visible_databases()
        page = paginate(
            [
                duty
                for duty in await self._operations.duties()
                if visible is None or not duty.database or duty.database in visible
            ],
            key=lambda duty: duty.name,
            of="ListDuties",
            page_size=request.page_size,
            page_token=request.page_token,
        )
        return operations_pb2.ListDutiesResponse(
            duties=[encode_duty(duty) for duty in page.items],
            next_page_token=page.next_page_token,
        )

    async def _visible_running(self) -> frozenset[str] | None:
        """The ids of the operations not done that the caller may see; None: of all."""
        databases = visible_databases()
        if databases is None:
            return None
        running = await self._operations.list_page(
            (_NOT_DONE,), databases=databases, limit=_MAX_RUNNING
        )
        return frozenset(operation.id for operation in running)


def _schedule(name: str) -> tuple[str, str]:
    """The database and the schedule of a validated `databases/{database}/schedules/{schedule}`."""
    _, database, _, schedule = name.split("/")
    return database, schedule
