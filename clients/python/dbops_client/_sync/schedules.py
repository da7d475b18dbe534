# Generated from _async/schedules.py: change that, and run 'make client'.
"""`client.schedules`, `client.workers` and `client.duties`: what starts and runs work."""

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from dbops.v1 import operations_pb2, operations_pb2_grpc
from google.protobuf.message import Message

from dbops_client._metadata import Metadata
from dbops_client._names import database_name, schedule_name
from dbops_client._sync.operations import Operation, OperationStarter
from dbops_client._sync.resource import Resource

if TYPE_CHECKING:
    from dbops.v1.operations_pb2_grpc import OperationsServiceStub


class SchedulesClient(OperationStarter):
    """The schedules of the configuration.

    `main/nightly` and `databases/main/schedules/nightly` name the same one.
    """

    @cached_property
    def _stub(self) -> "OperationsServiceStub":
        return operations_pb2_grpc.OperationsServiceStub(self._transport.channel)

    def list(
        self,
        database: str | None = None,
        *,
        page_size: int = 0,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> Iterator[operations_pb2.Schedule]:
        """Iterate over the schedules of `database`, or of all databases, by name, over all pages.

        Pages are fetched as `client.databases.list` does.
        """
        parent = database_name("-" if database is None else database)
        request = operations_pb2.ListSchedulesRequest(parent=parent, page_size=page_size)
        return self._list(
            self._stub.ListSchedules, request, lambda page: page.schedules, timeout_s, metadata
        )

    def run(
        self,
        schedule: str,
        *,
        request_id: str | None = None,
        validate_only: bool = False,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> Operation[Message]:
        """Start the operation of a schedule now, paused or not.

        The same `request_id` twice is one operation; without one the client generates one, so that
        it can retry the call. With `validate_only` nothing starts: the call fails where starting
        would fail, and otherwise returns an operation that is done and has no name.
        """
        return self._start(
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

    def pause(
        self, schedule: str, *, timeout_s: float | None = None, metadata: Metadata = ()
    ) -> operations_pb2.Schedule:
        """Pause a schedule: it starts nothing until it is resumed. Return its new state."""
        request = operations_pb2.PauseScheduleRequest(name=schedule_name(schedule))
        return self._transport.call(self._stub.PauseSchedule, request, timeout_s, metadata)

    def resume(
        self, schedule: str, *, timeout_s: float | None = None, metadata: Metadata = ()
    ) -> operations_pb2.Schedule:
        """Resume a paused schedule, from its next time on. Return its new state."""
        request = operations_pb2.ResumeScheduleRequest(name=schedule_name(schedule))
        return self._transport.call(self._stub.ResumeSchedule, request, timeout_s, metadata)


class WorkersClient(Resource):
    """The worker processes, which run the operations."""

    @cached_property
    def _stub(self) -> "OperationsServiceStub":
        return operations_pb2_grpc.OperationsServiceStub(self._transport.channel)

    def list(
        self, *, page_size: int = 0, timeout_s: float | None = None, metadata: Metadata = ()
    ) -> Iterator[operations_pb2.Worker]:
        """Iterate over the workers, by name, over all pages.

        Pages are fetched as `client.databases.list` does.
        """
        request = operations_pb2.ListWorkersRequest(page_size=page_size)
        return self._list(
            self._stub.ListWorkers, request, lambda page: page.workers, timeout_s, metadata
        )


class DutiesClient(Resource):
    """The duties: work that goes on for ever, in exactly one process."""

    @cached_property
    def _stub(self) -> "OperationsServiceStub":
        return operations_pb2_grpc.OperationsServiceStub(self._transport.channel)

    def list(
        self, *, page_size: int = 0, timeout_s: float | None = None, metadata: Metadata = ()
    ) -> Iterator[operations_pb2.Duty]:
        """Iterate over the duties, by name, over all pages.

        Pages are fetched as `client.databases.list` does.
        """
        request = operations_pb2.ListDutiesRequest(page_size=page_size)
        return self._list(
            self._stub.ListDuties, request, lambda page: page.duties, timeout_s, metadata
        )
