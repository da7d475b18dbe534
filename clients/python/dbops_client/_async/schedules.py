"""`client.schedules`, `client.workers` and `client.duties`: what starts and runs work."""

from collections.abc import AsyncIterator
from functools import cached_property
from typing import TYPE_CHECKING

from dbops.v1 import operations_pb2, operations_pb2_grpc
from google.protobuf.message import Message

from dbops_client._async.operations import AsyncOperation, AsyncOperationStarter
from dbops_client._async.resource import AsyncResource
from dbops_client._metadata import Metadata
from dbops_client._names import database_name, schedule_name

if TYPE_CHECKING:
    from dbops.v1.operations_pb2_grpc import OperationsServiceAsyncStub


class AsyncSchedulesClient(AsyncOperationStarter):
    """The schedules of the configuration.

    `main/nightly` and `databases/main/schedules/nightly` name the same one.
    """

    @cached_property
    def _stub(self) -> "OperationsServiceAsyncStub":
        return operations_pb2_grpc.OperationsServiceStub(self._transport.channel)

    def list(
        self,
        database: str | None = None,
        *,
        page_size: int = 0,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> AsyncIterator[operations_pb2.Schedule]:
        """Iterate over the schedules of `database`, or of all databases, by name, over all pages.

        Pages are fetched as `client.databases.list` does.
        """
        parent = database_name("-" if database is None else database)
        request = operations_pb2.ListSchedulesRequest(parent=parent, page_size=page_size)
        return self._list(
            self._stub.ListSchedules, request, lambda page: page.schedules, timeout_s, metadata
        )

    async def run(
        self,
        schedule: str,
        *,
        request_id: str | None = None,
        validate_only: bool = False,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> AsyncOperation[Message]:
        """Start the operation of a schedule now, paused or not.

        The same `request_id` twice is one operation; without one the client generates one, so that
        it can retry the call. With `validate_only` nothing starts: the call fails where starting
        would fail, and otherwise returns an operation that is done and has no name.
        """
        return await self._start(
            self._stub.RunSchedule,
            operations_pb2.RunScheduleRequest,
            Message,
            {
                "request_id": request_id,
                "validate_only": validate_only,
                "timeout_s": timeout_s,
                "metadata": metadata,
            },
            name=schedule_name(schedule),
        )

    async def pause(
        self, schedule: str, *, timeout_s: float | None = None, metadata: Metadata = ()
    ) -> operations_pb2.Schedule:
        """Pause a schedule: it starts nothing until it is resumed. Return its new state."""
        request = operations_pb2.PauseScheduleRequest(name=schedule_name(schedule))
        return await self._transport.call(self._stub.PauseSchedule, request, timeout_s, metadata)

    async def resume(
        self, schedule: str, *, timeout_s: float | None = None, metadata: Metadata = ()
    ) -> operations_pb2.Schedule:
        """Resume a paused schedule, from its next time on. Return its new state."""
        request = operations_pb2.ResumeScheduleRequest(name=schedule_name(schedule))
        return await self._transport.call(self._stub.ResumeSchedule, request, timeout_s, metadata)


class AsyncWorkersClient(AsyncResource):
    """The worker processes, which run the operations."""

    @cached_property
    def _stub(self) -> "OperationsServiceAsyncStub":
        return operations_pb2_grpc.OperationsServiceStub(self._transport.channel)

    def list(
        self, *, page_size: int = 0, timeout_s: float | None = None, metadata: Metadata = ()
    ) -> AsyncIterator[operations_pb2.Worker]:
        """Iterate over the workers, by name, over all pages.

        Pages are fetched as `client.databases.list` does.
        """
        request = operations_pb2.ListWorkersRequest(page_size=page_size)
        return self._list(
            self._stub.ListWorkers, request, lambda page: page.workers, timeout_s, metadata
        )


class AsyncDutiesClient(AsyncResource):
    """The duties: work that goes on for ever, in exactly one process."""

    @cached_property
    def _stub(self) -> "OperationsServiceAsyncStub":
        return operations_pb2_grpc.OperationsServiceStub(self._transport.channel)

    def list(
        self, *, page_size: int = 0, timeout_s: float | None = None, metadata: Metadata = ()
    ) -> AsyncIterator[operations_pb2.Duty]:
        """Iterate over the duties, by name, over all pages.

        Pages are fetched as `client.databases.list` does.
        """
        request = operations_pb2.ListDutiesRequest(page_size=page_size)
        return self._list(
            self._stub.ListDuties, request, lambda page: page.duties, timeout_s, metadata
        )
